"""Guardrail metrics of an experiment: degraded answers, latency and catalogue coverage."""

import math
from collections.abc import Mapping
from enum import StrEnum
from typing import Final

import polars as pl
from pydantic import BaseModel, ConfigDict, Field

from models.experiments.analysis.contrast import Contrast
from models.experiments.analysis.coverage import ShownSales, log_ratio_error
from models.experiments.analysis.interval import Interval
from models.experiments.analysis.metric import Metric
from models.experiments.analysis.moments import Moments
from models.experiments.analysis.sequential_test import MIN_UNITS, sequential_width
from models.experiments.exposure import TOOK
from models.experiments.plan.rules import Rules

DEGRADED: Final = "degraded"
"""The guardrail whose change is a difference of shares; those of others are relative."""

_DEGRADED: Final = Metric(
    DEGRADED, "share of degraded answers", "degraded", "answers", is_share=True
)
_LATENCY: Final = Metric("latency", "mean time of an answer", "took", "timed")
_MICROSECONDS: Final = 1_000

_SUMS: Final = (
    pl.col("degraded").is_not_null().sum().alias("degraded"),
    pl.len().alias("answers"),
    (pl.col(TOOK).sum() / _MICROSECONDS).alias("took"),
    pl.col(TOOK).is_not_null().sum().alias("timed"),
)

# Limits against the control, chosen: one more degraded answer in a hundred, and a fifth fewer
# distinct sales in equally many answers. That of the latency is a setting of the analysis.
MAX_MORE_DEGRADED: Final = 0.01
MAX_LESS_COVERAGE: Final = 0.2


class State(StrEnum):
    """State of a guardrail or a promotion rule."""

    HELD = "held"
    OPEN = "open"
    BREACHED = "breached"


class Guardrail(BaseModel):
    """Guardrail: a limit on how much worse than the control a variant may be.

    Breached if the whole interval of the change lies beyond the limit, held if the whole interval
    lies within it, otherwise open. The interval is valid at every look. Coverage is the number of
    distinct sales in equally many answers of both sides.
    """

    model_config = ConfigDict(frozen=True)

    name: str
    variant: str
    control_value: float
    variant_value: float
    change: Interval = Field(
        description="Of `degraded` in shares of answers, of others relative to the control."
    )
    limit: float = Field(description="In the unit of the change.")
    state: State


class Latency(BaseModel):
    """Latency of the answers of a variant, in milliseconds."""

    model_config = ConfigDict(frozen=True)

    p50_ms: float
    p95_ms: float
    p99_ms: float


def latency(answers: pl.DataFrame) -> Latency | None:
    """Return quantiles of the latency of answers, None if it was not recorded."""
    took = answers[TOOK].drop_nulls() / _MICROSECONDS
    if took.is_empty():
        return None
    p50, p95, p99 = (float(took.quantile(q, "linear") or 0.0) for q in (0.5, 0.95, 0.99))
    return Latency(p50_ms=p50, p95_ms=p95, p99_ms=p99)


def guardrails(
    answers: Mapping[str, pl.DataFrame], control: str, *, rules: Rules
) -> tuple[Guardrail, ...]:
    """Compare every variant with the control.

    Shares and times are ratios over units, as answers of one unit are correlated.

    Args:
        answers: Answers by variant, in the order of time.
        control: Name of the control.
        rules: How the experiment is read.
    """
    found: list[Guardrail] = []
    units = {
        name: frame.group_by("unit_id", maintain_order=True).agg(_SUMS)
        for name, frame in answers.items()
    }
    for name in answers:
        n_units = units[name].height + units[control].height
        if name == control or not (units[name].height and units[control].height):
            continue
        # Wider than for one look: guardrails may be read at any time.
        width = sequential_width(n_units, planned_units=rules.planned_units)
        is_early = min(units[name].height, units[control].height) < MIN_UNITS
        degraded = _contrast(_DEGRADED, units[name], units[control])
        change = _known(degraded.difference(width=width), is_early=is_early)
        found.append(_judged(DEGRADED, name, degraded, change, limit=MAX_MORE_DEGRADED))
        latency = _contrast(_LATENCY, units[name], units[control])
        change = _known(latency.lift(width=width), is_early=is_early)
        if not math.isnan(latency.own + latency.control):
            found.append(_judged("latency", name, latency, change, limit=rules.max_slower))
        found.append(_coverage(name, answers[name], answers[control], width=width))
    return tuple(found)


def _known(change: Interval, *, is_early: bool) -> Interval:
    # Too early the interval does not hold, see `MIN_UNITS`.
    return Interval(value=change.value) if is_early else change


def _contrast(metric: Metric, units: pl.DataFrame, control: pl.DataFrame) -> Contrast:
    own, other = (Moments.from_columns(metric.columns(one)) for one in (units, control))
    return Contrast.from_moments(own, other, is_share=metric.is_share)


def _judged(
    name: str, variant: str, found: Contrast, change: Interval, *, limit: float
) -> Guardrail:
    state = State.OPEN
    if change.low is not None and change.low > limit:
        state = State.BREACHED
    elif change.high is not None and change.high <= limit:
        state = State.HELD
    return Guardrail(
        name=name,
        variant=variant,
        control_value=found.control,
        variant_value=found.own,
        change=change,
        limit=limit,
        state=state,
    )


def _coverage(variant: str, own: pl.DataFrame, control: pl.DataFrame, *, width: float) -> Guardrail:
    drawn = min(own.height, control.height)
    both = pl.concat(one.select("unit_id", "sale_ids") for one in (own, control))
    mine, theirs, pooled = (ShownSales.from_answers(one) for one in (own, control, both))
    shown, wanted = mine.expected(drawn), theirs.expected(drawn)
    change = Interval()
    if shown and wanted:
        log = math.log(shown / wanted)
        half = width * log_ratio_error(mine, theirs, both=pooled, drawn=drawn)
        change = Interval.from_numbers(*(math.expm1(log + by) for by in (0.0, -half, half)))
    state = State.OPEN
    if change.high is not None and change.high < -MAX_LESS_COVERAGE:
        state = State.BREACHED
    elif change.low is not None and change.low >= -MAX_LESS_COVERAGE:
        state = State.HELD
    return Guardrail(
        name="coverage",
        variant=variant,
        control_value=wanted,
        variant_value=shown,
        change=change,
        limit=-MAX_LESS_COVERAGE,
        state=state,
    )
