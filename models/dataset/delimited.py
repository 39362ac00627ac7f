"""CSV reader: rows that are not UTF-8 or not CSV are reported one by one and left out."""

import csv
import gzip
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from io import TextIOWrapper
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Final, cast

import polars as pl

from models.dataset.checks import ROW
from models.dataset.encoding import Encoding, escaped, readings
from models.dataset.faults import Fault, FaultCode

if TYPE_CHECKING:
    from _csv import Reader as _Reader

# Chosen: bounds the memory that rows take as Python tuples before they become columns.
_ROWS_AT_ONCE: Final = 100_000
_BYTE_ORDER_MARK: Final = "\ufeff"
# Between columns in exports of spreadsheets; a header with one is refused instead of guessed at.
_OTHER_MARKS: Final = (";", "\t", "|")
# First bytes of files that are no CSV but often have its name.
_OTHER_KINDS: Final = {
    b"\xff\xfe": "is UTF-16: save it as UTF-8",
    b"\xfe\xff": "is UTF-16: save it as UTF-8",
    b"PK\x03\x04": "is a spreadsheet or a zip archive: save it as CSV",
    b"\xd0\xcf\x11\xe0": "is a spreadsheet: save it as CSV",
    b"\x1f\x8b": "is compressed by gzip: name it .csv.gz",
    b"PAR1": "is Parquet: name it .parquet",
}


class UnreadableHeaderError(ValueError):
    """A CSV file without a valid header."""


@dataclass(slots=True)
class CsvFile:
    """One CSV file.

    Attributes:
        path: The file.
        separator: The character between columns.
        encoding: Its encoding.
        faults: The rows that could not be read, filled as frames of `read` are taken.
        undecodable: Byte offset of the first undecodable byte, by line number.
        is_advised: Whether a fault has said what to do about undecodable bytes.
    """

    path: Path
    separator: str = ","
    encoding: Encoding = "utf-8"
    faults: list[Fault] = field(default_factory=list[Fault])
    undecodable: dict[int, int] = field(default_factory=dict[int, int])
    is_advised: bool = False

    def read(self) -> tuple[tuple[str, ...], Iterator[pl.DataFrame]]:
        """Read the file, rows as their frames are taken.

        Returns:
            Column names, and frames of text columns with `ROW`. The last one is empty: all
            faults are known by then.

        Raises:
            UnreadableHeaderError: If the first line is no header.
            OSError: If the file cannot be read.
        """
        with self._opened() as file:
            first = file.read(max(map(len, _OTHER_KINDS)))
        for mark, reason in _OTHER_KINDS.items():
            if first.startswith(mark):
                raise UnreadableHeaderError(reason)
        reader = csv.reader(self._lines(), strict=True, delimiter=self.separator)
        header = self._header(reader)
        rows = self._rows(reader, len(header))
        return header, _frames(rows, {ROW: pl.Int64, **dict.fromkeys(header, pl.String)})

    def _opened(self) -> BinaryIO:
        opened = gzip.open if self.path.suffix.lower() == ".gz" else open
        return cast("BinaryIO", opened(self.path, "rb"))

    def _lines(self) -> Iterator[str]:
        offset = 0
        # Undecodable bytes become lone surrogates, so that only their rows are lost.
        text = TextIOWrapper(
            self._opened(), encoding=self.encoding, errors="surrogateescape", newline=""
        )
        with text as lines:
            for number, line in enumerate(lines, start=1):
                try:
                    offset += len(line) if line.isascii() else len(line.encode(self.encoding))
                except UnicodeEncodeError as exc:
                    self.undecodable[number] = offset + len(line[: exc.start].encode(self.encoding))
                    offset += len(line.encode(self.encoding, errors="surrogateescape"))
                # Before the first name, which may be quoted.
                yield line.removeprefix(_BYTE_ORDER_MARK) if number == 1 else line

    def _header(self, reader: "_Reader") -> tuple[str, ...]:
        try:
            names: list[str] = next(reader, list[str]())
        except csv.Error as exc:
            msg = f"the first line is no CSV header: {exc}"
            raise UnreadableHeaderError(msg) from exc
        if self.undecodable:
            first = min(self.undecodable.values())
            name = self.encoding.upper()
            shown = readings(" ".join(names).encode(self.encoding, errors="surrogateescape"))
            msg = f"is not {name} at byte {first}, in the header: {shown}"
            raise UnreadableHeaderError(msg)
        if any("\0" in name for name in names):
            msg = "has NULs in its header, as UTF-16 has: save the file as UTF-8"
            raise UnreadableHeaderError(msg)
        if not names:
            msg = "is empty: the first line must name the columns"
            raise UnreadableHeaderError(msg)
        if len(names) == 1 and (found := [mark for mark in _OTHER_MARKS if mark in names[0]]):
            msg = (
                f"has {found[0]!r} between its columns, not {self.separator!r}: save it with"
                " commas (the mapping of an import reads it with `csv: {separator: …}`)"
            )
            raise UnreadableHeaderError(msg)
        if len(set(names)) < len(names):
            repeated = sorted({name for name in names if names.count(name) > 1})
            msg = f"names columns twice: {', '.join(map(repr, repeated))}"
            raise UnreadableHeaderError(msg)
        return tuple(names)

    def _advice(self, fields: list[str]) -> str:
        """Return what to do, once a file: the same holds for all of its rows."""
        if self.is_advised:
            return ""
        self.is_advised = True
        return f": {readings(' '.join(fields).encode(self.encoding, errors='surrogateescape'))}"

    def _rows(self, reader: "_Reader", n_columns: int) -> Iterator[tuple[int | str, ...]]:
        for row, (lines, fields, error) in enumerate(_records(reader), start=1):
            code, problem = FaultCode.MALFORMED_ROW, error
            if error:
                problem = f"not CSV: {error}"
            elif self.undecodable and (bad := self.undecodable.keys() & set(lines)):
                code = FaultCode.NOT_UTF8
                problem = f"not {self.encoding.upper()} at byte {self.undecodable[min(bad)]}"
                problem += f" of the file{self._advice(fields)}"
            elif len(fields) != n_columns:
                problem = f"{len(fields)} fields under {n_columns} columns"
            if not problem:
                yield (row, *fields)
                continue
            where = f"line {lines[0]}" if len(lines) == 1 else f"lines {lines[0]} to {lines[-1]}"
            fault = Fault(
                file=self.path.name,
                row=row,
                code=code,
                reason=f"{where}: {problem}",
                record=json.dumps([*map(escaped, fields)], ensure_ascii=False) if fields else None,
            )
            self.faults.append(fault)


def _frames(
    rows: Iterator[tuple[int | str, ...]], schema: dict[str, type[pl.DataType]]
) -> Iterator[pl.DataFrame]:
    while chunk := list(islice(rows, _ROWS_AT_ONCE)):
        columns = dict(zip(schema, zip(*chunk, strict=True), strict=True))
        yield pl.DataFrame(columns, schema=schema)
    yield pl.DataFrame(schema=schema)


def _records(reader: "_Reader") -> Iterator[tuple[range, list[str], str]]:
    # The lines of each row, its fields, and what is wrong with it; blank lines are no rows.
    while True:
        first = reader.line_num + 1
        fields, error = list[str](), ""
        try:
            fields = next(reader)
        except StopIteration:
            return
        except csv.Error as exc:
            error = str(exc)
        if fields or error:
            yield range(first, reader.line_num + 1), fields, error
