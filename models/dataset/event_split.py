"""Split of a dataset by customer: each part holds all events and attributes of its customers.

Guests are in the part of the customer whom they were merged into.

Parts are read one at a time, so that the number of customers bounds no memory.
"""

import io
import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Final

import numpy as np
import polars as pl
from numpy.typing import NDArray

from models.arrays.atomic_file import sync_directory, write_file
from models.arrays.parquet import read_parquet
from models.dataset.checks import ROW, given
from models.dataset.conversion import convert
from models.dataset.customers import AttributeColumn, CustomerTable
from models.dataset.event_columns import keys_for
from models.dataset.faults import DatasetError, FaultCode, FaultReport
from models.dataset.merges import MergeTable
from models.dataset.receiving import imported_hours, notes_on_receipts, receipts_by_hour
from models.dataset.schema import EVENTS
from models.dataset.tables import (
    Table,
    about_rows,
    file_error,
    read_table,
    stream_table,
    table_path,
)

# Chosen: workers peaked at 0.8 GB with parts of twice this size (2026-11-30).
PART_BYTES: Final = 2 * 2**20
# Chosen: a split writes a file for each part and million events.
MAX_PARTS: Final = 1_024
# Chosen: as raw rows they take 0.3 GB.
_ROWS_AT_ONCE: Final = 1_000_000

PartOf = Callable[[pl.Series], NDArray[np.int64]]
"""Returns the part of each customer."""

_EVENTS: Final = "events"
_ID: Final = "customer_id"
_SUMMARY: Final = "split.json"
_NEEDED: Final = tuple(column for column in EVENTS if column.name in {_ID, "at", "received_at"})


@dataclass(frozen=True, slots=True)
class Split:
    """A split dataset.

    Attributes:
        folder: Where it is.
        imported: See `models.dataset.receiving.imported_hours`.
        n_rows: Rows of events.
        n_unreadable: Those that could not be read.
        file: Name of the events' file or folder, for reports.
        typed: Whether its format has column types.
    """

    folder: Path
    imported: frozenset[int]
    n_rows: int
    n_unreadable: int
    file: str
    typed: bool

    @classmethod
    def read(cls, folder: Path) -> "Split":
        """Read the summary of a split."""
        summary = json.loads((folder / _SUMMARY).read_text())
        return cls(
            folder,
            frozenset(summary["imported"]),
            int(summary["rows"]),
            int(summary["unreadable"]),
            str(summary["file"]),
            bool(summary["typed"]),
        )

    def events(self, part: int) -> Table:
        """Read the events of a part, with their rows in the whole table."""
        table = read_table(self.folder / f"{part:05}" / _EVENTS)
        rows = table.frame[given(ROW)]
        frame = table.frame.drop(ROW, given(ROW)).with_columns(rows.alias(ROW))
        columns = tuple(name for name in table.columns if name != ROW)
        return Table(self.file, columns, frame, FaultReport.none(), self.typed)

    def customers(self, part: int) -> CustomerTable:
        """Read the customers of a part that have attributes."""
        frame = read_parquet(self.folder / f"{part:05}" / "customers.parquet")
        columns = {
            name: AttributeColumn.from_series(frame[name]) for name in frame.columns if name != _ID
        }
        return CustomerTable(frame[_ID], columns)


def parts_for(path: Path, *, n_events: int) -> int:
    """Return the number of parts of a table of events, each of so many events.

    Raises:
        DatasetError: If it cannot be read.
    """
    return min(max(1, -(-about_rows(path) // n_events)), MAX_PARTS)


def number_of_parts(directory: Path) -> int:
    """Return the number of parts of a dataset, by the size of its files.

    Raises:
        DatasetError: If there are no events.
    """
    events = events_path(directory)
    paths = [events, *([found] if (found := table_path(directory, "customers")) else [])]
    files = [file for path in paths for file in ([path] if path.is_file() else path.rglob("*"))]
    n_bytes = sum(file.stat().st_size for file in files)
    return min(max(1, -(-n_bytes // PART_BYTES)), MAX_PARTS)


def split_dataset(
    directory: Path,
    customers: CustomerTable | None,
    *,
    merges: MergeTable,
    folder: Path,
    n_parts: int,
) -> None:
    """Split a dataset; the folder is there whole, or not at all.

    Args:
        directory: The dataset.
        customers: Its customers.
        merges: Its merges.
        folder: Where parts go; is made.
        n_parts: Number of parts.

    Raises:
        DatasetError: If there are no events, or they cannot be read.
        OSError: If they cannot be written.
    """
    unfinished = folder.with_name(f".{folder.name}.partial")
    shutil.rmtree(unfinished, ignore_errors=True)
    split_events(events_path(directory), merges=merges, folder=unfinished, n_parts=n_parts)
    part_of = partial(part_numbers, n_parts=n_parts, merges=merges)
    _write_customers(customers, unfinished, n_parts=n_parts, part_of=part_of)
    unfinished.rename(folder)
    sync_directory(folder.parent)


def split_events(
    path: Path, *, merges: MergeTable, folder: Path, n_parts: int
) -> tuple[Split, FaultReport]:
    """Split a table of events by customer, 500,000 rows of a file at a time.

    Args:
        path: Its file or folder.
        merges: Guests are in the part of their customer.
        folder: Where parts go; is made.
        n_parts: Number of parts.

    Returns:
        The parts, and the faults of the whole: rows that could not be read, and notes on receipts.

    Raises:
        DatasetError: If they cannot be read.
        OSError: If they cannot be written.
    """
    receipts, faults = list[pl.DataFrame](), list[FaultReport]()
    raw = _RawEvents(folder, n_parts, partial(part_numbers, n_parts=n_parts, merges=merges))
    file, typed, n_before, n_rows = "", True, 0, 0
    for table in stream_table(path):
        if table.file != file:
            file, n_before = table.file, n_rows
        receipts.append(_receipts(table))
        found = table.faults
        if path.is_dir():
            found = found.for_part(table.file, file=path.name, n_before=n_before)
        faults.append(found)
        typed, n_rows = table.typed, n_rows + table.n_rows
        frame = table.frame.with_columns(pl.col(ROW) + n_before)
        raw.add(frame.rename({given(name): name for name in table.columns}))
    raw.flush()
    every, n_unreadable = pl.concat(receipts), sum(map(len, faults))
    hours = imported_hours(every)
    summary = {
        "imported": sorted(hours),
        "rows": n_rows,
        "unreadable": n_unreadable,
        "file": path.name,
        "typed": typed,
    }
    write_file(folder / _SUMMARY, json.dumps(summary).encode())
    notes = notes_on_receipts(every, hours, n_rows=n_rows - n_unreadable, file=path.name)
    return Split.read(folder), FaultReport.concatenate([*faults, notes])


def part_numbers(customer_ids: pl.Series, *, n_parts: int, merges: MergeTable) -> NDArray[np.int64]:
    """Return the part of each customer, by a hash of the id; shape ``(n,)``.

    Args:
        customer_ids: Ids of guests and customers, shape ``(n,)``.
        n_parts: Number of parts.
        merges: The hash of a guest is that of the customer.
    """
    ids = customer_ids.cast(pl.String).fill_null("")
    ids = ids.replace(merges.guest_ids, merges.customer_ids)
    distinct = ids.unique()
    numbers = pl.Series((keys_for(distinct) % np.uint64(n_parts)).astype(np.int64))
    return ids.replace_strict(distinct, numbers, return_dtype=pl.Int64).to_numpy()


def events_path(directory: Path) -> Path:
    """Find the events of a dataset.

    Raises:
        DatasetError: If there are none.
    """
    path = table_path(directory, _EVENTS)
    if path is None:
        reason = f"{directory} holds no events.parquet or events.csv"
        raise file_error(_EVENTS, FaultCode.MISSING_FILE, reason=reason)
    return path


def _receipts(table: Table) -> pl.DataFrame:
    frame, faults = convert(table, _NEEDED)
    if faults.unusable():
        raise DatasetError(faults)
    return receipts_by_hour(frame)


class _RawEvents:
    """Rows of events as they were read, written by part once there are enough of them."""

    def __init__(self, folder: Path, n_parts: int, part_of: PartOf) -> None:
        self._folder, self._n_parts, self._part_of = folder, n_parts, part_of
        self._waiting: list[pl.DataFrame] = []
        self._n_written = 0

    def add(self, rows: pl.DataFrame) -> None:
        """Take rows; those of files with other columns or types are written apart."""
        if self._waiting and rows.schema != self._waiting[0].schema:
            self.flush()
        self._waiting.append(rows)
        if sum(one.height for one in self._waiting) >= _ROWS_AT_ONCE:
            self.flush()

    def flush(self) -> None:
        """Write what waits."""
        if not self._waiting:
            return
        rows, self._waiting = pl.concat(self._waiting), []
        parts = self._part_of(rows[_ID])
        # Within a part rows keep their order: the first of repeated events counts.
        rows = rows[np.argsort(parts, kind="stable")]
        ends = np.cumsum(np.bincount(parts, minlength=self._n_parts)).tolist()
        for part, (start, end) in enumerate(pairwise([0, *ends])):
            # The first writes all parts, so that each has the columns.
            if end > start or not self._n_written:
                path = self._folder / f"{part:05}" / _EVENTS / f"{self._n_written:05}.parquet"
                _write(rows[start:end], path)
        self._n_written += 1


def _write_customers(
    customers: CustomerTable | None, folder: Path, *, n_parts: int, part_of: PartOf
) -> None:
    known = customers or CustomerTable.none(pl.Series(_ID, [], dtype=pl.String))
    columns = {
        name: pl.Series(column.values).gather(pl.Series(column.codes).replace(-1, None))
        for name, column in known.columns.items()
    }
    frame = pl.DataFrame({_ID: known.customer_ids, **columns})
    frame = frame.filter(
        pl.any_horizontal(pl.lit(value=False), *(pl.col(one).is_not_null() for one in columns))
    )
    parts = part_of(frame[_ID])
    for part in range(n_parts):
        _write(frame.filter(pl.Series(parts == part)), folder / f"{part:05}" / "customers.parquet")


def _write(frame: pl.DataFrame, path: Path) -> None:
    buffer = io.BytesIO()
    frame.write_parquet(buffer, compression="lz4")  # read once: quick rather than small
    write_file(path, buffer.getvalue())
