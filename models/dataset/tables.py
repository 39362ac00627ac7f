"""Reads the Parquet and CSV files of a dataset as they stand, with their row numbers."""

from dataclasses import dataclass
from pathlib import Path
from typing import Final

import polars as pl

from models.dataset.checks import ROW, given
from models.dataset.delimited import CsvFile, UnreadableHeaderError
from models.dataset.faults import DatasetError, Fault, FaultCode, FaultReport
from models.parquet import read_parquet

SUFFIXES: Final = (".parquet", ".csv")
TABLES: Final = ("sales", "events", "customers", "erasures")


@dataclass(frozen=True, slots=True, eq=False)
class Table:
    """One file as it stands: nothing converted, nothing judged.

    Attributes:
        file: Name of the file, for reports.
        columns: Names of its columns, in order.
        frame: `ROW`, and every column of the file under its `given` name; of a CSV file all
            text, null where empty.
        faults: Rows that could not be read; they are not in ``frame``.
    """

    file: str
    columns: tuple[str, ...]
    frame: pl.DataFrame
    faults: FaultReport

    @property
    def typed(self) -> bool:
        """Whether the file itself says of which type a column is."""
        return not self.file.endswith(".csv")

    def dtype(self, column: str) -> pl.DataType:
        """Return the type a column has in the file."""
        return self.frame.schema[given(column)]


def table_path(directory: Path, name: str) -> Path | None:
    """Find the file of a table, None if there is none.

    Raises:
        DatasetError: If it is there both as Parquet and as CSV.
    """
    found = [path for suffix in SUFFIXES if (path := directory / f"{name}{suffix}").is_file()]
    if len(found) > 1:
        reason = f"{found[0].name} is there too: keep one of the two"
        raise _file_error(found[1].name, FaultCode.AMBIGUOUS_FILE, reason)
    return found[0] if found else None


def read_table(path: Path) -> Table:
    """Read a Parquet or CSV file; its suffix says which of the two it is.

    Returns:
        The table, with a fault for every row that could not be read.

    Raises:
        DatasetError: If the file cannot be read at all.
    """
    return _read_csv(path) if path.suffix == ".csv" else _read_parquet(path)


def _read_parquet(path: Path) -> Table:
    try:
        frame = read_parquet(path)
    # A hostile file can make the reader panic, which is not an Exception.
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException, OSError) as exc:
        reason = f"is not a readable Parquet file: {str(exc).splitlines()[0]}"
        raise _file_error(path.name, FaultCode.UNREADABLE_FILE, reason) from exc
    columns = tuple(frame.columns)
    frame = frame.rename({name: given(name) for name in columns})
    frame = frame.with_row_index(ROW, offset=1).with_columns(pl.col(ROW).cast(pl.Int64))
    return Table(path.name, columns, frame, FaultReport.none())


def _read_csv(path: Path) -> Table:
    file = CsvFile(path)
    try:
        header, frames = file.read()
    except (UnreadableHeaderError, OSError) as exc:
        raise _file_error(path.name, FaultCode.UNREADABLE_FILE, str(exc)) from exc
    frame = pl.concat(frames).rename({name: given(name) for name in header})
    text = pl.col(given(name) for name in header)
    frame = frame.with_columns(pl.when(text != "").then(text).name.keep())
    return Table(path.name, header, frame, FaultReport.of(file.faults))


def _file_error(file: str, code: FaultCode, reason: str) -> DatasetError:
    return DatasetError(FaultReport.of([Fault(file=file, code=code, reason=reason)]))
