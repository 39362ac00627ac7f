"""Cells of alike pictures: where there are very many, only near cells are searched.

Cells follow from the oldest pictures alone, in whole numbers. A new sale therefore never moves
them, and a catalogue built upon an earlier one has the neighbours of one built from nothing.
"""

from dataclasses import dataclass
from typing import Final, Self

import numpy as np
from numpy.typing import NDArray

from models.neighbours.quantization import LARGEST, SCALE, blocks

RECALL: Final = 0.98
"""The share of true neighbours that a search must find, measured where cells are made."""

_PER_CELL: Final = 40  # old pictures to place a cell by; k-means asks for 39 at least
_ROUNDS: Final = 8
_N_JUDGED: Final = 1_000
_WORTHWHILE: Final = 4  # searching more than one cell in four costs more than searching all
_BLOCK: Final = 4_096


@dataclass(frozen=True, slots=True, eq=False)
class Cells:
    """Directions, and how many of the nearest to search.

    Attributes:
        centres: Vectors in steps, shape ``(n_cells, n_dimensions)``.
        n_searched: Nearest cells in which a vector's neighbours are looked for.
    """

    centres: NDArray[np.float32]
    n_searched: int

    @classmethod
    def among(cls, vectors: NDArray[np.float32], *, n_neighbours: int) -> Self | None:
        """Place cells, and search as many as find `RECALL` of the neighbours among vectors.

        Among more vectors neighbours are nearer, and found rather more often.

        Args:
            vectors: In steps, shape ``(n, n_dimensions)``.
            n_neighbours: How many neighbours are asked for.

        Returns:
            None where that would be more than one cell in four.
        """
        distinct = np.unique(vectors, axis=0)
        centres = _centres(distinct)
        ranks = np.sort(_cell_ranks(distinct, centres, n_neighbours=n_neighbours))
        if not len(ranks):
            return None
        n_searched = int(ranks[int(np.ceil(RECALL * len(ranks))) - 1]) + 1
        return cls(centres, n_searched) if n_searched * _WORTHWHILE <= len(centres) else None

    def places(self, vectors: NDArray[np.float32]) -> tuple[NDArray[np.int16], NDArray[np.int16]]:
        """Find the cell that each vector lies in, and those that it searches.

        What is found of a vector does not depend on those beside it.

        Args:
            vectors: In steps, shape ``(n, n_dimensions)``.

        Returns:
            Cells, shape ``(n,)``, and searched cells, shape ``(n, n_searched)``.
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
    """Which cell each row lies in, and which it searches.

    Attributes:
        sample: The rows that the cells were placed by, ascending, shape ``(n_sample,)``.
        cells: The cells; None where they do not pay, and every row searches all.
        home: Cell of each row, shape ``(n,)``.
        searched: Cells that each row searches, shape ``(n, n_searched)``.
    """

    sample: NDArray[np.int64]
    cells: Cells | None
    home: NDArray[np.int16]
    searched: NDArray[np.int16]

    @classmethod
    def of(
        cls, vectors: NDArray[np.float32], sample: NDArray[np.int64], *, n_neighbours: int
    ) -> Self:
        """Place cells by some rows, and all rows into cells.

        Args:
            vectors: In steps, shape ``(n, n_dimensions)``.
            sample: The rows to place cells by, ascending.
            n_neighbours: How many neighbours are asked for.
        """
        cells = Cells.among(vectors[sample], n_neighbours=n_neighbours)
        return cls(sample, cells, *_places(cells, vectors))

    def moved(
        self,
        vectors: NDArray[np.float32],
        sample: NDArray[np.int64],
        *,
        kept: NDArray[np.int64],
        before: NDArray[np.int64],
    ) -> Self:
        """Place rows that are new; the cells are those of the same sample.

        Args:
            vectors: In steps, shape ``(n, n_dimensions)``.
            sample: Where the rows of the sample stand now.
            kept: Rows with the vector that they had, ascending.
            before: Where those stood before.
        """
        new = np.setdiff1d(np.arange(len(vectors)), kept)
        home, searched = _places(self.cells, vectors[new])
        all_home = np.empty(len(vectors), dtype=np.int16)
        all_searched = np.empty((len(vectors), searched.shape[1]), dtype=np.int16)
        all_home[new], all_searched[new] = home, searched
        all_home[kept], all_searched[kept] = self.home[before], self.searched[before]
        return type(self)(sample, self.cells, all_home, all_searched)

    def reaches(self, rows: NDArray[np.int64], others: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Return, pair by pair, whether a row searches another one's cell; shape as given."""
        if self.cells is None:
            return np.ones(len(rows), dtype=np.bool_)
        return np.any(self.searched[rows] == self.home[others][:, None], axis=1)

    def reached(self, rows: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Return which rows lie in cells that some rows search, shape ``(n_rows, n)``."""
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
    """Place cells by k-means on directions; a cell that loses all vectors stays where it was."""
    n_cells = max(len(vectors) // _PER_CELL, 1)
    centres = vectors[np.linspace(0, len(vectors) - 1, n_cells).astype(np.int64)]
    for _ in range(_ROUNDS):
        home = _nearest(vectors, centres)
        order = np.argsort(home, kind="stable")
        filled, starts = np.unique(home[order], return_index=True)
        # Whole numbers in float64: the sum has no rounding, and so no order.
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
    """Return, for true neighbours of some vectors, how many cells come before theirs.

    Args:
        vectors: Distinct, shape ``(n, n_dimensions)``.
        centres: Cells.
        n_neighbours: Nearest others to look at.
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
