"""Source tables: CSV, Parquet and JSON lines, single files or folders of parts."""

import zlib
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

import polars as pl

from models.dataset.checks import given
from models.dataset.faults import FaultCode, FaultReport
from models.dataset.parts import CSV, PARQUET, Part, UnreadableFolderError, is_csv, parts_in
from models.dataset.tables import (
    Table,
    file_error,
    join_parts,
    read_csv,
    read_table,
    stream_csv,
    stream_parquet,
)
from training.importers.json_lines import JSON_LINES, JsonLines
from training.importers.mapping import Csv, MappingError


@dataclass(frozen=True, slots=True, eq=False)
class Source:
    """A table of the shop, as its file has it.

    Attributes:
        table: Its rows, unconverted.
        frame: Rows that are left, with columns that were unfolded.
        decimal: Decimal mark of numbers in texts; with a comma, points separate thousands.
        open_ended: Whether rows may lack columns, as JSON lines do: an unknown column is empty.
    """

    table: Table
    frame: pl.DataFrame
    decimal: Literal[".", ","]
    open_ended: bool

    def has(self, column: str) -> bool:
        """Return whether a row may have a value in this column."""
        return given(column) in self.frame.columns

    def dtype(self, column: str) -> pl.DataType:
        """Return the type of a column.

        Raises:
            MappingError: If the file has no such column.
        """
        if self.has(column):
            return self.frame.schema[given(column)]
        if self.open_ended:
            return pl.String()
        known = ", ".join(repr(name) for name in self.columns())
        msg = f"{self.table.file} has no column {column!r}, which the mapping names; it has {known}"
        raise MappingError(msg)

    def raw(self, column: str) -> pl.Expr:
        """Return the unconverted values of a column."""
        self.dtype(column)
        if self.has(column):
            return pl.col(given(column))
        # Of full length: times are parsed by a function, whose result of one row is no column.
        return pl.repeat(None, pl.len(), dtype=pl.String)

    def columns(self) -> list[str]:
        """Return the names of its columns."""
        prefix = given("")
        return [name.removeprefix(prefix) for name in self.frame.columns if name.startswith(prefix)]


def _read_source(path: Path, csv: Csv) -> Source:
    """Read a file or a folder of parts, by the suffix.

    Raises:
        DatasetError: If it cannot be read as a whole.
    """
    try:
        parts = parts_in(path, kinds=(PARQUET, CSV, JSON_LINES))
    except (UnreadableFolderError, OSError) as exc:
        raise file_error(path.name, FaultCode.UNREADABLE_FILE, reason=str(exc)) from exc
    is_json = any(part.path.name.lower().endswith(JSON_LINES) for part in parts)
    if not is_json and not any(is_csv(part.path) for part in parts):
        table = read_table(path)
        return Source(table, table.frame, ".", open_ended=False)
    tables = [
        _read_json(part)
        if is_json
        else read_csv(part, separator=csv.separator, encoding=csv.encoding)
        for part in parts
    ]
    table = join_parts(path, parts, tables=tables) if path.is_dir() else tables[0]
    decimal = "." if is_json else csv.decimal
    return Source(table, table.frame, decimal, open_ended=is_json)


@dataclass(slots=True)
class Sources:
    """The files of an import, of which several tables may be made.

    Attributes:
        paths: One for each table, so the same again for several of one file.
        csv: Form of CSV files.
    """

    paths: Sequence[Path]
    csv: Csv
    _kept: dict[Path, Source] = field(default_factory=dict[Path, Source])
    _n_reads: Counter[Path] = field(default_factory=Counter[Path])

    def read(self, path: Path) -> Source:
        """Return a file, read at the first call; it is released at its last.

        Its name is its path where another file has the same name.

        Raises:
            DatasetError: If it cannot be read as a whole.
        """
        file = path.resolve()
        source = self._kept.pop(file, None)
        if source is None:
            source = self._named(_read_source(path, self.csv), path)
        self._n_reads[file] += 1
        if self._n_reads[file] < self._n_uses(file):
            self._kept[file] = source
        return source

    def stream(self, path: Path, *, has_lists: bool) -> Iterator[Source]:
        """Yield a file in parts of rows, which are those of `read` in their order.

        A folder comes whole, and so does a file with several uses. With a decimal comma, and
        with lists but in JSON lines, too: whether attributes are numbers, and which fields the
        elements have, is seen on all rows.

        Args:
            path: The file.
            has_lists: Whether lists of it are unfolded.

        Raises:
            DatasetError: If it cannot be read as a whole.
        """
        is_json = path.name.lower().endswith(JSON_LINES)
        by_all_rows = not is_json and (has_lists or self.csv.decimal == ",")
        if path.is_dir() or by_all_rows or self._n_uses(path.resolve()) > 1:
            yield self.read(path)
            return
        for source in _stream_source(Part(path, path.name, {}), self.csv):
            yield self._named(source, path)

    def _n_uses(self, file: Path) -> int:
        return [each.resolve() for each in self.paths].count(file)

    def _named(self, source: Source, path: Path) -> Source:
        file = path.resolve()
        if not any(each.name == path.name for each in self.paths if each.resolve() != file):
            return source
        faults = source.table.faults.table.with_columns(pl.lit(str(path)).alias("file"))
        table = replace(source.table, file=str(path), faults=FaultReport(faults))
        return replace(source, table=table)


def _stream_source(part: Part, csv: Csv) -> Iterator[Source]:
    if part.path.name.lower().endswith(JSON_LINES):
        tables, decimal, is_json = _stream_json(part), ".", True
    elif is_csv(part.path):
        tables = stream_csv(part, separator=csv.separator, encoding=csv.encoding)
        decimal, is_json = csv.decimal, False
    else:
        tables, decimal, is_json = stream_parquet(part), ".", False
    for table in tables:
        yield Source(table, table.frame, decimal, open_ended=is_json)


def _read_json(part: Part) -> Table:
    tables = list(_stream_json(part))
    frame = pl.concat((table.frame for table in tables), how="diagonal")
    columns = tuple(frame.columns[1:])
    names = tuple(name.removeprefix(given("")) for name in columns)
    faults = FaultReport.concatenate([table.faults for table in tables])
    return Table(part.name, names, frame, faults, typed=False)


def _stream_json(part: Part) -> Iterator[Table]:
    file = JsonLines(part.path)
    try:
        for frame in file.read():
            columns = tuple(frame.columns[1:])
            named = frame.rename({column: given(column) for column in columns})
            faults = FaultReport.from_faults(file.faults)
            file.faults.clear()
            yield Table(part.name, columns, named, faults, typed=False)
    except (OSError, EOFError, zlib.error) as exc:
        raise file_error(part.name, FaultCode.UNREADABLE_FILE, reason=str(exc)) from exc
