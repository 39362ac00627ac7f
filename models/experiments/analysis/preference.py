"""Preference of customers between the two variants of an interleaving, valid at every look.

Each customer counts once, for the variant that they credited more; those who credited both equally
say nothing. Without a difference these signs are fair coins, whose sum never leaves the mixture
boundary with a probability of more than `LEVEL`: exactly, from the first customer on, because a
bounded step of variance 1 has no heavier tails than the normal distribution that the boundary is
made for.

Source:
    Robbins, Statistical Methods Related to the Law of the Iterated Logarithm, Annals of
    Mathematical Statistics 1970 (the mixture); Hoeffding, Probability Inequalities for Sums of
    Bounded Random Variables, JASA 1963 (the tails).
"""

import math
from datetime import datetime

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from models.experiments.analysis.comparison import Calendar
from models.experiments.analysis.interval import Interval
from models.experiments.analysis.sequential_test import always_valid_p, sequential_width

_FROZEN = ConfigDict(frozen=True)


class PreferenceLook(BaseModel):
    """Interim look: the preference at the end of a day."""

    model_config = _FROZEN

    until: datetime
    n_deciding: int = Field(description="Customers who credited one variant more.")
    preference: Interval = Field(description="Its interval is safe at every look.")


class Preference(BaseModel):
    """Preference for the second variant by one metric; intervals of 95%, safe at every look."""

    model_config = _FROZEN

    metric: str
    for_second: int = Field(description="Customers who credited the second variant more.")
    for_first: int = Field(description="Customers who credited the first variant more.")
    tied: int = Field(description="Customers who credited both equally, or neither.")
    preference: Interval = Field(
        description="`(for_second - for_first) / (for_second + for_first)`, from -1 to 1."
    )
    safe_p_value: float = Field(description="Smallest of all looks; may be looked at any day.")
    looks: tuple[PreferenceLook, ...]


def preference_interval(for_second: int, for_first: int, *, planned_units: int) -> Interval:
    """Return the preference for the second variant, with an interval that is safe at every look.

    ``(w - l) / (w + l)``, and ``sequential_width / sqrt(w + l)`` on each side, within -1 and 1;
    unknown without any deciding customer. It excludes 0 exactly if the p-value is below the level.

    Args:
        for_second: Customers who credited the second variant more.
        for_first: Customers who credited the first variant more.
        planned_units: Deciding customers at which it is tightest, chosen before the start.
    """
    n = for_second + for_first
    if not n:
        return Interval()
    found = (for_second - for_first) / n
    half = sequential_width(n, planned_units=planned_units) / math.sqrt(n)
    return Interval.from_numbers(found, max(found - half, -1.0), min(found + half, 1.0))


def preference(
    metric: str,
    margins: NDArray[np.int64],
    *,
    days: NDArray[np.int64],
    calendar: Calendar,
    planned_units: int,
) -> Preference:
    """Count the customers who prefer each variant, at the end of every day.

    Args:
        metric: Name of the metric.
        margins: Credits of the second variant less those of the first, by customer, shape
            ``(n_units,)``.
        days: Day on which each customer's window ends, from 0, same shape.
        calendar: The days of the experiment.
        planned_units: See `preference_interval`.
    """
    by_day = [
        np.bincount(days[chosen], minlength=calendar.n_days).cumsum().tolist()
        for chosen in (margins > 0, margins < 0)
    ]
    looks: list[PreferenceLook] = []
    smallest, n_before = 1.0, 0
    for day, (won, lost) in enumerate(zip(*by_day, strict=True)):
        n = won + lost
        # A day that brought no deciding customer brings no look.
        if n == n_before:
            continue
        n_before = n
        z = (won - lost) / math.sqrt(n)
        smallest = min(smallest, always_valid_p(z, n, planned_units=planned_units))
        interval = preference_interval(won, lost, planned_units=planned_units)
        looks.append(PreferenceLook(until=calendar.end(day), n_deciding=n, preference=interval))
    return Preference(
        metric=metric,
        for_second=int((margins > 0).sum()),
        for_first=int((margins < 0).sum()),
        tied=int((margins == 0).sum()),
        preference=looks[-1].preference if looks else Interval(),
        safe_p_value=smallest,
        looks=tuple(looks),
    )
