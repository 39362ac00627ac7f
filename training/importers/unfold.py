"""Lists within a row: each element becomes a row."""

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from typing import cast

import polars as pl

from models.arrays.document import read_json
from models.dataset.checks import Check, find_faults, given
from models.dataset.faults import FaultCode, FaultReport
from training.importers.json_lines import as_field, flattened, numbered_texts
from training.importers.mapping import Each, MappingError
from training.importers.source import Source

_INDEX = "\x00index"
_VALUE = "\x00element"


def unfold(source: Source, each: Each, *, keep_empty: bool) -> tuple[Source, FaultReport]:
    """Make a row of each element of a list, with the other columns of its row.

    Args:
        source: Rows with a column of lists.
        each: The list, and how its elements are read.
        keep_empty: Whether a row with an empty list stays, as one row without an element.

    Returns:
        Rows with ``LIST.position`` from 1 and, of elements with fields, ``LIST.FIELD``. And the
        faults of rows whose list cannot be read.

    Raises:
        MappingError: If the pattern is no regular expression with named groups.
    """
    name = each.list_column
    dtype = source.dtype(name)
    if not source.has(name):
        frame = source.frame if keep_empty else source.frame.clear()
        return replace(source, frame=frame), FaultReport.none()
    frame = source.frame.with_row_index(_INDEX)
    faults = FaultReport.none()
    if isinstance(dtype, pl.List | pl.Array):
        elements = frame.select(_INDEX, pl.col(given(name)).alias(_VALUE)).explode(_VALUE)
    elif each.separator is not None:
        split = pl.col(given(name)).cast(pl.String).str.split(each.separator)
        elements = frame.select(_INDEX, split.alias(_VALUE)).explode(_VALUE)
        elements = elements.filter(pl.col(_VALUE) != "")
    else:
        elements, faults = _json_elements(frame, name, file=source.table.file)
    elements = elements.drop_nulls(_VALUE)
    position = pl.int_range(1, pl.len() + 1).over(_INDEX).alias(given(f"{name}.position"))
    elements = _with_fields(elements.with_columns(position), name, each.pattern)
    # The fields of an element replace columns of the same name.
    kept = frame.drop(set(elements.columns) - {_INDEX}, strict=False)
    how = "left" if keep_empty else "inner"
    joined = kept.join(elements, on=_INDEX, how=how, maintain_order="left_right")
    return replace(source, frame=joined.drop(_INDEX)), faults


def _json_elements(
    frame: pl.DataFrame, name: str, *, file: str
) -> tuple[pl.DataFrame, FaultReport]:
    unread: list[int] = []

    def read() -> Iterator[tuple[int, dict[str, str | None]]]:
        for index, text in frame.select(_INDEX, given(name)).iter_rows():
            parts: list[dict[str, str | None]] | None = None
            with suppress(ValueError):
                found = read_json(text or "[]")
                if isinstance(found, list):
                    parts = [
                        flattened(cast("dict[str, object]", element))
                        if isinstance(element, dict)
                        else {"": as_field(element)}
                        for element in cast("list[object]", found)
                    ]
            if parts is None:
                unread.append(index)
            else:
                yield from ((index, part) for part in parts)

    elements = numbered_texts(read(), _INDEX, dtype=frame.schema[_INDEX])
    if elements.width == 1:
        elements = elements.with_columns(pl.lit(None, dtype=pl.String).alias(""))
    elements = elements.select(_INDEX, pl.struct(pl.exclude(_INDEX)).alias(_VALUE))
    must = "be a JSON list, with each key of an object once"
    check = Check(FaultCode.MALFORMED_ROW, name, pl.col(_INDEX).is_in(unread), must)
    return elements, find_faults(frame, [check], file=file)


def _with_fields(elements: pl.DataFrame, name: str, pattern: str | None) -> pl.DataFrame:
    if pattern is not None:
        try:
            groups = pl.col(_VALUE).cast(pl.String).str.extract_groups(pattern)
            elements = elements.with_columns(groups)
        except pl.exceptions.PolarsError as exc:
            msg = f"each.pattern {pattern!r} is no regular expression: {exc}"
            raise MappingError(msg) from exc
    dtype = elements.schema[_VALUE]
    if not isinstance(dtype, pl.Struct):
        return elements.rename({_VALUE: given(name)})
    if pattern is not None and any(field.name.isdigit() for field in dtype.fields):
        msg = f"each.pattern {pattern!r} needs a name for each group, such as '(?P<id>.*)'"
        raise MappingError(msg)
    # An element without fields, a text or number, is the list's column itself.
    named = [given(f"{name}.{field.name}" if field.name else name) for field in dtype.fields]
    fields = elements.select(pl.col(_VALUE).struct.rename_fields(named).struct.unnest())
    rest = elements.drop(_VALUE, *(set(named) & set(elements.columns)))
    return pl.concat([rest, fields], how="horizontal")
