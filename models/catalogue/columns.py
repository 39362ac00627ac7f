"""Columns of a catalogue; unchanged rows are copied from an earlier one."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Final, Self, TypeVar

import numpy as np
from numpy.typing import NDArray

from models.domain.sale import MAX_MARKETS, Sale

TEXT_COLUMNS: Final = ("category", "country", "destination")
"""Attributes that sales are compared by, in the order of `Vocabulary.codes`."""

# One bit more: the last one stands for markets that no sale names.
_EVERYWHERE: Final = (1 << (MAX_MARKETS + 1)) - 1

S = TypeVar("S", bound=np.generic)
T = TypeVar("T")


@dataclass(frozen=True, slots=True, eq=False)
class RowReuse:
    """Mapping of the rows of a catalogue to those of an earlier one.

    Attributes:
        new: Rows that are computed, ascending, shape ``(n_new,)``.
        kept: Rows that are copied, ascending, shape ``(n_kept,)``.
        before: Their rows in the earlier catalogue, shape ``(n_kept,)``.
    """

    new: NDArray[np.int64]
    kept: NDArray[np.int64]
    before: NDArray[np.int64]

    @classmethod
    def from_rows(cls, rows: NDArray[np.int64], *, is_same: NDArray[np.bool_]) -> Self:
        """Copy the rows whose source is unchanged.

        Args:
            rows: Row in the earlier catalogue, -1 for none, shape ``(n,)``.
            is_same: Whether the source of the columns is unchanged, shape ``(n,)``.
        """
        kept = np.flatnonzero(is_same)
        return cls(np.flatnonzero(~is_same), kept, rows[kept])

    def new_of(self, values: Sequence[T]) -> list[T]:
        """Return the values of the computed rows, of one value a row."""
        rows: list[int] = self.new.tolist()
        return [values[row] for row in rows]

    def column(self, earlier: NDArray[S], made: NDArray[S]) -> NDArray[S]:
        """Join copied and computed values.

        Args:
            earlier: The earlier catalogue's column, shape ``(n_before, ...)``.
            made: Values of the new rows, shape ``(n_new, ...)``.
        """
        column = np.empty((len(self.new) + len(self.kept), *made.shape[1:]), dtype=made.dtype)
        column[self.new] = made
        if len(self.kept):
            column[self.kept] = earlier[self.before]
        return column


@dataclass(frozen=True, slots=True, eq=False)
class Vocabulary:
    """The distinct values of the text columns, and their codes per row.

    Attributes:
        values: Column and value of each code, which counts from 1, in ascending order.
        codes: Codes per row and column, 0 where a value is missing, shape ``(n, 3)``.
    """

    values: tuple[tuple[str, str], ...]
    codes: NDArray[np.intp]

    @classmethod
    def none(cls) -> Self:
        """Return the vocabulary of no sales."""
        return cls((), np.empty((0, len(TEXT_COLUMNS)), dtype=np.intp))

    def updated(self, sales: Sequence[Sale], reuse: RowReuse) -> Self:
        """Encode the text columns of a later catalogue.

        Args:
            sales: The new rows' sales.
            reuse: Rows of the earlier catalogue to copy.
        """
        texts = [(sale.category, sale.country, sale.destination) for sale in sales]
        named = [list(zip(TEXT_COLUMNS, row, strict=True)) for row in texts]
        cells = {(name, value) for row in named for name, value in row if value is not None}
        codes = self.codes[reuse.before]
        used: list[int] = np.flatnonzero(np.bincount(codes.ravel(), minlength=1)[1:]).tolist()
        values = sorted(cells.union(self.values[index] for index in used))
        code: dict[tuple[str, str | None], int] = {v: i for i, v in enumerate(values, start=1)}
        renamed = np.zeros(len(self.values) + 1, dtype=np.intp)
        renamed[[index + 1 for index in used]] = [code[self.values[index]] for index in used]
        made = np.array([[code.get(cell, 0) for cell in row] for row in named], np.intp)
        made = made.reshape(-1, len(TEXT_COLUMNS))
        return type(self)(tuple(values), reuse.column(renamed[self.codes], made))


@dataclass(frozen=True, slots=True, eq=False)
class Markets:
    """Markets of each sale as a bit mask.

    Attributes:
        names: Known markets, sorted.
        bits: Bit ``i`` of a row is set if it may be shown in market ``i``; all ones for sales
            without markets, shape ``(n,)``.
    """

    names: tuple[str, ...]
    bits: NDArray[np.uint64]

    @classmethod
    def none(cls) -> Self:
        """Return the markets of no sales."""
        return cls((), np.empty(0, dtype=np.uint64))

    def bit(self, market: str) -> np.uint64:
        """Return the bit of a market; one that no sale names gets the sales without markets."""
        if market in self.names:
            return np.uint64(1 << self.names.index(market))
        # Only sales without markets, which have all bits, have the last one.
        return np.uint64(1 << MAX_MARKETS)

    def updated(self, sales: Sequence[Sale], reuse: RowReuse) -> Self:
        """Encode the markets of a later catalogue; see `Vocabulary.updated`.

        Raises:
            ValueError: If there are too many.
        """
        bits = self.bits[reuse.before]
        anywhere = bits == np.uint64(_EVERYWHERE)
        named = int(np.bitwise_or.reduce(bits[~anywhere], initial=np.uint64(0)))
        used = [index for index in range(len(self.names)) if named >> index & 1]
        markets = {market for sale in sales for market in sale.markets or ()}
        names = tuple(sorted(markets.union(self.names[index] for index in used)))
        if len(names) > MAX_MARKETS:
            msg = f"at most {MAX_MARKETS} markets are supported, got {len(names)}"
            raise ValueError(msg)
        bit = {market: 1 << index for index, market in enumerate(names)}
        renamed = np.where(anywhere, bits, np.uint64(0))
        for index in used:
            has = ~anywhere & (bits >> np.uint64(index) & np.uint64(1) != 0)
            renamed[has] |= np.uint64(bit[self.names[index]])
        column = np.empty(len(reuse.new) + len(reuse.kept), dtype=np.uint64)
        column[reuse.kept] = renamed
        column[reuse.new] = [
            _EVERYWHERE if sale.markets is None else sum(bit[name] for name in set(sale.markets))
            for sale in sales
        ]
        return type(self)(names, column)


def numbers(sales: Iterable[Sale], read: Callable[[Sale], float | None]) -> NDArray[np.float64]:
    """Read a number of every sale, NaN for a missing one, shape ``(n,)``."""
    read_values = (read(sale) for sale in sales)
    return np.array([np.nan if value is None else value for value in read_values], dtype=np.float64)


def times(sales: Iterable[Sale], read: Callable[[Sale], int]) -> NDArray[np.int64]:
    """Read a time of every sale, microseconds since the epoch, shape ``(n,)``."""
    return np.array([read(sale) for sale in sales], dtype=np.int64)
