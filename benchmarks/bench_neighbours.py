"""Time and recall of the nearest neighbours of pictures, exact and by near cells (IVF).

Question: building all neighbours from nothing, changing one picture, and recall@20 above the
number of pictures from which on only near cells are searched.

Method: one thread; unit vectors around 300 scenes, once with noise in every direction and once
in 12 directions of each scene; recall on 200 rows against an exact search. One run each.

Last numbers: see results/benchmarks/neighbours-*.json after `make bench`.
"""

import time
from collections.abc import Callable
from typing import TypeVar

import numpy as np
import pytest
from numpy.typing import NDArray

from benchmarks.results import write_result
from models.neighbours.search import EMBEDDING_SIZE, Neighbours, nearest, search_device

T = TypeVar("T")

N_JUDGED = 200


def pictures(n: int, rng: np.random.Generator, *, n_directions: int) -> NDArray[np.float32]:
    """Vectors around scenes, which vary in some directions more than in others."""
    scenes = rng.normal(size=(300, EMBEDDING_SIZE))
    directions = rng.normal(size=(300, n_directions, EMBEDDING_SIZE)) * 0.25
    which = rng.integers(0, 300, n)
    vectors = scenes[which] + rng.normal(size=(n, EMBEDDING_SIZE)) * (0.2 if n_directions else 0.7)
    for scene in range(300 if n_directions else 0):
        rows = np.flatnonzero(which == scene)
        vectors[rows] += rng.normal(size=(len(rows), n_directions)) @ directions[scene]
    vectors /= np.sqrt(np.square(vectors).sum(axis=1, keepdims=True))
    return vectors.astype(np.float32)


def timed(call: Callable[[], T]) -> tuple[T, float]:
    """Return what a call returns, and the seconds it took."""
    started = time.perf_counter()
    result = call()
    return result, round(time.perf_counter() - started, 3)


def recall(found: Neighbours, vectors: NDArray[np.float32], rng: np.random.Generator) -> float:
    """Share of the true 20 neighbours of some rows that were found."""
    everyone = np.arange(len(vectors))
    hits = 0
    for row in rng.choice(len(vectors), N_JUDGED, replace=False).tolist():
        true, _ = nearest(vectors, vectors[row], rows=everyone[everyone != row], k=20)
        hits += len(np.intersect1d(true, found.rows[row]))
    return round(hits / N_JUDGED / 20, 4)


@pytest.mark.parametrize(
    ("n", "n_directions", "equal"),
    [
        (10_000, 0, 0),
        (10_000, 0, 5_000),
        (99_999, 0, 0),
        (100_000, 0, 0),
        (200_000, 0, 0),
        (200_000, 12, 0),
    ],
)
def test_neighbours(n: int, n_directions: int, equal: int) -> None:
    """Build from nothing, change one picture, and compare with an exact search."""
    rng = np.random.default_rng(1)
    vectors = pictures(n, rng, n_directions=n_directions)
    vectors[:equal] = vectors[0]
    rows = rng.permutation(n)
    found, from_nothing_s = timed(lambda: Neighbours.from_embeddings(vectors, opens_us=rows))
    after = vectors.copy()
    after[int(rows.argmax())] = pictures(1, rng, n_directions=0)[0]
    _, one_change_s = timed(lambda: found.updated(vectors, after, rows=np.arange(n), opens_us=rows))
    figures: dict[str, object] = {
        "from_nothing_s": from_nothing_s,
        "one_change_s": one_change_s,
        "device": str(search_device()),
    }
    if found.partition is not None and found.partition.cells is not None:
        cells = found.partition.cells
        figures |= {"cells": len(cells.centres), "searched": cells.n_searched}
        figures["recall_at_20"] = recall(found, vectors, rng)
    write_result(f"neighbours-{n}-{n_directions}-{equal}", figures)
