"""Damped Newton iteration, for the losses that training minimises."""

from collections.abc import Callable
from typing import Final

import numpy as np
from numpy.typing import NDArray

_MAX_STEPS: Final = 50  # the fits of this project take 5 to 15; a separable sample never ends
_MAX_HALVINGS: Final = 30  # to a billionth of a step
# Rounding hides what a shorter step gains: half its square, of losses up to about 10^5 times the
# curvature, as of as many examples.
_HIDDEN: Final = 1e-5


def newton(
    start: NDArray[np.float64],
    step: Callable[[NDArray[np.float64]], NDArray[np.float64]],
    *,
    loss: Callable[[NDArray[np.float64]], float],
    longest: float,
    tolerance: float,
) -> NDArray[np.float64]:
    """Iterate ``x - step(x)`` until steps are short; longer ones lower the loss.

    Far from the optimum a full Newton step can overshoot: a longer one is scaled so that its
    largest component is ``longest``, and one that does not lower the loss is halved until it
    does. Where no part of a step does, the iteration ends; the step is taken only if it is so
    short that rounding hides what it gains.

    Args:
        start: First guess, shape ``(n,)``.
        step: Returns ``inverse(Hessian) @ gradient`` at a point, shape ``(n,)``; of a function
            that is not convex, with a positive definite matrix in place of the Hessian.
        loss: The function of a point whose gradient that is.
        longest: Largest absolute component of a step, positive.
        tolerance: A step is the last one, and taken as it is, when no component exceeds this.

    Returns:
        The last point, after at most 50 steps, shape ``(n,)``.

    Raises:
        FloatingPointError: If the loss of the first guess or a step is not finite.

    Source:
        Boyd and Vandenberghe, Convex Optimization, 2004, section 9.5.2.
    """
    found, least = start, loss(start)
    _require_finite(least, "the loss of the first guess")
    for _ in range(_MAX_STEPS):
        full = step(found)
        size = float(np.abs(full).max())
        _require_finite(size, "a step")
        whole = move = full * min(1.0, longest / max(size, tolerance))
        if size < tolerance:
            return found - whole
        for _ in range(_MAX_HALVINGS):
            reached = loss(found - move)
            if reached < least:
                break
            move = move / 2
        else:
            return found - whole if size < _HIDDEN else found
        found, least = found - move, reached
    return found


def _require_finite(value: float, name: str) -> None:
    if not np.isfinite(value):
        msg = f"{name} of Newton's iteration is {value}: what is fitted has values not finite"
        raise FloatingPointError(msg)
