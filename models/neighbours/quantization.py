"""Quantization of picture vectors to integers, whose dot products are exact in float32."""

from collections.abc import Iterator
from typing import Final

import numpy as np
from numpy.typing import NDArray

# Vectors are quantised to integers of 1 / SCALE. Dot products of unit vectors are then integers
# below 2^24, which float32 sums exactly in any order: a similarity has equal bits in every search.
SCALE: Final = 4_000
LARGEST: Final = SCALE * SCALE
NONE: Final = np.int64(-1)

# Similarity above, row below: integers then sort by both. 24 and 32 bits fit into 63.
_ROW_BITS: Final = 32
_LAST_ROW: Final = (1 << _ROW_BITS) - 1


def quantize(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    """Quantise unit vectors to multiples of ``1 / SCALE``; same shape, integers in float32."""
    steps = vectors * np.float32(SCALE)
    np.rint(steps, out=steps)
    steps += np.float32(0)  # turns -0 into 0, which has other bytes
    return steps


def ranked(dots: NDArray[np.floating], rows: NDArray[np.int64]) -> NDArray[np.int64]:
    """Encode neighbours as integers that sort by similarity; ties by the lower row.

    Args:
        dots: Dot products of quantised vectors, any shape.
        rows: Rows of the neighbours, broadcastable; negative for none.

    Returns:
        Ranks, larger is better; `NONE` for a similarity of 0 or less.
    """
    steps = np.clip(dots, 0, LARGEST).astype(np.int64)
    return np.where((steps > 0) & (rows >= 0), (steps << _ROW_BITS) + (_LAST_ROW - rows), NONE)


def unranked(ranks: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Decode ranks to dot products and rows, 0 and -1 for `NONE`."""
    rows = _LAST_ROW - (ranks & _LAST_ROW)
    return np.maximum(ranks >> _ROW_BITS, 0), np.where(ranks < 0, NONE, rows)


def best(ranks: NDArray[np.int64], k: int) -> NDArray[np.int64]:
    """Return the ``k`` largest ranks of each row, descending, padded with `NONE`, ``(n, k)``."""
    if ranks.shape[1] > k:
        ranks = np.partition(ranks, -k, axis=1)[:, -k:]
    found = np.full((len(ranks), k), NONE)
    found[:, : ranks.shape[1]] = -np.sort(-ranks, axis=1)
    return found


def blocks(n: int, size: int) -> Iterator[slice]:
    """Yield slices of ``size`` rows."""
    return (slice(start, start + size) for start in range(0, n, size))
