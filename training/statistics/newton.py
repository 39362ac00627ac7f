"""Damped Newton iteration, for the concave likelihoods that training maximises."""

from collections.abc import Callable
from typing import Final

import numpy as np
from numpy.typing import NDArray

_MAX_STEPS: Final = 50  # the fits of this project take 5 to 15; a separable sample never ends


def newton(
    start: NDArray[np.float64],
    step: Callable[[NDArray[np.float64]], NDArray[np.float64]],
    *,
    longest: float,
    tolerance: float,
) -> NDArray[np.float64]:
    """Iterate ``x - step(x)`` until steps are short.

    Far from the optimum a full Newton step can overshoot: a longer one is scaled so that its
    largest component is ``longest``.

    Args:
        start: First guess, shape ``(n,)``.
        step: Returns ``inverse(Hessian) @ gradient`` at a point, shape ``(n,)``.
        longest: Largest absolute component of a step, positive.
        tolerance: Stop when no component of a step exceeds it.

    Returns:
        The last point, after at most 50 steps, shape ``(n,)``.
    """
    found = start
    for _ in range(_MAX_STEPS):
        full = step(found)
        size = float(np.abs(full).max())
        found = found - full * min(1.0, longest / max(size, tolerance))
        if size < tolerance:
            break
    return found
