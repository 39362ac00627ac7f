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
    """Ordered pairs of different rows, each once; all of shape ``(n,)``.

    Attributes:
        rows: The first of each.
        others: The second.
        counts: How often the pair occurs, positive.
    """

    rows: NDArray[np.int64]
    others: NDArray[np.int64]
    counts: NDArray[np.float64]


def shared(
    groups: NDArray[np.int64], rows: NDArray[np.int64], *, n_groups: int, n_rows: int
) -> Pairs:
    """Count the groups that two rows have in common, of entries ``(n,)`` without repetition."""
    matrix = csr_matrix((np.ones(len(rows)), (groups, rows)), shape=(n_groups, n_rows))
    together = (matrix.T @ matrix).tocoo()
    different = together.row != together.col
    return Pairs(
        together.row[different].astype(np.int64),
        together.col[different].astype(np.int64),
        together.data[different],
    )
