"""Grouped sums and pair counts by sparse matrices."""
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix


def group_sums(
    groups: NDArray[np.int64], rows: NDArray[np.int64], *, n_groups: int, table: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Sum rows of a table by group, without a copy of the rows.

    Args:
        groups: Group of each entry, shape ``(n,)``.
        rows: Row of the table of each entry, same shape.
        n_groups: Number of groups.
        table: Shape ``(n_rows, width)``.

    Returns:
        Shape ``(n_groups, width)``.
    """
    shape = (n_groups, len(table))
    matrix = csr_matrix((np.ones(len(rows)), (groups, rows)), shape=shape)
    return np.asarray(matrix @ table, dtype=np.float64)


@dataclass(frozen=True, eq=False)
class Pairs:
    """Ordered pairs of different rows, each once, by the first row and then the second.

    Attributes:
        starts: Where the pairs of each first row start, and the end, shape ``(n_rows + 1,)``.
        others: The second row of each pair, ascending within a first row, shape ``(n,)``.
        counts: How often the pair occurs, positive, same shape.
    """

    starts: NDArray[np.int64]
    others: NDArray[np.int64]
    counts: NDArray[np.float64]


def shared(
    groups: NDArray[np.int64], rows: NDArray[np.int64], *, n_groups: int, n_rows: int
) -> Pairs:
    """Count the groups that two rows have in common, of entries ``(n,)`` without repetition."""
    matrix = csr_matrix((np.ones(len(rows)), (groups, rows)), shape=(n_groups, n_rows))
    together = (matrix.T @ matrix).tocsr()
    together.sort_indices()
    first = np.repeat(np.arange(n_rows), np.diff(together.indptr))
    different = first != together.indices
    sizes = np.bincount(first[different], minlength=n_rows)
    return Pairs(
        np.concatenate([[0], np.cumsum(sizes)]),
        together.indices[different].astype(np.int64),
        together.data[different],
    )
