"""Source tables: CSV, Parquet and JSON lines, single files or folders of parts."""

import zlib
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

import polars as pl

from models.dataset.checks import given
from models.dataset.faults import FaultCode, FaultReport
from models.dataset.parts import CSV, PARQUET, Part, UnreadableFolderError, is_csv, parts_in
from models.dataset.tables import Table, file_error, join_parts, read_csv, read_table
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
        return pl.col(given(column)) if self.has(column) else pl.lit(None, dtype=pl.String)

    def columns(self) -> list[str]:
        """Return the names of its columns."""
        prefix = given("")
        return [name.removeprefix(prefix) for name in self.frame.columns if name.startswith(prefix)]

    def unused(self, used: Iterable[str]) -> list[str]:
        """Return the columns of the file that are not among those used."""
        return sorted(set(self.table.columns) - set(used))


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
        files = [each.resolve() for each in self.paths]
        source = self._kept.pop(file, None)
        if source is None:
            source = _read_source(path, self.csv)
            if any(each.name == path.name for each in self.paths if each.resolve() != file):
                faults = source.table.faults.table.with_columns(pl.lit(str(path)).alias("file"))
                table = replace(source.table, file=str(path), faults=FaultReport(faults))
                source = replace(source, table=table)
        self._n_reads[file] += 1
        if self._n_reads[file] < files.count(file):
            self._kept[file] = source
        return source


def _read_json(part: Part) -> Table:
    file = JsonLines(part.path)
    try:
        frame = file.read()
    except (OSError, EOFError, zlib.error) as exc:
        raise file_error(part.name, FaultCode.UNREADABLE_FILE, reason=str(exc)) from exc
    columns = tuple(frame.columns[1:])
    frame = frame.rename({column: given(column) for column in columns})
    return Table(part.name, columns, frame, FaultReport.from_faults(file.faults), typed=False)
