"""Tails and quantiles of the normal distribution, in closed form."""

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
