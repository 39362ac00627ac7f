"""Table reader: the tables of a dataset without conversion, with row numbers."""

import zlib
from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import polars as pl
from polars import selectors

from models.arrays.parquet import read_parquet, scan_parquet
from models.dataset.checks import ROW, given
from models.dataset.delimited import CsvFile, UnreadableHeaderError
from models.dataset.encoding import Encoding
from models.dataset.faults import DatasetError, Fault, FaultCode, FaultReport
from models.dataset.parts import SUFFIXES, Part, UnreadableFolderError, is_csv, parts_in

# Chosen: 100 MB of events; a row group, which is decoded whole, has about as many.
PARQUET_ROWS: Final = 500_000

_CSV_BYTES: Final = 100  # of a row of events, about

TABLES: Final = ("sales", "events", "customers", "erasures", "merges", "rates")


@dataclass(frozen=True, slots=True, eq=False)
class Table:
    """One unconverted, unchecked table.

    Attributes:
        file: Name of the file or folder, for reports.
        columns: Names of its columns, in order.
        frame: `ROW`, and every column of the file under its `given` name; of a CSV file all
            text, null where empty. The rows of a folder are counted through its parts.
        faults: Rows that could not be read; they are not in ``frame``.
        typed: Whether the file format has column types.
    """

    file: str
    columns: tuple[str, ...]
    frame: pl.DataFrame
    faults: FaultReport
    typed: bool

    @property
    def n_rows(self) -> int:
        """Number of rows, with those that could not be read."""
        return self.frame.height + len(self.faults)

    def dtype(self, column: str) -> pl.DataType:
        """Return the type a column has in the file."""
        return self.frame.schema[given(column)]

    def fault(self, code: FaultCode, reason: str, *, column: str | None = None) -> Fault:
        """Return a fault of the whole table, or of one of its columns."""
        return Fault(file=self.file, column=column, code=code, reason=reason)


def table_path(directory: Path, name: str) -> Path | None:
    """Find the file or folder of a table, None if there is none.

    Raises:
        DatasetError: If it exists more than once, such as Parquet and as CSV.
    """
    folder = directory / name
    found = [path for suffix in SUFFIXES if (path := directory / f"{name}{suffix}").exists()]
    found += [folder] if folder.is_dir() else []
    if len(found) > 1:
        reason = f"{found[0].name} is there too: keep one of the two"
        raise file_error(found[1].name, FaultCode.AMBIGUOUS_FILE, reason=reason)
    return found[0] if found else None


def read_table(path: Path) -> Table:
    """Read a Parquet or CSV file, or a folder of such parts; suffixes say which they are.

    Returns:
        The table, with a fault for every row that could not be read.

    Raises:
        DatasetError: If a file cannot be read at all, or the parts do not fit together.
    """
    parts = _parts(path)
    tables: list[Table] = []
    for part in parts:
        table = read_csv(part) if is_csv(part.path) else _read_parquet(part)
        tables.append(table)
    return join_parts(path, parts, tables=tables) if path.is_dir() else tables[0]


def stream_table(path: Path) -> Iterator[Table]:
    """Read the table of a file or folder in parts, for tables larger than the memory.

    Yields:
        Tables of 500,000 rows at most, at least one, with the columns of Hive partitions. Rows are
        counted through the parts of a file.

    Raises:
        DatasetError: If a file cannot be read.
    """
    for part in _parts(path):
        tables = (
            stream_csv(part, separator=",", encoding="utf-8")
            if is_csv(part.path)
            else stream_parquet(part)
        )
        for table in tables:
            yield _with_partition(part, table)


def about_rows(path: Path) -> int:
    """Return the number of rows of a file or folder; of CSV one for 100 bytes.

    Raises:
        DatasetError: If a file cannot be read.
    """
    n_rows = 0
    for part in _parts(path):
        if is_csv(part.path):
            n_rows += part.path.stat().st_size // _CSV_BYTES
            continue
        with _readable(part):
            n_rows += int(scan_parquet([part.path]).select(pl.len()).collect().item())
    return n_rows


def _parts(path: Path) -> list[Part]:
    try:
        return parts_in(path)
    except (UnreadableFolderError, OSError) as exc:
        raise file_error(path.name, FaultCode.UNREADABLE_FILE, reason=str(exc)) from exc


def join_parts(path: Path, parts: Sequence[Part], *, tables: Sequence[Table]) -> Table:
    """Join the parts of a folder, whose rows are counted through all of them.

    Raises:
        DatasetError: If a column has types in several parts that do not fit together.
    """
    frames: list[pl.DataFrame] = []
    faults: list[FaultReport] = []
    types: dict[str, set[str]] = {}
    n_before = 0
    for part, table in zip(parts, map(_with_partition, parts, tables), strict=True):
        # Writers in other time zones write the same moments under another type.
        in_utc = selectors.datetime(time_zone="*").dt.convert_time_zone("UTC")
        frames.append(table.frame.with_columns(pl.col(ROW) + n_before, in_utc))
        faults.append(table.faults.for_part(part.name, file=path.name, n_before=n_before))
        n_before += table.n_rows
        for name in table.columns:
            types.setdefault(name, set()).add(str(table.dtype(name)))
    try:
        frame = pl.concat(frames, how="diagonal_relaxed")
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException) as exc:
        differing = ", ".join(
            f"{name!r} ({' and '.join(sorted(each))})"
            for name, each in types.items()
            if len(each) > 1
        )
        reason = f"is a folder whose parts have columns of several types: {differing}"
        raise file_error(path.name, FaultCode.UNREADABLE_FILE, reason=reason) from exc
    return Table(path.name, tuple(types), frame, FaultReport.concatenate(faults), tables[0].typed)


def _with_partition(part: Part, table: Table) -> Table:
    # Hive leaves the partition columns out of the files; a file's own column goes before.
    new = {name: text for name, text in part.values.items() if name not in table.columns}
    values = (pl.lit(text, dtype=pl.String).alias(given(name)) for name, text in new.items())
    frame = table.frame.with_columns(values)
    return replace(table, columns=(*table.columns, *new), frame=frame)


def _read_parquet(part: Part) -> Table:
    with _readable(part):
        frame = read_parquet(part.path)
    return _of_parquet(part, frame, first=1)


def stream_parquet(part: Part) -> Iterator[Table]:
    """Read one Parquet file in parts.

    Yields:
        Tables of 500,000 rows at most, at least one.

    Raises:
        DatasetError: If it cannot be read.
    """
    first, n_read = 1, PARQUET_ROWS
    while n_read == PARQUET_ROWS:
        with _readable(part):
            frame = scan_parquet([part.path]).slice(first - 1, PARQUET_ROWS).collect()
        n_read = frame.height
        if n_read or first == 1:
            yield _of_parquet(part, frame, first=first)
        first += n_read


@contextmanager
def _readable(part: Part) -> Generator[None]:
    try:
        yield
    # Corrupt files can make the reader panic, which is not an Exception.
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException, OSError) as exc:
        reason = f"is not a readable Parquet file: {str(exc).splitlines()[0]}"
        raise file_error(part.name, FaultCode.UNREADABLE_FILE, reason=reason) from exc


def _of_parquet(part: Part, frame: pl.DataFrame, *, first: int) -> Table:
    columns = tuple(frame.columns)
    frame = frame.rename({name: given(name) for name in columns})
    frame = frame.with_row_index(ROW, offset=first).with_columns(pl.col(ROW).cast(pl.Int64))
    return Table(part.name, columns, frame, FaultReport.none(), typed=True)


def read_csv(part: Part, *, separator: str = ",", encoding: Encoding = "utf-8") -> Table:
    """Read one CSV file whole; see `stream_csv`."""
    tables = list(stream_csv(part, separator=separator, encoding=encoding))
    frame = pl.concat(table.frame for table in tables)
    return replace(
        tables[0], frame=frame, faults=FaultReport.concatenate([one.faults for one in tables])
    )


def stream_csv(part: Part, *, separator: str, encoding: Encoding) -> Iterator[Table]:
    """Read one CSV file in parts, with a fault for every row that could not be read.

    Args:
        part: The file.
        separator: The character between columns.
        encoding: Its encoding.

    Yields:
        Tables of 100,000 rows at most, at least one.

    Raises:
        DatasetError: If it cannot be read at all.
    """
    file = CsvFile(part.path, separator, encoding)
    try:
        header, frames = file.read()
        text = pl.col(given(name) for name in header)
        for frame in frames:
            named = frame.rename({name: given(name) for name in header})
            # CSV does not tell an empty text from none.
            named = named.with_columns(pl.when(text != "").then(text).name.keep())
            faults = FaultReport.from_faults(file.faults)
            file.faults.clear()
            yield Table(part.name, header, named, faults, typed=False)
    except (UnreadableHeaderError, OSError, EOFError, zlib.error) as exc:
        raise file_error(part.name, FaultCode.UNREADABLE_FILE, reason=str(exc)) from exc


def file_error(file: str, code: FaultCode, *, reason: str) -> DatasetError:
    """Return the error of a file that cannot be used as a whole."""
    return DatasetError(FaultReport.from_faults([Fault(file=file, code=code, reason=reason)]))
