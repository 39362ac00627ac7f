"""Tails and quantiles of the normal and the chi-square distribution, in closed form."""

import math
from statistics import NormalDist
from typing import Final

_NORMAL: Final = NormalDist()
_ROOT_2: Final = math.sqrt(2.0)


def two_sided_tail(z: float) -> float:
    """Return the probability that a standard normal lies at least as far from 0 as ``z``.

    ``erfc(|z| / sqrt(2))``, exact in the far tail too.
    """
    return math.erfc(abs(z) / _ROOT_2)


def normal_quantile(share: float) -> float:
    """Return the quantile of a standard normal for a probability in ``(0, 1)``.

    Raises:
        ValueError: If the probability is 0, 1 or outside.
    """
    if not 0 < share < 1:
        msg = f"the probability of a quantile must be in (0, 1), got {share:g}"
        raise ValueError(msg)
    return _NORMAL.inv_cdf(share)


def chi_square_tail(value: float, degrees: int) -> float:
    """Return the probability that chi-square exceeds a value.

    For even degrees ``exp(-h) sum(h^i / i!, i < d / 2)`` with ``h = value / 2``; for odd ones
    ``erfc(sqrt(h)) + exp(-h) sum(h^(i - 1/2) / gamma(i + 1/2), 1 <= i <= (d - 1) / 2)``.

    Args:
        value: Not negative.
        degrees: Degrees of freedom, at least 1.

    Raises:
        ValueError: If ``degrees`` is below 1 or ``value`` is negative.

    Source:
        Abramowitz and Stegun, Handbook of Mathematical Functions, 26.4.4 and 26.4.5.
    """
    if degrees < 1 or value < 0:
        msg = f"chi-square needs degrees >= 1 and a value >= 0, got {degrees}, {value:g}"
        raise ValueError(msg)
    # Sums of half as many terms as there are degrees, which are fewer than 20 variants.
    half = value / 2
    if degrees % 2 == 0:
        terms = [half**i / math.factorial(i) for i in range(degrees // 2)]
        return math.exp(-half) * sum(terms)
    terms = [half ** (i - 0.5) / math.gamma(i + 0.5) for i in range(1, (degrees + 1) // 2)]
    return math.erfc(math.sqrt(half)) + math.exp(-half) * sum(terms)
