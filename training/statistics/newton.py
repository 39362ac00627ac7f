"""Damped Newton iteration, for the convex losses that training minimises."""

from collections.abc import Callable
from typing import Final

import numpy as np
from numpy.typing import NDArray

_MAX_STEPS: Final = 50  # the fits of this project take 5 to 15; a separable sample never ends
_MAX_HALVINGS: Final = 30  # to a billionth of a step


def newton(
    start: NDArray[np.float64],
    step: Callable[[NDArray[np.float64]], NDArray[np.float64]],
    *,
    loss: Callable[[NDArray[np.float64]], float],
    longest: float,
    tolerance: float,
) -> NDArray[np.float64]:
    """Iterate ``x - step(x)`` until steps are short; the loss never rises.

    Far from the optimum a full Newton step can overshoot: a longer one is scaled so that its
    largest component is ``longest``, and one that does not lower the loss is halved until it
    does.

    Args:
        start: First guess, shape ``(n,)``.
        step: Returns ``inverse(Hessian) @ gradient`` at a point, shape ``(n,)``.
        loss: The convex function of a point whose gradient that is.
        longest: Largest absolute component of a step, positive.
        tolerance: Stop when no component of a step exceeds it.

    Returns:
        The last point, after at most 50 steps, shape ``(n,)``.

    Source:
        Boyd and Vandenberghe, Convex Optimization, 2004, section 9.5.2.
    """
    found, least = start, loss(start)
    for _ in range(_MAX_STEPS):
        full = step(found)
        size = float(np.abs(full).max())
        whole = move = full * min(1.0, longest / max(size, tolerance))
        if size < tolerance:
            return found - whole
        for _ in range(_MAX_HALVINGS):
            reached = loss(found - move)
            if reached < least:
                break
            move = move / 2
        else:
            # So near the optimum that rounding hides the fall of the loss.
            return found - whole
        found, least = found - move, reached
    return found
