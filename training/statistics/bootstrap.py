"""Intervals: bootstrap over customers for means and ratios, Wilson's for shares."""

import math
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr, stdtrit

from models.experiments.analysis.mean import wilson

N_RESAMPLES: Final = 1_000  # usual for percentile intervals
_QUANTILES: Final = (0.025, 0.975)
_AT_ONCE: Final = 100  # resamples per matrix product: bounds the memory; chosen
Z: Final = 1.959963984540054
"""97.5% quantile of the normal distribution."""


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


def expanded_quantiles(n: float) -> tuple[float, float]:
    """Return the quantiles of resamples that are a 95% interval of few values.

    ``Phi(-sqrt(n / (n - 1)) t)`` and its complement, with ``t`` the 97.5% quantile of Student's
    distribution with ``n - 1`` degrees of freedom: resamples vary too little by this factor, and
    percentiles by the normal distribution lie too close.

    Args:
        n: Values that are resampled, or that weighted ones are worth, above 1.

    Source:
        Hesterberg, What Teachers Should Know About the Bootstrap, The American Statistician 2015,
        section 3.3 (expanded percentile intervals).
    """
    low = float(ndtr(-math.sqrt(n / (n - 1)) * stdtrit(n - 1, _QUANTILES[1])))
    return low, 1.0 - low


def percentile_interval(
    value: float,
    resamples: NDArray[np.float64],
    *,
    n: int,
    quantiles: tuple[float, float] = _QUANTILES,
) -> Interval:
    """Return a value with its 95% percentile interval.

    Args:
        value: On all data.
        resamples: On every resample, NaN where it is undefined, shape ``(n_resamples,)``.
        n: Number of values.
        quantiles: Of the resamples, see `expanded_quantiles`.

    Returns:
        The interval; NaN ends without a resample.

    Source:
        Efron and Tibshirani, An Introduction to the Bootstrap, 1993, section 13.3.
    """
    known = resamples[~np.isnan(resamples)]
    low, high = np.quantile(known, quantiles) if len(known) else (np.nan, np.nan)
    return Interval(value, float(low), float(high), n)


@dataclass(frozen=True, slots=True, eq=False)
class Resampled:
    """Ratios of sums over customers, and the same in every resample.

    Attributes:
        values: Each column's ratio; NaN of nothing, shape ``(n_columns,)``.
        resamples: Shape ``(n_resamples, n_columns)``; NaN where nothing was drawn.
        sizes: Number of values of each column, shape ``(n_columns,)``.
        n_customers: Number of customers with a value of each column, same shape.
    """

    values: NDArray[np.float64]
    resamples: NDArray[np.float64]
    sizes: NDArray[np.int64]
    n_customers: NDArray[np.int64]

    def intervals(self) -> list[Interval]:
        """Return each column's ratio with its percentile interval."""
        columns = zip(self.values.tolist(), self.resamples.T, self.sizes.tolist(), strict=True)
        return [percentile_interval(value, resamples, n=n) for value, resamples, n in columns]

    def p_values(self) -> NDArray[np.float64]:
        """Return two-sided p-values of the columns against 0, shape ``(n_columns,)``.

        Twice the share of resamples on the rarer side of 0, at least ``2 / (n_resamples + 1)``, and
        at least ``2 ** (1 - n_customers)``: by chance alone all customers agree so often. NaN below
        two customers, which say nothing of how customers differ.

        Source:
            Dixon and Mood, The Statistical Sign Test, JASA 1946, for the least p-value.
        """
        # One more than counted, as the data itself is one of the resamples: never 0.
        below = (self.resamples <= 0).sum(axis=0)
        above = (self.resamples >= 0).sum(axis=0)
        n = len(self.resamples) + 1
        rarer = np.minimum(np.minimum(below, above) + 1, n / 2)
        p_values = np.maximum(2 * rarer / n, np.exp2(1.0 - self.n_customers))
        return np.where(self.n_customers > 1, p_values, np.nan)


def resample(
    values: NDArray[np.float64],
    customers: NDArray[np.int64],
    *,
    seed: int,
    per: NDArray[np.float64] | None = None,
    n_resamples: int = N_RESAMPLES,
) -> Resampled:
    """Divide sums of values by sums of ``per``, with a bootstrap over customers.

    Each resample weights every customer by a Poisson(1) number, the same for all their values and
    all columns: differences between columns are paired.

    Args:
        values: A row per slate, NaN without a value, shape ``(n, n_columns)``.
        customers: Customer of each slate, shape ``(n,)``.
        seed: Seed of the resamples.
        per: What each value is a share of, same shape; 1 if None, which gives means.
        n_resamples: Number of resamples, in hundreds.

    Source:
        Efron and Tibshirani, An Introduction to the Bootstrap, 1993, section 8.3; Poisson
        weights as in Hanley and MacGibbon, 2006.
    """
    judged = ~np.isnan(values)
    # A value that is missing has neither a sum nor a size.
    divisors = np.where(judged, 1.0 if per is None else per, 0.0)
    _, group = np.unique(customers, return_inverse=True)
    sums = _by_customer(np.where(judged, values, 0.0), group)
    sizes = _by_customer(divisors, group)
    rng = np.random.default_rng(seed)
    parts: list[NDArray[np.float64]] = []
    for _ in range(n_resamples // _AT_ONCE):
        weights = rng.poisson(1.0, size=(_AT_ONCE, len(sums))).astype(np.float64)
        parts.append(_ratio(weights @ sums, weights @ sizes))
    total = _ratio(sums.sum(axis=0), sizes.sum(axis=0))
    n_customers = (_by_customer(judged.astype(np.float64), group) > 0).sum(axis=0)
    return Resampled(total, np.concatenate(parts), judged.sum(axis=0), n_customers)


def mean_interval(
    values: NDArray[np.float64], customers: NDArray[np.int64], *, seed: int
) -> Interval:
    """Average values ``(n,)``, NaN without one, with a bootstrap over customers; see `resample`."""
    return resample(values[:, None], customers, seed=seed).intervals()[0]


def wilson_interval(successes: int, trials: int) -> Interval:
    """Estimate a share, with Wilson's score interval; no trials give NaN.

    Args:
        successes: At most ``trials``.
        trials: Independent trials.
    """
    if not trials:
        return Interval(float("nan"), float("nan"), float("nan"), 0)
    share = successes / trials
    return Interval(share, *wilson(share, trials), trials)


def _by_customer(values: NDArray[np.float64], group: NDArray[np.intp]) -> NDArray[np.float64]:
    n = int(group.max(initial=-1)) + 1
    summed = np.zeros((n, values.shape[1]))
    np.add.at(summed, group, values)
    return summed


def _ratio(sums: NDArray[np.float64], sizes: NDArray[np.float64]) -> NDArray[np.float64]:
    ratio = np.full(sums.shape, np.nan)
    np.divide(sums, sizes, out=ratio, where=sizes != 0)
    return ratio
