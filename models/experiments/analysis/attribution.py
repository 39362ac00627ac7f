"""Attribution: outcomes of units within a window after their first exposure.

A unit is assigned by any answer that the experiment routed and no other platform forced. It is
exposed by the first of these answers that showed a sale. Its outcome is what it does within a
window after that; what it did before is the covariate. All windows have equal length and lie within
the experiment: a unit whose window has not ended is counted, but not analysed yet, and a unit that
comes less than a window before the end is not analysed at all.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Final

import numpy as np
import polars as pl

from models.dataset.events import EventTable
from models.domain.event import to_us
from models.domain.units import DAY_US, HOUR_US
from models.experiments.analysis.outcome import outcomes, with_outcomes
from models.experiments.exposure import answers
from models.experiments.plan.experiment import Experiment, Unit

NEVER_US: Final = np.iinfo(np.int64).max
"""End of an experiment without an end."""


@dataclass(frozen=True, slots=True, eq=False)
class Attributed:
    """Attributed outcomes of the units of an experiment.

    Attributes:
        answers: Answers by variant in the order of time, without forced ones; see
            `models.experiments.exposure.answers`.
        units: Per analysed unit ``unit_id, variant, first_us, answers``, and its outcomes:
            ``bought, purchases, revenue, clicks``, the same ``_before``, and ``unpriced``:
            purchases without a revenue or a price.
        assigned: Units by variant, before any is left out.
        exposed: The same of units that were shown a sale.
        left_out: Number of answers, units and events by the reason, each counted at the first
            that applies.
    """

    answers: pl.DataFrame
    units: pl.DataFrame
    assigned: dict[str, int]
    exposed: dict[str, int]
    left_out: dict[str, int]


def attribute(
    exposures: pl.DataFrame,
    events: EventTable,
    *,
    experiment: Experiment,
    unit: Unit,
    until: datetime,
) -> Attributed:
    """Find the units of an experiment and their outcomes within the window.

    Args:
        exposures: Rows of the file of exposures.
        events: Events of the same shop, since ``before_days`` before the start.
        experiment: The experiment.
        unit: Assignment unit of its layer.
        until: End of the known events.

    Raises:
        ExposureError: If the exposures lack a column.
    """
    rules = experiment.read_by
    window_us = round(rules.window_hours * HOUR_US)
    left_out: dict[str, int] = {}
    # The order of the conditions is the order in which units and answers are counted as left out.
    end_us = min(to_us(until), last_us(experiment))
    routed = routed_answers(exposures, experiment, left_out=left_out, end_us=end_us)
    known, exposed = _exposed(_units(routed, experiment), left_out=left_out)
    ends_us = pl.col("first_us") + window_us
    # Entry closes a window before the end: after it a unit sees its variant no longer.
    analysed = kept_by_reason(
        exposed,
        left_out,
        units_too_late_for_a_whole_window=ends_us <= last_us(experiment),
        units_with_an_open_window=ends_us <= to_us(until),
    )
    units = with_outcomes(
        _with_answers(analysed, routed, window_us=window_us),
        outcomes(events, routed, unit=unit, left_out=left_out),
        window_us=window_us,
        before_us=round(rules.before_days * DAY_US),
    )
    return Attributed(routed, units, _by_variant(known), _by_variant(exposed), left_out)


def last_us(experiment: Experiment) -> int:
    """Return the end of an experiment in microseconds since the epoch, `NEVER_US` without one."""
    return to_us(experiment.ends_at) if experiment.ends_at else NEVER_US


def routed_answers(
    exposures: pl.DataFrame, experiment: Experiment, *, left_out: dict[str, int], end_us: int
) -> pl.DataFrame:
    """Return the answers of an experiment that its hash routed within its time, to known units.

    Args:
        exposures: Rows of the file of exposures.
        experiment: The experiment.
        left_out: Gets the number of the others by the reason.
        end_us: Its end, or that of the known events if that is earlier.

    Raises:
        ExposureError: If the exposures lack a column.
    """
    now_us = pl.col("now_us")
    return kept_by_reason(
        answers(exposures, experiment.name),
        left_out,
        answers_forced=~pl.col("is_forced"),
        answers_outside_its_time=(now_us >= to_us(experiment.starts_at)) & (now_us < end_us),
        answers_without_unit=pl.col("unit_id").is_not_null(),
    )


def kept_by_reason(
    frame: pl.DataFrame, left_out: dict[str, int], **conditions: pl.Expr | str
) -> pl.DataFrame:
    """Filter by conditions in turn, and count what each takes away.

    Args:
        frame: Rows.
        left_out: Gets the number of rows by the name of the condition.
        conditions: What rows must fulfil, by the reason for which others are left out.
    """
    for reason, condition in conditions.items():
        kept = frame.filter(condition)
        left_out[reason] = frame.height - kept.height
        frame = kept
    return frame


def _units(routed: pl.DataFrame, experiment: Experiment) -> pl.DataFrame:
    shown = pl.col("now_us").filter(pl.col("sale_ids").list.len() > 0)
    units = routed.group_by("unit_id", maintain_order=True).agg(
        pl.col("variant").first(),
        pl.col("share_bp").first(),
        pl.col("variant").n_unique().alias("n_variants"),
        shown.first().alias("first_us"),
    )
    # Units assigned under other shares are not comparable: their chance of each variant differed.
    shares = {variant.name: variant.share_bp for variant in experiment.variants}
    now = pl.col("variant").replace_strict(shares, default=None, return_dtype=pl.Int64)
    return units.with_columns(is_settled=pl.col("share_bp").eq_missing(now))


def _exposed(units: pl.DataFrame, *, left_out: dict[str, int]) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Return the units under the present shares, and those of them that were shown a sale."""
    known = kept_by_reason(units, left_out, units_under_other_shares="is_settled")
    exposed = kept_by_reason(
        known,
        left_out,
        units_in_two_variants=pl.col("n_variants") == 1,
        units_never_shown_a_sale=pl.col("first_us").is_not_null(),
    )
    return known, exposed


def _by_variant(units: pl.DataFrame) -> dict[str, int]:
    return dict(units.group_by("variant").len().sort("variant").iter_rows())


def _with_answers(units: pl.DataFrame, routed: pl.DataFrame, *, window_us: int) -> pl.DataFrame:
    since = pl.col("now_us") - pl.col("first_us")
    own = routed.join(units.select("unit_id", "first_us"), on="unit_id", how="inner")
    inside = own.filter((since >= 0) & (since < window_us))
    counted = inside.group_by("unit_id").agg(pl.len().alias("answers"))
    return units.join(counted, on="unit_id", how="left", maintain_order="left")
