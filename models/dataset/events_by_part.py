"""Reader of events that are larger than the memory: split by customer, validated part by part."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

import polars as pl

from models.arrays.parquet import scan_parquet
from models.dataset.checks import ROW
from models.dataset.conversion import convert
from models.dataset.erasures import Erasures
from models.dataset.event_columns import EventColumns
from models.dataset.event_split import parts_for, split_events
from models.dataset.events import EventTable, accepted_rows
from models.dataset.faults import FaultCode, FaultReport
from models.dataset.merges import MergeTable
from models.dataset.schema import EVENTS
from models.dataset.tables import PARQUET_ROWS, stream_table

# Chosen: as many as are read of a file at a time.
_PART_EVENTS: Final = PARQUET_ROWS

_READ: Final = (ROW, *(one.name for one in EVENTS if one.name != "received_at"), "received_us")


@dataclass(frozen=True, slots=True)
class ReadingByPart:
    """How a large log is read.

    Attributes:
        folder: Where parts are, and the files of columns.
        n_parts: Number of parts; None: one for 500,000 events.
    """

    folder: Path
    n_parts: int | None = None

    def parts_of(self, path: Path) -> int:
        """Return the number of parts of a table of events.

        Raises:
            DatasetError: If it cannot be read.
        """
        return self.n_parts or parts_for(path, n_events=_PART_EVENTS)


def read_events_by_part(
    path: Path,
    sales: pl.DataFrame | None,
    *,
    erasures: Erasures,
    as_received: bool,
    folder: Path,
    n_parts: int,
) -> tuple[EventTable | None, FaultReport, int]:
    """Read and validate the events of a file or folder.

    One part is in memory at a time, and then one column. All rules are about one row, or the
    events of one customer, but for those about receipts, which the split knows of all.

    Args:
        path: The file or folder.
        sales: See `models.dataset.events.read_events`.
        erasures: Customers whose events are left out.
        as_received: See `models.dataset.receiving.with_received`.
        folder: Where parts are while they are read, and the files of columns.
        n_parts: Number of parts.

    Returns:
        As `read_events` of the whole table, but for the order of kinds of faults; and the number of
        rows.

    Raises:
        DatasetError: If a file cannot be read.
        OSError: If a part cannot be written.
    """
    first = next(stream_table(path))
    _, found = convert(replace(first, frame=first.frame.clear(), faults=FaultReport.none()), EVENTS)
    if found.unusable():
        return None, found, first.n_rows
    folder.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(dir=folder, prefix="events-") as name:
        work = Path(name)
        split, found = split_events(
            path, merges=MergeTable.none(), folder=work / "split", n_parts=n_parts
        )
        faults, files = [found], list[Path]()
        for part in range(n_parts):
            frame, found = accepted_rows(
                split.events(part),
                sales,
                erasures=erasures,
                as_received=as_received,
                imported=split.imported,
            )
            if frame is None:
                return None, found, split.n_rows
            faults.append(_of_part(found, is_first=part == 0))
            files.append(work / f"accepted-{part:05}.parquet")
            frame.select(_READ).write_parquet(files[-1])
        columns = EventColumns.ordered(
            [partial(_column, file) for file in files], row=ROW, folder=folder
        )
        return EventTable.from_columns(columns), _by_kind(faults), split.n_rows


def _of_part(faults: FaultReport, *, is_first: bool) -> FaultReport:
    """Return the faults of rows, and of the first part those of columns: all parts have them."""
    of_rows = FaultReport(faults.table.filter(pl.col("row").is_not_null()))
    return faults.with_codes(FaultCode.UNKNOWN_COLUMN) + of_rows if is_first else of_rows


def _by_kind(faults: Sequence[FaultReport]) -> FaultReport:
    """Return the faults of parts kind by kind, each in ascending order of rows."""
    kinds = FaultReport.concatenate(faults).by_kind()
    return FaultReport.concatenate(FaultReport(one.table.sort("row")) for one in kinds)


def _column(file: Path, name: str) -> pl.Series:
    return scan_parquet([file]).select(name).collect().to_series()
