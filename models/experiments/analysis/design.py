"""Design of an experiment: detectable effects and duration, from data before its start."""

import math
from datetime import datetime
from functools import partial
from typing import Final

import numpy as np
import polars as pl
from pydantic import BaseModel, ConfigDict, Field

from models.dataset.events import EventTable
from models.domain.errors import UserError
from models.domain.event import from_us, to_us
from models.domain.units import DAY_US, HOUR_US
from models.experiments.analysis.estimate import COVARIATE, NUMERATOR, adjustment
from models.experiments.analysis.metric import METRICS, Metric
from models.experiments.analysis.moments import Moments
from models.experiments.analysis.outcome import outcomes, texts, with_outcomes
from models.experiments.analysis.power import (
    POWER,
    minimum_days,
    minimum_detectable_effect,
    required_units,
    standard_error,
)
from models.experiments.analysis.sequential_test import sequential_width
from models.experiments.plan.bucketing import BUCKETS, share_bp
from models.experiments.plan.experiment import Experiment, Kind, Unit

# Chosen: whole weeks, as traffic repeats weekly; four are the longest usual test.
BASELINE_DAYS: Final = 28
# Chosen: of fewer days the traffic of a day is unknown.
_FEWEST_DAYS: Final = 3
# Plans are in whole weeks, as weekdays differ.
_WEEK: Final = 7
# A single unit has no variance.
_FEWEST: Final = 2
# Of the verdict, valid at every look; any planned number has this width at its end.
_WIDTH: Final = sequential_width(1, planned_units=1)
_found: Final = partial(minimum_detectable_effect, width=_WIDTH)
_FROZEN: Final = ConfigDict(frozen=True)
_NO_ANSWERS: Final = pl.DataFrame(
    schema={
        "recommendation_id": pl.String,
        "unit_id": pl.String,
        "customer_id": pl.String,
        "now_us": pl.Int64,
    }
)


class Size(BaseModel):
    """Sample size by one metric, for the smallest variant against the control.

    Of the verdict, which is valid at every look, where `planned_units` are the units of its end;
    a test that is looked at once, at its end, needs fewer.
    """

    model_config = _FROZEN

    metric: str
    mean: float
    variance: float = Field(description="Between units, after the covariate.")
    variance_reduction: float = Field(description="Share of variance the covariate explains.")
    detectable_lift: dict[int, float | None] = Field(
        description="Smallest lift that is found, by days; null: no units."
    )
    required_units: int | None = Field(
        description="Units for the wanted lift; null: nothing was bought."
    )
    planned_units: int | None = Field(
        description="Those of the variant and the control, for `results` of the experiment."
    )
    required_units_at_one_look: int | None = Field(
        description="Units for the wanted lift by `p_value`, looked at once at the end."
    )
    minimum_days: int | None = Field(
        description="Whole weeks in days for the wanted lift; null: more than the baseline."
    )


class InterleavingSize(BaseModel):
    """Sample size of an interleaving of the two variants, for the same lift.

    Customers are taken to credit both variants in the ratio of the rates, 1 + lift to 1. That is
    the least that an interleaving sees: where both lists share sales, the others decide more.
    """

    model_config = _FROZEN

    preference: float = Field(description="Of the wanted lift: `lift / (2 + lift)`.")
    deciding_share: float = Field(
        description="Share of units with a click or purchase in a window that names an answer."
    )
    required_units: int | None = Field(
        description="At most, if `planned_units` is the deciding share of them; null: no click or "
        "purchase names an answer."
    )
    minimum_days: int | None = Field(
        description="Whole weeks in days; null: more than the baseline."
    )


class Design(BaseModel):
    """Design of an experiment: expected units, power and duration, before its start."""

    model_config = _FROZEN

    experiment: str
    unit: Unit
    power: float
    wanted_lift: float
    baseline_from: datetime
    baseline_until: datetime = Field(description="28 days later, fewer if events begin later.")
    window_hours: float = Field(description="To be waited for after the last day, too.")
    planned_units: int = Field(description="Of the experiment as it stands in the plan.")
    units_by_day: tuple[int, ...] = Field(description="Distinct units until each day's end.")
    sizes: tuple[Size, ...]
    interleaving: InterleavingSize


class NoBaselineError(UserError):
    """Too little history to plan an experiment from."""


def design(
    experiment: Experiment,
    events: EventTable,
    *,
    unit: Unit,
    wanted_lift: float,
    held_out: float = 0.0,
    until: datetime | None = None,
) -> Design:
    """Plan an experiment from a baseline of four weeks, or of the days that there are.

    The first event of every unit is taken as its exposure. The market and device of the audience
    are applied to events; they do not tell new from returning customers.

    Args:
        experiment: The experiment.
        events: Events of the shop.
        unit: Assignment unit of its layer: customers or sessions; events do not name devices.
        wanted_lift: Relative lift that is to be detected, not 0.
        held_out: Share of customers in the plan's holdout, in ``[0, 1)``.
        until: End of the baseline; if None, the earlier of the experiment's start and the end
            of the events.

    Raises:
        NoBaselineError: If the events cover fewer than three days and a window, or do not name the
            unit.
    """
    units, start_us, n_days = _baseline(experiment, events, unit=unit, until=until)
    first_days = (units["first_us"].to_numpy() - start_us) // DAY_US
    came = np.bincount(first_days, minlength=n_days).cumsum()
    taken = (1 - held_out) * share_bp(experiment.traffic) / BUCKETS
    by_day = tuple(int(n * taken) for n in came)
    sizes = [
        _size(metric, units, experiment=experiment, by_day=by_day, wanted_lift=wanted_lift)
        for metric in METRICS
        if metric.denominator is None
    ]
    return Design(
        experiment=experiment.name,
        unit=unit,
        power=POWER,
        wanted_lift=wanted_lift,
        baseline_from=from_us(start_us),
        baseline_until=from_us(start_us + n_days * DAY_US),
        window_hours=experiment.read_by.window_hours,
        planned_units=experiment.read_by.planned_units,
        units_by_day=by_day,
        sizes=tuple(sizes),
        interleaving=_interleaving_size(units, by_day=by_day, wanted_lift=wanted_lift),
    )


def _baseline(
    experiment: Experiment,
    events: EventTable,
    *,
    unit: Unit,
    until: datetime | None,
) -> tuple[pl.DataFrame, int, int]:
    """Return the units of the baseline with their outcomes, its start and its days."""
    if unit is Unit.DEVICE:
        msg = f"{experiment.name} assigns devices, which events do not name: plan it by sessions"
        raise NoBaselineError(msg)
    rules = experiment.read_by
    window_us = round(rules.window_hours * HOUR_US)
    known_us = int(events.received_us.max(initial=0))
    # Back by a window, so that the outcome of the last unit is known.
    end_us = min(known_us, to_us(until or experiment.starts_at)) - window_us
    first_us = int(events.at_us.min(initial=end_us))
    # The first day may be part of one: a quiet night may precede the first event.
    n_days = min(math.ceil(max(end_us - first_us, 0) / DAY_US), BASELINE_DAYS)
    start_us = end_us - n_days * DAY_US
    labels = events.customers if unit is Unit.CUSTOMER else events.sessions
    every = np.arange(len(events))
    wanted = {"market": experiment.audience.markets, "device": experiment.audience.devices}
    in_audience = [
        pl.col(name).is_in(list(values)) for name, values in wanted.items() if values is not None
    ]
    frame = pl.DataFrame(
        {
            "unit_id": texts(labels, every),
            "at_us": events.at_us,
            "market": texts(events.markets, every),
            "device": texts(events.devices, every),
        }
    ).filter(pl.col("unit_id").is_not_null(), *in_audience)
    inside = pl.col("at_us").is_between(start_us, end_us, closed="left")
    units = frame.filter(inside).group_by("unit_id").agg(pl.col("at_us").min().alias("first_us"))
    if units.height < _FEWEST or n_days < _FEWEST_DAYS:
        raise NoBaselineError(_refusal(experiment, events, n_days=n_days, n_units=units.height))
    did = outcomes(events, _NO_ANSWERS, unit=unit, left_out={})
    before_us = round(rules.before_days * DAY_US)
    found = with_outcomes(units, did, window_us=window_us, before_us=before_us)
    decided = found.with_columns(decides=_decides(units, did, window_us=window_us))
    return decided, start_us, n_days


def _refusal(experiment: Experiment, events: EventTable, *, n_days: int, n_units: int) -> str:
    covered = "there are no events"
    if len(events):
        ends = (from_us(int(at)) for at in (events.at_us.min(), events.received_us.max()))
        covered = "events cover {:%Y-%m-%d %H:%M} to {:%Y-%m-%d %H:%M} UTC".format(*ends)
    return (
        f"{experiment.name} cannot be planned: {covered}. A plan takes {_FEWEST_DAYS} days with "
        f"{_FEWEST} units, a window of {experiment.read_by.window_hours:g} hours before both its "
        f"start and the last event; there are {n_days} days with {n_units} units. Wait, or give "
        "`results` of the experiment a shorter `window_hours`"
    )


def _decides(units: pl.DataFrame, did: pl.DataFrame, *, window_us: int) -> pl.Expr:
    since = pl.col("at_us") - pl.col("first_us")
    # Others may be credited too, by the place at which a sale was shown: that is not known here.
    named = did.filter(pl.col("recommendation_id").is_not_null()).join(units, on="unit_id")
    deciding = named.filter((since >= 0) & (since < window_us))
    return pl.col("unit_id").is_in(deciding["unit_id"].unique().implode())


def _size(
    metric: Metric,
    units: pl.DataFrame,
    *,
    experiment: Experiment,
    by_day: tuple[int, ...],
    wanted_lift: float,
) -> Size:
    sample = Moments.from_columns(metric.columns(units))
    known = adjustment([sample])
    mean, covariance = float(sample.means[NUMERATOR]), sample.covariance()
    explained = known.theta**2 * float(covariance[COVARIATE, COVARIATE])
    variance = float(covariance[NUMERATOR, NUMERATOR]) - explained
    pair = _shares(experiment)
    sized = partial(required_units, wanted_lift * mean, variance, shares=pair)
    wanted = sized(width=_WIDTH) if mean else None
    enough = None if wanted is None else minimum_days(by_day, wanted)
    return Size(
        metric=metric.name,
        mean=mean,
        variance=variance,
        variance_reduction=known.reduction,
        detectable_lift={
            day: _found(standard_error(variance, n, shares=pair)) / mean if n and mean else None
            for day, n in enumerate(by_day, start=1)
            if day % _WEEK == 0 or day == len(by_day)
        },
        required_units=wanted,
        planned_units=None if wanted is None else math.ceil(wanted * sum(pair)),
        required_units_at_one_look=sized() if mean else None,
        minimum_days=None if enough is None else math.ceil(enough / _WEEK) * _WEEK,
    )


def _shares(experiment: Experiment) -> tuple[float, float]:
    if experiment.kind is Kind.INTERLEAVING:
        return 0.5, 0.5  # of the A/B test beside it
    shares = {one.name: one.share_bp / BUCKETS for one in experiment.variants}
    control = shares.pop(experiment.control)
    # The smallest variant decides how long the experiment takes.
    return min(shares.values(), default=control), control


def _interleaving_size(
    units: pl.DataFrame, *, by_day: tuple[int, ...], wanted_lift: float
) -> InterleavingSize:
    share = int(units["decides"].sum()) / units.height
    preference = wanted_lift / (2 + wanted_lift)
    deciding = (_found(1.0) / preference) ** 2  # signs have a variance of 1
    wanted = math.ceil(deciding / share) if share else None
    enough = None if wanted is None else minimum_days(by_day, wanted)
    return InterleavingSize(
        preference=preference,
        deciding_share=share,
        required_units=wanted,
        minimum_days=None if enough is None else math.ceil(enough / _WEEK) * _WEEK,
    )
