"""Comparison of variants with the control by one metric, at the end of every day."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import Final, Self

import numpy as np
import polars as pl
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from models.domain.event import to_us
from models.domain.units import DAY_US
from models.experiments.analysis.contrast import Contrast
from models.experiments.analysis.estimate import adjustment
from models.experiments.analysis.interval import Interval
from models.experiments.analysis.metric import Metric
from models.experiments.analysis.moments import running
from models.experiments.analysis.multiple_tests import holm
from models.experiments.analysis.sequential_test import always_valid_p, may_look, sequential_width
from models.experiments.plan.experiment import Experiment

_FROZEN: Final = ConfigDict(frozen=True)


class Look(BaseModel):
    """Interim look: the lift at the end of a day."""

    model_config = _FROZEN

    until: datetime
    n_units: int
    lift: Interval = Field(description="Relative lift; its interval is safe at every look.")


class Comparison(BaseModel):
    """Comparison of a variant with the control by one metric; intervals of 95%."""

    model_config = _FROZEN

    variant: str
    metric: str
    difference: Interval = Field(description="Variant less control, adjusted by the covariate.")
    lift: Interval = Field(description="The same as a share of the control.")
    p_value: float | None = Field(description="Of one look at the planned end; null: unknown.")
    no_lift: str | None = Field(description="Why the lift has no value; null: it has one.")
    unadjusted_lift: Interval = Field(description="Without the covariate.")
    variance_reduction: float = Field(description="Share of variance the covariate explains.")
    safe_lift: Interval = Field(description="Lift with an interval that is safe at every look.")
    safe_p_value: float = Field(description="Smallest of all looks; may be looked at any day.")
    adjusted_p_value: float = Field(
        default=1.0, description="The same, adjusted for all variants and metrics by Holm's method."
    )
    looks: tuple[Look, ...]


@dataclass(frozen=True, slots=True)
class Calendar:
    """The days of an experiment since its start; a unit counts when its window has ended.

    Attributes:
        starts_at: Start of the first day.
        until: End of the last day.
        window_us: Window after a unit's first exposure, microseconds.
    """

    starts_at: datetime
    until: datetime
    window_us: int

    @classmethod
    def for_experiment(
        cls, experiment: Experiment, until: datetime, *, window_hours: float
    ) -> Self:
        """Return the days until events are known, or the experiment ended."""
        window = timedelta(hours=window_hours)
        last = min(until, experiment.ends_at or until)
        return cls(experiment.starts_at, last, window // timedelta(microseconds=1))

    @property
    def n_days(self) -> int:
        """Number of days; the last one may be shorter."""
        return max(0, to_us(self.until) - to_us(self.starts_at)) // DAY_US + 1

    def days(self, units: pl.DataFrame) -> NDArray[np.int64]:
        """Return the day on which each unit's window ends, shape ``(n_units,)``."""
        ends = units["first_us"].to_numpy() + self.window_us
        return (ends - to_us(self.starts_at)) // DAY_US

    def end(self, day: int) -> datetime:
        """Return the end of a day, counted from 0."""
        return min(self.starts_at + timedelta(days=day + 1), self.until)


def compare(
    metric: Metric,
    units: Mapping[str, pl.DataFrame],
    *,
    control: str,
    calendar: Calendar,
    planned_units: int,
) -> Iterator[Comparison]:
    """Compare every variant with the control.

    Args:
        metric: The metric.
        units: Units by variant, see `models.experiments.analysis.attribution.Attributed`.
        control: Name of the control.
        calendar: The days of the experiment.
        planned_units: See `models.experiments.analysis.sequential_test.sequential_width`.
    """
    days = range(calendar.n_days)
    arms = {
        name: list(running(metric.columns(own), calendar.days(own), n_days=len(days)))
        for name, own in units.items()
    }
    adjusted = [adjustment([arm[day] for arm in arms.values()]) for day in days]
    contrast = partial(Contrast.from_moments, is_share=metric.is_share)
    for name, own in arms.items():
        if name == control:
            continue
        other = arms[control]
        by_day = [contrast(own[day], other[day], adjusted=adjusted[day]) for day in days]
        looks = list(_looks(by_day, calendar, planned_units=planned_units))
        last = by_day[-1]
        p = last.p_value()
        yield Comparison(
            variant=name,
            metric=metric.name,
            difference=last.difference(),
            lift=last.lift(),
            no_lift=_no_lift(last, metric.name, name, control=control),
            p_value=None if math.isnan(p) else p,
            unadjusted_lift=contrast(own[-1], other[-1]).lift(),
            variance_reduction=adjusted[-1].reduction,
            safe_lift=looks[-1][0].lift if looks else Interval(),
            safe_p_value=looks[-1][1] if looks else 1.0,
            looks=tuple(look for look, _ in looks),
        )


def _no_lift(found: Contrast, metric: str, variant: str, *, control: str) -> str | None:
    if not found.has_base:
        return f"{metric} of {control} is not above 0 beyond chance"
    return f"{metric} of {variant} is unknown" if math.isnan(found.own) else None


def with_adjusted_p_values(comparisons: Sequence[Comparison]) -> tuple[Comparison, ...]:
    """Adjust the safe p-values for the number of comparisons."""
    adjusted = holm(np.array([one.safe_p_value for one in comparisons]))
    return tuple(
        one.model_copy(update={"adjusted_p_value": float(p)})
        for one, p in zip(comparisons, adjusted, strict=True)
    )


def _looks(
    contrasts: Sequence[Contrast], calendar: Calendar, *, planned_units: int
) -> Iterator[tuple[Look, float]]:
    # Each look with the smallest p-value so far, which stays valid however often one looks.
    smallest = 1.0
    for day, found in enumerate(contrasts):
        if not may_look(found):
            continue
        width = sequential_width(found.n_units, planned_units=planned_units)
        p = always_valid_p(found.z_score(), found.n_units, planned_units=planned_units)
        smallest = min(smallest, p)
        look = Look(until=calendar.end(day), n_units=found.n_units, lift=found.lift(width=width))
        yield look, smallest
