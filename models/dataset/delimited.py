"""CSV reader: rows that are not UTF-8 or not CSV are reported one by one and left out."""

import csv
import gzip
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Final, TextIO, cast

import polars as pl

from models.dataset.checks import ROW
from models.dataset.faults import Fault, FaultCode

if TYPE_CHECKING:
    from _csv import Reader as _Reader

_ROWS_AT_ONCE: Final = 100_000
_BYTE_ORDER_MARK: Final = "\ufeff"
_OTHER_MARKS: Final = (";", "\t", "|")


class UnreadableHeaderError(ValueError):
    """A CSV file without a valid header."""


@dataclass(slots=True)
class CsvFile:
    """One CSV file.

    Attributes:
        path: The file.
        faults: The rows that could not be read, filled by `read`.
        undecodable: Byte offset of the first byte that is not UTF-8, by line number.
    """

    path: Path
    faults: list[Fault] = field(default_factory=list[Fault])
    undecodable: dict[int, int] = field(default_factory=dict[int, int])

    def read(self) -> tuple[tuple[str, ...], list[pl.DataFrame]]:
        """Read the file.

        Returns:
            Column names, and frames of text columns with `ROW`, at least one.

        Raises:
            UnreadableHeaderError: If the first line is no header.
            OSError: If the file cannot be read.
        """
        reader = csv.reader(self._lines(), strict=True)
        header = self._header(reader)
        rows = self._rows(reader, len(header))
        schema = {ROW: pl.Int64, **dict.fromkeys(header, pl.String)}
        frames = [pl.DataFrame(schema=schema)]
        while chunk := list(islice(rows, _ROWS_AT_ONCE)):
            columns = dict(zip(schema, zip(*chunk, strict=True), strict=True))
            frames.append(pl.DataFrame(columns, schema=schema))
        return header, frames

    def _lines(self) -> Iterator[str]:
        offset = 0
        # Undecodable bytes become lone surrogates, so that only their rows are lost.
        with self._open() as file:
            for number, line in enumerate(file, start=1):
                if line.isascii():
                    offset += len(line)
                else:
                    offset += self._n_bytes(line, number, offset)
                # Before the first name, which may be quoted.
                yield line.removeprefix(_BYTE_ORDER_MARK) if number == 1 else line

    def _open(self) -> TextIO:
        opened = gzip.open if self.path.suffix.lower() == ".gz" else open
        return cast(
            "TextIO",
            opened(self.path, "rt", encoding="utf-8", errors="surrogateescape", newline=""),
        )

    def _n_bytes(self, line: str, number: int, offset: int) -> int:
        try:
            return len(line.encode())
        except UnicodeEncodeError as exc:
            self.undecodable[number] = offset + len(line[: exc.start].encode())
            return len(line.encode(errors="surrogateescape"))

    def _header(self, reader: "_Reader") -> tuple[str, ...]:
        try:
            names: list[str] = next(reader, list[str]())
        except csv.Error as exc:
            msg = f"the first line is no CSV header: {exc}"
            raise UnreadableHeaderError(msg) from exc
        if self.undecodable:
            first = min(self.undecodable.values())
            msg = f"is not UTF-8 at byte {first}, in the header: save the file as UTF-8"
            raise UnreadableHeaderError(msg)
        if not names:
            msg = "is empty: the first line must name the columns"
            raise UnreadableHeaderError(msg)
        if len(names) == 1 and (found := [mark for mark in _OTHER_MARKS if mark in names[0]]):
            msg = f"has {found[0]!r} between its columns: save it with commas"
            raise UnreadableHeaderError(msg)
        if len(set(names)) < len(names):
            repeated = sorted({name for name in names if names.count(name) > 1})
            msg = f"names columns twice: {', '.join(map(repr, repeated))}"
            raise UnreadableHeaderError(msg)
        return tuple(names)

    def _rows(self, reader: "_Reader", n_columns: int) -> Iterator[tuple[int | str, ...]]:
        for row, record in enumerate(_records(reader), start=1):
            problem = self._problem(record, n_columns)
            if problem is None:
                yield (row, *record.fields)
            else:
                self.faults.append(self._fault(row, record, problem))

    def _problem(self, record: "_Record", n_columns: int) -> tuple[FaultCode, str] | None:
        if record.error is not None:
            return FaultCode.MALFORMED_ROW, f"not CSV: {record.error}"
        if self.undecodable and (bad := self.undecodable.keys() & set(record.lines)):
            first = self.undecodable[min(bad)]
            return FaultCode.NOT_UTF8, f"not UTF-8 at byte {first} of the file"
        if len(record.fields) != n_columns:
            n_fields = len(record.fields)
            return FaultCode.MALFORMED_ROW, f"{n_fields} fields under {n_columns} columns"
        return None

    def _fault(self, row: int, record: "_Record", problem: tuple[FaultCode, str]) -> Fault:
        first, last = record.lines[0], record.lines[-1]
        where = f"line {first}" if first == last else f"lines {first} to {last}"
        code, reason = problem
        return Fault(
            file=self.path.name,
            row=row,
            code=code,
            reason=f"{where}: {reason}",
            record=_json(record.fields) if record.fields else None,
        )


@dataclass(frozen=True, slots=True)
class _Record:
    lines: range
    fields: Sequence[str] = ()
    error: str | None = None


def _records(reader: "_Reader") -> Iterator[_Record]:
    """Yield all rows except blank lines."""
    while True:
        first = reader.line_num + 1
        try:
            fields = next(reader)
        except StopIteration:
            return
        except csv.Error as exc:
            yield _Record(range(first, reader.line_num + 1), error=str(exc))
            continue
        if fields:
            yield _Record(range(first, reader.line_num + 1), fields)


def _json(fields: Sequence[str]) -> str:
    """Return the fields of a malformed row as JSON; bytes that are not UTF-8 are escaped."""
    shown = [
        field.encode(errors="surrogateescape").decode(errors="backslashreplace") for field in fields
    ]
    return json.dumps(shown, ensure_ascii=False)
