"""Effective size: how many equally weighted observations a weighted sample is worth."""

from typing import Final

import numpy as np
from numpy.typing import NDArray

# Of rare rewards these decide how wide and how true an interval is
# (tests/unit/training/off_policy/test_coverage.py).
MIN_REWARDED: Final = 30.0
"""Effective rewarded observations below which nothing is estimated."""


def effective_size(weights: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return how many unweighted observations the weighted ones are worth.

    ``sum(w)^2 / sum(w^2)``, and 0 where all weigh 0.

    Args:
        weights: Shape ``(n, ...)``.

    Returns:
        Shape ``(...)``.

    Source:
        Kish, Survey Sampling, 1965.
    """
    squares = (weights**2).sum(axis=0)
    size = np.zeros(weights.shape[1:])
    np.divide(weights.sum(axis=0) ** 2, squares, out=size, where=squares > 0)
    return size
