"""Gamma-Poisson model of counts: the mean rate, and how much single rates differ from it."""

from typing import Final

import numpy as np
from numpy.typing import NDArray

# Bounds of the weight of the prior rate, against one's own events; chosen.
_SHAPES: Final = (0.5, 1_000.0)


def rate_and_shape(seen: NDArray[np.float64], tried: NDArray[np.float64]) -> tuple[float, float]:
    """Estimate the mean rate, and the shape of the gamma distribution of rates around it.

    By the method of moments: the variance of counts is their Poisson variance and
    ``expected² / shape``.

    Args:
        seen: Events of each unit, shape ``(n,)``.
        tried: Opportunities of each, at which events happen at its rate, same shape.

    Returns:
        The rate, 0 without an opportunity, and the shape, between 0.5 and 1,000.
    """
    least, most = _SHAPES
    if not tried.any():
        return 0.0, most
    rate = float(seen.sum() / tried.sum())
    expected = rate * tried
    beyond = float((np.square(seen - expected) - expected).sum())
    if beyond <= 0:
        return rate, most
    return rate, min(max(float(np.square(expected).sum()) / beyond, least), most)
