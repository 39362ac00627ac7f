"""Sums over customers and sales as sparse matrices."""
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix


def group_sums(
    groups: NDArray[np.int64], rows: NDArray[np.int64], *, n_groups: int, table: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Sum rows of a table by group; a group's rows are never copied out of the table.

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
