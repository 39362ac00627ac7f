"""Inverted file index (IVF): approximate nearest-neighbour search in the nearest k-means cells.

The centroids depend on the oldest pictures only and are integers. New sales therefore do not move
them, and an incrementally updated catalogue has the same neighbours as one built from scratch.
"""

from dataclasses import dataclass
from typing import Final, Self

import numpy as np
from numpy.typing import NDArray

from models.neighbours.quantization import LARGEST, SCALE, blocks

# Chosen: see decision record 0014.
RECALL: Final = 0.98
"""Recall that the number of searched cells must reach on the sample."""

# Sample vectors per centroid; faiss warns below 39.
_PER_CELL: Final = 40
# Rounds of k-means; chosen, not measured.
_ROUNDS: Final = 8
# Chosen: sample vectors by which the recall is measured.
_N_JUDGED: Final = 1_000
# Searching more than one cell in four costs more than an exact search.
_WORTHWHILE: Final = 4
# Rows at once; bounds memory.
_BLOCK: Final = 4_096


@dataclass(frozen=True, slots=True, eq=False)
class Cells:
    """Centroids of the cells, and the number of cells that a search probes.

    Attributes:
        centres: Quantised centroids, shape ``(n_cells, n_dimensions)``.
        n_searched: Number of nearest cells that a search probes.
    """

    centres: NDArray[np.float32]
    n_searched: int

    @classmethod
    def from_sample(cls, vectors: NDArray[np.float32], *, n_neighbours: int) -> Self | None:
        """Place centroids by k-means, and probe as many cells as reach `RECALL` on the sample.

        Among more vectors, neighbours are nearer, and the recall tends to be higher.

        Args:
            vectors: Quantised sample, shape ``(n, n_dimensions)``.
            n_neighbours: Number of neighbours of a search.

        Returns:
            None if more than one cell in four would have to be probed.
        """
        # A picture that many sales share would draw centroids to itself.
        distinct = np.unique(vectors, axis=0)
        centres = _centres(distinct)
        ranks = np.sort(_cell_ranks(distinct, centres, n_neighbours=n_neighbours))
        if not len(ranks):
            return None
        n_searched = int(ranks[int(np.ceil(RECALL * len(ranks))) - 1]) + 1
        return cls(centres, n_searched) if n_searched * _WORTHWHILE <= len(centres) else None

    def places(self, vectors: NDArray[np.float32]) -> tuple[NDArray[np.int16], NDArray[np.int16]]:
        """Find the cell of each vector, and the cells that it probes.

        A vector's result does not depend on the other vectors.

        Args:
            vectors: Quantised, shape ``(n, n_dimensions)``.

        Returns:
            Cells, shape ``(n,)``, and probed cells, shape ``(n, n_searched)``.
        """
        home = np.empty(len(vectors), dtype=np.int16)
        searched = np.empty((len(vectors), self.n_searched), dtype=np.int16)
        for block in blocks(len(vectors), _BLOCK):
            dots = vectors[block] @ self.centres.T
            home[block] = dots.argmax(axis=1)
            searched[block] = np.argpartition(-dots, self.n_searched - 1)[:, : self.n_searched]
        return home, searched


@dataclass(frozen=True, slots=True, eq=False)
class InvertedFile:
    """Inverted file of a catalogue: the cell of each row, and the cells that it probes.

    Attributes:
        sample: Rows by which the centroids were placed, ascending, shape ``(n_sample,)``.
        cells: The centroids; None if they do not pay, and the search is exact.
        home: Cell of each row, shape ``(n,)``.
        searched: Cells that each row probes, shape ``(n, n_searched)``.
    """

    sample: NDArray[np.int64]
    cells: Cells | None
    home: NDArray[np.int16]
    searched: NDArray[np.int16]

    @classmethod
    def from_sample(
        cls, vectors: NDArray[np.float32], sample: NDArray[np.int64], *, n_neighbours: int
    ) -> Self:
        """Place centroids by some rows, and assign all rows.

        Args:
            vectors: Quantised, shape ``(n, n_dimensions)``.
            sample: Rows of the sample, ascending.
            n_neighbours: Number of neighbours of a search.
        """
        cells = Cells.from_sample(vectors[sample], n_neighbours=n_neighbours)
        return cls(sample, cells, *_places(cells, vectors))

    def moved(
        self,
        vectors: NDArray[np.float32],
        sample: NDArray[np.int64],
        *,
        kept: NDArray[np.int64],
        before: NDArray[np.int64],
    ) -> Self:
        """Assign new rows to the cells of an unchanged sample.

        Args:
            vectors: Quantised, shape ``(n, n_dimensions)``.
            sample: Present rows of the sample.
            kept: Rows with an unchanged vector, ascending.
            before: Their previous rows.
        """
        new = np.setdiff1d(np.arange(len(vectors)), kept)
        home, searched = _places(self.cells, vectors[new])
        all_home = np.empty(len(vectors), dtype=np.int16)
        all_searched = np.empty((len(vectors), searched.shape[1]), dtype=np.int16)
        all_home[new], all_searched[new] = home, searched
        all_home[kept], all_searched[kept] = self.home[before], self.searched[before]
        return type(self)(sample, self.cells, all_home, all_searched)

    def reaches(self, rows: NDArray[np.int64], others: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Return, pair by pair, whether a row probes the other row's cell; same shape."""
        if self.cells is None:
            return np.ones(len(rows), dtype=np.bool_)
        return np.any(self.searched[rows] == self.home[others][:, None], axis=1)

    def reached(self, rows: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Return which rows are in the cells that ``rows`` probe, shape ``(n_rows, n)``."""
        if self.cells is None:
            return np.ones((len(rows), len(self.home)), dtype=np.bool_)
        is_searched = np.zeros((len(rows), len(self.cells.centres)), dtype=np.bool_)
        np.put_along_axis(is_searched, self.searched[rows].astype(np.int64), values=True, axis=1)
        return is_searched[:, self.home]


def _places(
    cells: Cells | None, vectors: NDArray[np.float32]
) -> tuple[NDArray[np.int16], NDArray[np.int16]]:
    if cells is None:
        n = len(vectors)
        return np.zeros(n, dtype=np.int16), np.empty((n, 0), dtype=np.int16)
    return cells.places(vectors)


def _centres(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    """Place centroids by spherical k-means; the centroid of an empty cell stays unchanged."""
    n_cells = max(len(vectors) // _PER_CELL, 1)
    centres = vectors[np.linspace(0, len(vectors) - 1, n_cells).astype(np.int64)]
    for _ in range(_ROUNDS):
        home = _nearest(vectors, centres)
        order = np.argsort(home, kind="stable")
        filled, starts = np.unique(home[order], return_index=True)
        # Sums of integers in float64 are exact, so their order does not matter.
        sums = np.add.reduceat(vectors[order], starts, axis=0, dtype=np.float64)
        length = np.sqrt(np.square(sums).sum(axis=1, keepdims=True))
        centres = centres.copy()
        centres[filled] = np.rint(sums / np.maximum(length, 1.0) * SCALE)
    return centres


def _nearest(vectors: NDArray[np.float32], centres: NDArray[np.float32]) -> NDArray[np.int64]:
    near = [(vectors[block] @ centres.T).argmax(axis=1) for block in blocks(len(vectors), _BLOCK)]
    return np.concatenate(near)


def _cell_ranks(
    vectors: NDArray[np.float32], centres: NDArray[np.float32], *, n_neighbours: int
) -> NDArray[np.int64]:
    """Return the rank of the cell of each true neighbour, for some query vectors.

    Args:
        vectors: Distinct, shape ``(n, n_dimensions)``.
        centres: Centroids, shape ``(n_cells, n_dimensions)``.
        n_neighbours: Number of neighbours of a search.

    Returns:
        Number of cells that are nearer to the query, shape ``(n_pairs,)``.
    """
    judged = np.unique(np.linspace(0, len(vectors) - 1, _N_JUDGED).astype(np.int64))
    home = _nearest(vectors, centres)
    ranks: list[NDArray[np.int64]] = []
    for block in blocks(len(judged), 100):
        rows = judged[block]
        dots = vectors[rows] @ vectors.T
        dots[np.arange(len(rows)), rows] = -LARGEST
        k = min(n_neighbours, len(vectors) - 1)
        near = np.argpartition(-dots, k - 1, axis=1)[:, :k] if k else np.empty((len(rows), 0), int)
        order = np.argsort(-(vectors[rows] @ centres.T), axis=1, kind="stable")
        place = np.argsort(order, axis=1)
        of_near = np.take_along_axis(place, home[near], axis=1)
        ranks.append(of_near[np.take_along_axis(dots, near, axis=1) > 0])
    return np.concatenate(ranks)
