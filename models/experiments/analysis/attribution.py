"""Attribution: outcomes of units within a window after their first exposure.

A unit is assigned by any answer that the experiment routed and no other platform forced. It is
exposed by the first of these answers that showed a sale. Its outcome is what it does within a
window after that; what it did before is the covariate. All windows have equal length: a unit whose
window has not ended is counted, but not analysed yet.
"""

from dataclasses import dataclass
from datetime import datetime

import polars as pl
from pydantic import BaseModel, ConfigDict, Field

from models.dataset.events import EventTable
from models.domain.event import to_us
from models.domain.units import DAY_US, HOUR_US
from models.experiments.analysis.outcome import outcomes, with_outcomes
from models.experiments.exposure import answers
from models.experiments.plan.experiment import Experiment, Unit


class Rules(BaseModel):
    """Settings of the analysis, which must be fixed before the experiment starts."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    window_hours: float = Field(
        default=168.0, gt=0, le=2_160, description="From a unit's first exposure on, it counts."
    )
    before_days: float = Field(
        default=28.0, gt=0, le=400, description="Before it, it is the covariate."
    )
    planned_units: int = Field(
        default=10_000, ge=100, description="Units at which looking early costs least."
    )


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
        left_out: Number of answers and units by the reason.
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
    rules: Rules,
) -> Attributed:
    """Find the units of an experiment and their outcomes within the window.

    Left out and counted are: answers that another platform forced, that lie outside the
    experiment's time, that name no unit; units first seen under other shares than the
    experiment has now, units seen in two variants, units assigned and never shown a sale, and
    units whose window is not over.

    Args:
        exposures: Rows of the file of exposures.
        events: Events of the same shop, since ``before_days`` before the start.
        experiment: The experiment.
        unit: Assignment unit of its layer.
        until: End of the known events.
        rules: Window and covariate.

    Raises:
        ExposureError: If the exposures lack a column.
    """
    routed, left_out = _own(answers(exposures, experiment.name), experiment, until=until)
    everyone = _units(routed)
    shares = {variant.name: variant.share_bp for variant in experiment.variants}
    now = pl.col("variant").replace_strict(shares, default=None, return_dtype=pl.Int64)
    settled = pl.col("share_bp").eq_missing(now)
    single, shown = pl.col("n_variants") == 1, pl.col("first_us").is_not_null()
    window_us = round(rules.window_hours * HOUR_US)
    over = pl.col("first_us") + window_us <= to_us(until)
    known = everyone.filter(settled)
    alone = known.filter(single)
    exposed = alone.filter(shown)
    analysed = exposed.filter(over)
    left_out |= {
        "units_under_other_shares": everyone.height - known.height,
        "units_in_two_variants": known.height - alone.height,
        "units_never_shown_a_sale": alone.height - exposed.height,
        "units_with_an_open_window": exposed.height - analysed.height,
    }
    did = outcomes(events, routed, unit=unit)
    before_us = round(rules.before_days * DAY_US)
    return Attributed(
        routed,
        with_outcomes(
            _with_answers(analysed, routed, window_us=window_us),
            did,
            window_us=window_us,
            before_us=before_us,
        ),
        _by_variant(known),
        _by_variant(exposed),
        left_out,
    )


def _own(
    routed: pl.DataFrame, experiment: Experiment, *, until: datetime
) -> tuple[pl.DataFrame, dict[str, int]]:
    end = until if experiment.ends_at is None else min(until, experiment.ends_at)
    dealt = routed.filter(~pl.col("is_forced"))
    inside = dealt.filter(
        (pl.col("now_us") >= to_us(experiment.starts_at)) & (pl.col("now_us") < to_us(end))
    )
    named = inside.filter(pl.col("unit_id").is_not_null())
    return named, {
        "answers_forced": routed.height - dealt.height,
        "answers_outside_its_time": dealt.height - inside.height,
        "answers_without_unit": inside.height - named.height,
    }


def _units(routed: pl.DataFrame) -> pl.DataFrame:
    shown = pl.col("now_us").filter(pl.col("sale_ids").list.len() > 0)
    return routed.group_by("unit_id", maintain_order=True).agg(
        pl.col("variant").first(),
        pl.col("share_bp").first(),
        pl.col("variant").n_unique().alias("n_variants"),
        shown.first().alias("first_us"),
    )


def _by_variant(units: pl.DataFrame) -> dict[str, int]:
    counted = units.group_by("variant").len().sort("variant")
    return dict(counted.iter_rows())


def _with_answers(units: pl.DataFrame, routed: pl.DataFrame, *, window_us: int) -> pl.DataFrame:
    since = pl.col("now_us") - pl.col("first_us")
    own = routed.join(units.select("unit_id", "first_us"), on="unit_id", how="inner")
    inside = own.filter((since >= 0) & (since < window_us))
    counted = inside.group_by("unit_id").agg(pl.len().alias("answers"))
    return units.join(counted, on="unit_id", how="left", maintain_order="left")
