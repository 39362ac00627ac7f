"""JSON lines reader: nested objects as columns ``a.b``, every value as text."""

import gzip
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Final, TextIO, cast

import polars as pl

from models.arrays.document import RepeatedKeyError, each_key_once, read_json
from models.dataset.checks import ROW
from models.dataset.encoding import escaped
from models.dataset.faults import Fault, FaultCode

JSON_LINES: Final = (".jsonl", ".ndjson", ".json", ".jsonl.gz", ".ndjson.gz", ".json.gz")
# Chosen, as for CSV: bounds the memory that rows take as Python objects.
_ROWS_AT_ONCE: Final = 100_000
# Chosen: what an error quotes of a line that may be of any length.
_SHOWN_CHARS: Final = 200
_NOT_TEXT: Final = "the line has bytes or `\\u` escapes that are not UTF-8: save the file as UTF-8"


@dataclass(slots=True)
class JsonLines:
    """One file of JSON lines.

    Attributes:
        path: The file.
        faults: Lines that could not be read, filled as frames of `read` are taken.
    """

    path: Path
    faults: list[Fault] = field(default_factory=list[Fault])

    def read(self) -> Iterator[pl.DataFrame]:
        """Read the file, lines as their frames are taken.

        Yields:
            `ROW` and a text column for each field found, null where a line lacks it. A list is
            its JSON; its first element is also the column ``name.0``. The last frame is empty:
            all faults are known by then.

        Raises:
            OSError: If the file cannot be read.
            EOFError: If a gzip file is cut off.
            zlib.error: If a gzip file is damaged.
        """
        opened = gzip.open if self.path.suffix.lower() == ".gz" else open
        with cast(
            "TextIO", opened(self.path, "rt", encoding="utf-8", errors="surrogateescape")
        ) as lines:
            yield from _text_frames(self._rows(lines), ROW, dtype=pl.Int64())

    def _rows(self, lines: Iterable[str]) -> Iterator[tuple[int, dict[str, str | None]]]:
        for row, line in enumerate((line for line in lines if line.strip()), start=1):
            code, problem = FaultCode.MALFORMED_ROW, "the line is not a JSON object"
            try:
                content = read_json(line)
                _require_text(line, content)
                if isinstance(content, dict):
                    yield row, flattened(cast("dict[str, object]", content))
                    continue
            except RepeatedKeyError as exc:
                problem = str(exc)
            except UnicodeEncodeError:
                code, problem = FaultCode.NOT_UTF8, _NOT_TEXT
            except ValueError as exc:
                problem = f"the line is not JSON: {exc}"
            fault = Fault(
                file=self.path.name,
                row=row,
                code=code,
                reason=problem,
                record=json.dumps([escaped(line.strip()[:_SHOWN_CHARS])], ensure_ascii=False),
            )
            self.faults.append(fault)


def _require_text(line: str, content: object) -> None:
    if not line.isascii():
        line.encode()
    if "\\u" in line:  # half of a surrogate pair is valid JSON, and no text
        json.dumps(content, ensure_ascii=False).encode()


def numbered_texts(
    rows: Iterator[tuple[int, dict[str, str | None]]], number: str, *, dtype: pl.DataType
) -> pl.DataFrame:
    """Make a table of numbered texts by name.

    Args:
        rows: Number and texts of each row, read a chunk at a time.
        number: Name of the column of numbers.
        dtype: Its type.

    Returns:
        The numbers, and a text column for each name found, null where a row lacks it.
    """
    return pl.concat(_text_frames(rows, number, dtype=dtype), how="diagonal")


def _text_frames(
    rows: Iterator[tuple[int, dict[str, str | None]]], number: str, *, dtype: pl.DataType
) -> Iterator[pl.DataFrame]:
    while chunk := list(islice(rows, _ROWS_AT_ONCE)):
        # A dictionary keeps the order in which the fields come.
        names = {name: pl.String() for _, texts in chunk for name in texts}
        records = [{number: row, **texts} for row, texts in chunk]
        yield pl.DataFrame(records, schema={number: dtype, **names})
    yield pl.DataFrame(schema={number: dtype})


def flattened(content: dict[str, object]) -> dict[str, str | None]:
    """Flatten an object to texts by name; see `JsonLines.read`.

    Raises:
        RepeatedKeyError: If two fields have one name, as ``{"a": {"b": 1}, "a.b": 2}``.
    """
    return each_key_once(list(_fields(content, "")))


def _fields(content: dict[str, object], prefix: str) -> Iterator[tuple[str, str | None]]:
    for key, value in content.items():
        name = f"{prefix}{key}"
        if isinstance(value, dict):
            yield from _fields(cast("dict[str, object]", value), f"{name}.")
        elif isinstance(value, list):
            elements = cast("list[object]", value)
            yield name, json.dumps(elements, ensure_ascii=False)
            if elements and not isinstance(elements[0], dict | list):
                yield f"{name}.0", as_field(elements[0])
        else:
            yield name, as_field(value)


def as_field(value: object) -> str | None:
    """Return a JSON scalar as text: ``true``, ``1.5``; None for null."""
    return value if value is None or isinstance(value, str) else json.dumps(value)
