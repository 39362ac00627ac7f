"""Reference values of scipy, with types, for tests of statistics."""
# scipy ships no types.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy import stats

Values = NDArray[np.float64]


def normal_density(z: Values) -> Values:
    """Return the density of the standard normal."""
    return np.asarray(stats.norm.pdf(z))


def two_sided_tail(z: float) -> float:
    """Return the probability that a standard normal lies at least as far from 0."""
    return float(2 * stats.norm.sf(abs(z)))


def chi_square_tail(value: float, degrees: int) -> float:
    """Return the probability that chi-square exceeds a value."""
    return float(stats.chi2.sf(value, degrees))


def welch(first: Values, second: Values) -> float:
    """Return the p-value of Welch's t-test."""
    _, p_value = np.asarray(stats.ttest_ind(first, second, equal_var=False))
    return float(p_value)


def uniform(values: Sequence[float]) -> float:
    """Return the p-value of the Kolmogorov-Smirnov test for the uniform distribution."""
    return float(stats.kstest(values, "uniform").pvalue)


def regression(x: Values, y: Values) -> tuple[float, float]:
    """Return the slope of ``y`` over ``x`` and their correlation."""
    slope, _, correlation, *_ = np.asarray(stats.linregress(x, y))
    return float(slope), float(correlation)


def power(effect: float, error: float) -> float:
    """Return the power of a two-sided z-test at the level of 5%."""
    width, apart = stats.norm.ppf(0.975), effect / error
    return float(stats.norm.cdf(apart - width) + stats.norm.cdf(-apart - width))
