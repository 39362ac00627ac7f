"""How alike two picture vectors are, in whole steps that float32 adds without any error."""

from collections.abc import Iterator
from typing import Final

import numpy as np
from numpy.typing import NDArray

# Vectors are compared in whole steps of 1 / SCALE. Products of unit vectors then sum to less than
# 2^24 in whole numbers, which float32 adds without any error, in any order: a similarity is the
# same bits whatever else is searched beside it.
SCALE: Final = 4_000
LARGEST: Final = SCALE * SCALE
NONE: Final = np.int64(-1)

_ROW_BITS: Final = 32
_LAST_ROW: Final = (1 << _ROW_BITS) - 1


def in_steps(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    """Round unit vectors to whole steps; shape as given."""
    steps = vectors * np.float32(SCALE)
    np.rint(steps, out=steps)
    steps += np.float32(0)  # of two zeros, which are not the same bytes, one
    return steps


def ranked(dots: NDArray[np.floating], rows: NDArray[np.int64]) -> NDArray[np.int64]:
    """Number neighbours so that a better one has a larger number; of equal ones the lower row.

    Args:
        dots: Products of vectors in steps, any shape.
        rows: Rows of the neighbours, a shape that fits; negative for none.

    Returns:
        Ranks; `NONE` for what is not similar at all.
    """
    steps = np.clip(dots, 0, LARGEST).astype(np.int64)
    return np.where((steps > 0) & (rows >= 0), (steps << _ROW_BITS) + (_LAST_ROW - rows), NONE)


def unranked(ranks: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the products and the rows that ranks were made of, 0 and -1 for `NONE`."""
    rows = _LAST_ROW - (ranks & _LAST_ROW)
    return np.maximum(ranks >> _ROW_BITS, 0), np.where(ranks < 0, NONE, rows)


def best(ranks: NDArray[np.int64], k: int) -> NDArray[np.int64]:
    """Return the ``k`` largest ranks of each row, the largest first, filled up with `NONE`."""
    if ranks.shape[1] > k:
        ranks = np.partition(ranks, -k, axis=1)[:, -k:]
    found = np.full((len(ranks), k), NONE)
    found[:, : ranks.shape[1]] = -np.sort(-ranks, axis=1)
    return found


def blocks(n: int, size: int) -> Iterator[slice]:
    """Cut ``n`` rows into slices of a size."""
    return (slice(start, start + size) for start in range(0, n, size))
