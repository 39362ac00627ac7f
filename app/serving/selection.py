"""From scored candidates to a slate."""

import numpy as np
from numpy.typing import NDArray


def best(scores: NDArray[np.float64], limit: int) -> NDArray[np.intp]:
    """Return the indices of the highest scores, best first; equal ones in given order.

    Args:
        scores: One per candidate, shape ``(n_candidates,)``, no NaN.
        limit: Length of the slate.

    Returns:
        Indices, shape ``(min(limit, n_candidates),)``.
    """
    return np.argsort(-scores, kind="stable")[:limit]
