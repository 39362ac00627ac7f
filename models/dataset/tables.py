"""Reads the Parquet and CSV files of a dataset as they stand, with their row numbers."""

import csv
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Final

import polars as pl

from models.dataset.checks import ROW, given
from models.dataset.faults import DatasetError, Fault, FaultCode, FaultReport

SUFFIXES: Final = (".parquet", ".csv")
_ROWS_AT_ONCE: Final = 100_000


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
        reason = f"{found[0].name} is there too; keep one of the two"
        raise _file_error(found[1].name, FaultCode.AMBIGUOUS_FILE, reason)
    return found[0] if found else None


def read_table(path: Path) -> Table:
    """Read a Parquet or CSV file.

    Args:
        path: The file; its suffix says which of the two it is.

    Returns:
        The table, with a fault for every row that could not be read.

    Raises:
        DatasetError: If the file cannot be read at all.
    """
    return _read_csv(path) if path.suffix == ".csv" else _read_parquet(path)


def _file_error(file: str, code: FaultCode, reason: str) -> DatasetError:
    return DatasetError(FaultReport.of([Fault(file=file, code=code, reason=reason)]))


def _read_parquet(path: Path) -> Table:
    try:
        with path.open("rb") as file:
            frame = pl.read_parquet(file)
    # A hostile file can make the reader panic, which is not an Exception.
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException, OSError) as exc:
        reason = f"is not a readable Parquet file: {str(exc).splitlines()[0]}"
        raise _file_error(path.name, FaultCode.UNREADABLE_FILE, reason) from exc
    columns = tuple(frame.columns)
    frame = frame.rename({name: given(name) for name in columns})
    return Table(path.name, columns, frame.with_row_index(ROW, offset=1).cast({ROW: pl.Int64}), FaultReport.none())


@dataclass(slots=True)
class _Lines:
    """The lines of a text file; remembers which of them are not UTF-8, and where."""

    path: Path
    bad_bytes: dict[int, int] = field(default_factory=dict[int, int])

    def __iter__(self) -> Iterator[str]:
        offset = 0
        # Undecodable bytes come back as lone surrogates, so that only their rows are lost.
        with self.path.open(encoding="utf-8", errors="surrogateescape", newline="") as file:
            for number, line in enumerate(file, start=1):
                if line.isascii():
                    offset += len(line)
                else:
                    self._look_at(line, number, offset)
                    offset += len(line.encode(errors="surrogateescape"))
                yield line

    def _look_at(self, line: str, number: int, offset: int) -> None:
        try:
            line.encode()
        except UnicodeEncodeError as exc:
            before = line[: exc.start].encode(errors="surrogateescape")
            self.bad_bytes[number] = offset + len(before)


@dataclass(slots=True)
class _CsvReader:
    """Reads the rows of one CSV file, and keeps a fault of each that it cannot read."""

    path: Path
    faults: list[Fault] = field(default_factory=list[Fault])

    def read(self) -> Table:
        lines = _Lines(self.path)
        with closing(iter(lines)) as text:  # pyright: ignore[reportArgumentType] - a generator
            reader = csv.reader(text, strict=True)
            header = self._header(reader, lines)
            schema = {given(name): pl.String for name in header}
            rows = self._rows(reader, lines, len(header))
            frames = [pl.DataFrame(schema={ROW: pl.Int64, **schema})]
            while chunk := list(islice(rows, _ROWS_AT_ONCE)):
                frames.append(pl.DataFrame(chunk, schema=frames[0].schema, orient="row"))
        text_columns = pl.col(pl.String)
        frame = pl.concat(frames).with_columns(pl.when(text_columns != "").then(text_columns))
        return Table(self.path.name, header, frame, FaultReport.of(self.faults))
