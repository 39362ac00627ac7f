"""Columns of accepted events in the order of events, made one at a time from parts."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path
from typing import Final, Self, TypeVar

import numpy as np
import polars as pl
from numpy.typing import NDArray

from models.arrays.mapped_array import held
from models.domain.event import KIND

_Number = TypeVar("_Number", bound=np.generic)

CODES: Final = {event_type.value: code for event_type, code in KIND.items()}
"""Code of each type of events."""

Part = Callable[[str], pl.Series]
"""Returns a column of some of the events by its name."""

# Chosen: bounds the memory that ids take as Python texts while they are hashed.
_KEYS_AT_ONCE: Final = 250_000


@dataclass(frozen=True, slots=True, eq=False)
class Labels:
    """A dictionary-encoded text column.

    Attributes:
        values: Distinct values in ascending order.
        codes: Index into ``values`` per row, -1 for null, shape ``(n,)``.
    """

    values: pl.Series
    codes: NDArray[np.int64]

    @classmethod
    def from_series(cls, column: pl.Series) -> Self:
        """Encode a column."""
        values = column.drop_nulls().unique().sort()
        return cls(values, codes_of(column, values))


def codes_of(column: pl.Series, values: pl.Series) -> NDArray[np.int64]:
    """Return the place of each text among distinct ones, -1 for null, shape ``(n,)``."""
    codes = pl.int_range(len(values), eager=True)
    return column.replace_strict(values, codes, default=-1, return_dtype=pl.Int64).to_numpy()


def keys_for(identifiers: pl.Series) -> NDArray[np.uint64]:
    """Return `models.domain.event.key` of every id, shape ``(n,)``."""
    parts = [np.empty(0, dtype=np.uint64)]
    for part in identifiers.to_frame().iter_slices(_KEYS_AT_ONCE):
        digests = b"".join(
            [blake2b(text.encode(), digest_size=8).digest() for text in part.to_series()]
        )
        parts.append(np.frombuffer(digests, dtype=">u8").astype(np.uint64))
    return np.concatenate(parts)


@dataclass(frozen=True, slots=True, eq=False)
class EventColumns:
    """Columns in the order of (received, at, event key), one in memory at a time.

    Attributes:
        parts: The events, in parts.
        order: Place of each event among those of all parts, shape ``(n,)``.
        keys: Keys of the ids, in this order, same shape.
        folder: Where files hold the columns; None: they are in memory.
    """

    parts: Sequence[Part]
    order: NDArray[np.int64]
    keys: NDArray[np.uint64]
    folder: Path | None = None

    @classmethod
    def ordered(
        cls, parts: Sequence[Part], *, row: str | None = None, folder: Path | None = None
    ) -> Self:
        """Order the events of parts.

        Args:
            parts: Their columns.
            row: Name of the column that orders equal events; None: parts are in this order.
            folder: See `EventColumns`.
        """
        names = ("at", "received_us") if row is None else (row, "at", "received_us")
        first, *others = (_joined(parts, name, pl.Series.to_numpy) for name in names)
        keys = _joined(parts, "event_id", keys_for)
        columns = (keys, first, *others) if row is None else (first, keys, *others)
        order = np.lexsort(columns)
        return cls(parts, order, held(keys[order], folder=folder), folder)

    def event_ids(self) -> pl.Series:
        """Return the ids of the events."""
        return pl.concat(part("event_id") for part in self.parts).gather(self.order)

    def labels(self, name: str) -> Labels:
        """Encode a column of texts."""
        known = [part(name).drop_nulls().unique() for part in self.parts]
        values = pl.concat(known).unique().sort()
        return Labels(values, self._column(name, lambda column: codes_of(column, values)))

    def kinds(self) -> NDArray[np.uint8]:
        """Return the codes of the types, shape ``(n,)``."""
        return self._column(
            "type", lambda types: types.replace_strict(CODES, return_dtype=pl.UInt8).to_numpy()
        )

    def times(self, name: str) -> NDArray[np.int64]:
        """Return a column of microseconds, shape ``(n,)``."""
        return self._column(name, pl.Series.to_numpy)

    def counts(self, name: str) -> NDArray[np.int32]:
        """Return a column of whole numbers, 0 where unknown, shape ``(n,)``."""
        return self._column(name, lambda column: column.fill_null(0).cast(pl.Int32).to_numpy())

    def numbers(self, name: str) -> NDArray[np.float64]:
        """Return a column of numbers, NaN where unknown, shape ``(n,)``."""
        return self._column(name, lambda column: column.fill_null(np.nan).to_numpy())

    def of_codes(self, values: NDArray[_Number], codes: NDArray[np.int64]) -> NDArray[_Number]:
        """Return the value of each code, shape ``(n,)``."""
        return held(values[codes], folder=self.folder)

    def _column(
        self, name: str, convert: Callable[[pl.Series], NDArray[_Number]]
    ) -> NDArray[_Number]:
        return held(_joined(self.parts, name, convert)[self.order], folder=self.folder)


def _joined(
    parts: Sequence[Part], name: str, convert: Callable[[pl.Series], NDArray[_Number]]
) -> NDArray[_Number]:
    return np.concatenate([convert(part(name)) for part in parts])
