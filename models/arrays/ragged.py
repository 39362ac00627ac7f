"""Ragged arrays: rows of different lengths, stored one after the other in one array.

Sums per row are bit-identical to those of the row alone.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Self, TypeVar

import numpy as np
from numpy.typing import NDArray

T = TypeVar("T", bound=np.generic)


def flat_cells(rows: NDArray[np.int64], n: int) -> NDArray[np.int64]:
    """Return indices into flattened rows of ``n`` cells: those of row ``i`` begin at ``i * n``.

    Args:
        rows: Cells of each row, shape ``(n_rows, ...)``.
        n: Number of cells of a row.
    """
    if len(rows) == 1:
        return rows
    return rows + (np.arange(len(rows)) * n).reshape(-1, *[1] * (rows.ndim - 1))


@dataclass(frozen=True, eq=False)
class Ragged:
    """Row structure of a ragged array: the row of each value.

    All results are bit-identical to those of each row alone. A request has one row, for which
    the padding and shifting is skipped.

    Attributes:
        owners: The row of each value, ascending, shape ``(n_values,)``.
        n_rows: Number of rows.
    """

    owners: NDArray[np.int64]
    n_rows: int

    @classmethod
    def from_lengths(cls, lengths: list[int]) -> Self:
        """Return rows of these lengths."""
        return cls(np.arange(len(lengths)).repeat(lengths), len(lengths))

    @cached_property
    def lengths(self) -> NDArray[np.int64]:
        """Values of each row, shape ``(n_rows,)``."""
        if self.n_rows == 1:
            return np.array([len(self.owners)])
        return np.bincount(self.owners, minlength=self.n_rows)

    @cached_property
    def ends(self) -> NDArray[np.int64]:
        """Where each row ends, shape ``(n_rows,)``."""
        return self.lengths.cumsum()

    def cells(self, values: NDArray[np.int64], n: int) -> NDArray[np.int64]:
        """Return indices into flattened rows of ``n`` cells; see `flat_cells`.

        Args:
            values: Cells of each value, shape ``(n_values, ...)``.
            n: Number of cells of a row.
        """
        if self.n_rows == 1:
            return values
        return values + (self.owners * n).reshape(-1, *[1] * (values.ndim - 1))

    def select(self, kept: NDArray[np.bool_]) -> Self:
        """Return the rows of the values under a mask ``(n_values,)``."""
        return type(self)(self.owners[kept], self.n_rows)

    def blank_empty(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """Set the results of empty rows to NaN, unless there is only one row.

        Args:
            values: Shape ``(n_rows, ...)``; changed in place.
        """
        if self.n_rows > 1:
            values[self.lengths == 0] = np.nan
        return values

    def sums(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """Sum the values of each row, bit-identical to ``sum`` of the row alone.

        Args:
            values: Shape ``(..., n_values)``.

        Returns:
            Shape ``(..., n_rows)``.
        """
        if self.n_rows == 1:
            return values.sum(axis=-1, keepdims=True)
        # ``reduceat`` starts from the first value, ``sum`` from 0; both then add pairwise: a 0 in
        # front of each row makes them equal.
        led = np.zeros((*values.shape[:-1], values.shape[-1] + self.n_rows))
        led[..., np.arange(values.shape[-1]) + self.owners + 1] = values
        starts = self.ends - self.lengths + np.arange(self.n_rows)
        return np.add.reduceat(led, starts, axis=-1)

    def weighted(
        self,
        weights: NDArray[np.float64],
        vectors: NDArray[np.floating],
        *,
        rows: NDArray[np.int64],
    ) -> NDArray[np.float64]:
        """Sum the vectors of each row by weight, sequentially.

        Args:
            weights: One or more weights of each value, shape ``(n_ways, n_values)``.
            vectors: A table of vectors, finite where used, shape ``(n_vectors, n)``.
            rows: Index of the vector of each value, shape ``(n_values,)``.

        Returns:
            Shape ``(n_ways, n_rows, n)``.
        """
        if self._is_alone(vectors):
            return np.concatenate(
                [
                    one.weighted(weights[:, own], vectors, rows=rows[own])
                    for one, own in self._apart()
                ],
                axis=1,
            )
        # Padding is any vector with weight 0, which changes no bit of the sums.
        chosen = self.padded(rows, before=rows[0] if len(rows) else 0)
        found = vectors.take(chosen, axis=0).astype(np.float64, copy=False)
        return np.einsum("wbi,bij->wbj", self.padded(weights, before=0.0), found)

    def total(self, vectors: NDArray[np.float64], rows: NDArray[np.int64]) -> NDArray[np.float64]:
        """Sum the vectors of each row, sequentially; see `vectors`.

        Returns:
            Shape ``(n_rows, n)``.
        """
        if self._is_alone(vectors):
            return np.concatenate([one.total(vectors, rows[own]) for one, own in self._apart()])
        return np.einsum("bij->bj", self.vectors(vectors, rows))

    def gramian(self, vectors: NDArray[np.float64], rows: NDArray[np.int64]) -> NDArray[np.float64]:
        """Sum the outer products of the vectors of each row with themselves; see `vectors`.

        Returns:
            Shape ``(n_rows, n, n)``.
        """
        if self._is_alone(vectors):
            return np.concatenate([one.gramian(vectors, rows[own]) for one, own in self._apart()])
        block = self.vectors(vectors, rows)
        return np.einsum("bij,bik->bjk", block, block)

    def _is_alone(self, vectors: NDArray[np.floating]) -> bool:
        # ``einsum`` adds scalars in SIMD lanes, vectors sequentially: vectors of length 1 would get
        # other bits in a batch, so their rows are summed one by one.
        return self.n_rows > 1 and vectors.shape[1] == 1

    def _apart(self) -> Iterator[tuple["Ragged", slice]]:
        """Yield each row alone, with the slice of its values."""
        for end, length in zip(self.ends.tolist(), self.lengths.tolist(), strict=True):
            yield Ragged.from_lengths([length]), slice(end - length, end)

    def vectors(self, vectors: NDArray[np.float64], rows: NDArray[np.int64]) -> NDArray[np.float64]:
        """Gather the vectors of each row, right-aligned and padded with zeros.

        Args:
            vectors: A table of vectors, shape ``(n_vectors, n)``.
            rows: Index of the vector of each value, shape ``(n_values,)``.

        Returns:
            Shape ``(n_rows, longest, n)``.
        """
        chosen = self.padded(rows, before=-1)
        found = vectors.take(chosen, axis=0)
        if self.n_rows > 1:
            found[chosen < 0] = 0.0
        return found

    def padded(self, values: NDArray[T], *, before: float) -> NDArray[T]:
        """Pad rows to equal length, values right-aligned.

        Args:
            values: Shape ``(..., n_values)``.
            before: Padding on the left.

        Returns:
            Shape ``(..., n_rows, longest)``.
        """
        if self.n_rows == 1:
            return values[..., None, :]
        longest = int(self.lengths.max())
        block = np.full((*values.shape[:-1], self.n_rows * longest), before, dtype=values.dtype)
        # Every row of the block ends at a multiple of the longest length.
        shift = np.arange(1, self.n_rows + 1) * longest - self.ends
        block[..., np.arange(values.shape[-1]) + shift.take(self.owners)] = values
        return block.reshape(*values.shape[:-1], self.n_rows, longest)
