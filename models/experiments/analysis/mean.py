"""Intervals of a variant's own means: none where the tests would not look yet."""

import math

from models.experiments.analysis.contrast import effective_events
from models.experiments.analysis.estimate import WIDTH, estimate
from models.experiments.analysis.interval import Interval
from models.experiments.analysis.moments import Moments
from models.experiments.analysis.sequential_test import MIN_EVENTS


def wilson(share: float, n: int) -> tuple[float, float]:
    """Return the ends of Wilson's 95% score interval of a share of independent trials.

    ``(p + z^2 / 2n ± z sqrt(p (1 - p) / n + z^2 / 4n^2)) / (1 + z^2 / n)``.

    Args:
        share: Observed, in ``[0, 1]``.
        n: Trials, positive.

    Source:
        Wilson, Probable Inference, JASA 1927.
    """
    grown = 1 + WIDTH**2 / n
    centre = (share + WIDTH**2 / (2 * n)) / grown
    half = WIDTH * math.sqrt(share * (1 - share) / n + WIDTH**2 / (4 * n**2)) / grown
    high = min(1.0, centre + half)
    # By the product of both roots, which is exactly 0 where the share is.
    return share**2 / (grown * high), high


def mean_interval(arm: Moments, *, is_share: bool = False) -> Interval:
    """Return a mean or ratio with its 95% interval.

    That of a share of units is Wilson's. Any other has one from `MIN_EVENTS` effective events on:
    the variance of a few is unknown.

    Args:
        arm: Moments of the numerator, denominator and covariate per unit.
        is_share: Whether it is a share of units.
    """
    found = estimate(arm)
    if is_share and arm.n:
        return Interval.from_numbers(found.value, *wilson(found.value, arm.n))
    if effective_events(arm) < MIN_EVENTS:
        return Interval.from_numbers(found.value, math.nan, math.nan)
    return found.interval()
