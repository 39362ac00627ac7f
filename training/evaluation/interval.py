"""Means with bootstrap intervals over customers, and shares with Wilson's."""

import math
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

N_RESAMPLES: Final = 1_000
_LOW, _HIGH = 0.025, 0.975
_AT_ONCE: Final = 100
_Z: Final = 1.959963984540054  # 97.5% quantile of the normal distribution


@dataclass(frozen=True, slots=True)
class Interval:
    """A mean and its 95% interval.

    Attributes:
        value: The mean; NaN of nothing.
        low: Lower end.
        high: Upper end.
        n: Number of values.
    """

    value: float
    low: float
    high: float
    n: int


def mean_interval(
    values: NDArray[np.float64], customers: NDArray[np.int64], *, seed: int
) -> Interval:
    """Average values, with a percentile bootstrap over customers.

    Each resample weighs every customer by a Poisson(1) number, so that all his values stay
    or go together. Equal seeds give equal weights: differences between scorers are paired.

    Args:
        values: One a slate, NaN for slates that the metric does not judge, shape ``(n,)``.
        customers: Customer of each slate, shape ``(n,)``.
        seed: Seed of the resamples.

    Source:
        Efron and Tibshirani, An Introduction to the Bootstrap, 1993, section 8.3; Poisson
        weights as in Hanley and MacGibbon, 2006.
    """
    judged = ~np.isnan(values)
    n = int(judged.sum())
    if not n:
        return Interval(float("nan"), float("nan"), float("nan"), 0)
    _, group = np.unique(customers, return_inverse=True)
    n_customers = int(group.max()) + 1
    sums = np.bincount(group[judged], weights=values[judged], minlength=n_customers).astype(
        np.float64
    )
    sizes = np.bincount(group[judged], minlength=n_customers).astype(np.float64)
    means = _resampled_means(sums, sizes, np.random.default_rng(seed))
    low, high = np.nanquantile(means, [_LOW, _HIGH])
    return Interval(float(sums.sum() / sizes.sum()), float(low), float(high), n)


def wilson_interval(successes: int, trials: int) -> Interval:
    """Estimate a share, with Wilson's score interval.

    ``(p + z^2 / 2n ± z sqrt(p (1 - p) / n + z^2 / 4n^2)) / (1 + z^2 / n)``. No trials give NaN.

    Args:
        successes: At most ``trials``.
        trials: Independent trials.

    Source:
        Wilson, Probable Inference, JASA 1927.
    """
    if not trials:
        return Interval(float("nan"), float("nan"), float("nan"), 0)
    share, grown = successes / trials, 1 + _Z**2 / trials
    centre = (share + _Z**2 / (2 * trials)) / grown
    spread = share * (1 - share) / trials + _Z**2 / (4 * trials**2)
    half = _Z * math.sqrt(spread) / grown
    return Interval(share, max(0.0, centre - half), min(1.0, centre + half), trials)


def _resampled_means(
    sums: NDArray[np.float64], sizes: NDArray[np.float64], rng: np.random.Generator
) -> NDArray[np.float64]:
    parts: list[NDArray[np.float64]] = []
    for _ in range(N_RESAMPLES // _AT_ONCE):
        weights = rng.poisson(1.0, size=(_AT_ONCE, len(sums))).astype(np.float64)
        drawn = weights @ sizes
        parts.append((weights @ sums) / np.where(drawn > 0, drawn, np.nan))
    return np.concatenate(parts)
