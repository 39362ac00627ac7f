"""Attributes of sales or customers: columns beyond the contract, as numbers, booleans or texts."""

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Final

import polars as pl

from models.catalogue.attributes import MAX_LENGTH, unused_because
from models.dataset.checks import SHOWN_CHARS, Check, as_text, find_faults, given
from models.dataset.faults import Fault, FaultCode, FaultReport
from models.dataset.tables import Table
from models.domain.event import MAX_IDENTIFIER, PRINTABLE
from models.domain.sale import MAX_ATTRIBUTE_CHARS

_BOOLEANS: Final = ["true", "false"]
# Durations become days.
_SECONDS_A_DAY: Final = 86_400
_TICKS_A_SECOND: Final = {"ms": 1_000, "us": 1_000_000, "ns": 1_000_000_000}


@dataclass(frozen=True, slots=True, eq=False)
class Attributes:
    """The attributes of a table.

    Attributes:
        columns: Values by name, each in the order of the file: floats, booleans or texts.
        faults: Columns that cannot be attributes, and values that are infinite or too long.
    """

    columns: Mapping[str, pl.Series]
    faults: FaultReport


def read_attributes(table: Table, contract: Collection[str], *, most: int) -> Attributes:
    """Read every column that the contract does not name.

    Numbers become floats, durations days, and of untyped text what all of it can be read as.
    Columns of lists, structs, bytes and unknown types are noted and left out, and so are those
    whose names no request may have.

    Args:
        table: The unconverted table.
        contract: The columns that the contract names.
        most: Columns beyond them, of which none is read if there are more.
    """
    names = [name for name in table.columns if name not in contract]
    if len(names) > most:
        reason = f"has {len(names)} columns beyond the contract, at most {most} are kept"
        fault = table.fault(FaultCode.TOO_MANY_COLUMNS, reason)
        return Attributes({}, FaultReport.from_faults([fault]))
    nameless = [
        name for name in names if len(name) > MAX_IDENTIFIER or not re.fullmatch(PRINTABLE, name)
    ]
    names = [name for name in names if name not in nameless]
    columns = {name: values for name in names if (values := _values(table, name)) is not None}
    notes = [_nameless(table, name) for name in nameless]
    for name in names:
        code, similar = FaultCode.UNKNOWN_COLUMN, name.strip().lower()
        if name not in columns:
            reason = f"column {name!r} of type {table.dtype(name)} cannot be an attribute"
            notes.append(table.fault(code, reason, column=name))
        elif similar in contract:
            reason = f"column {name!r} is read as an attribute: the contract says {similar!r}"
            notes.append(table.fault(code, reason, column=name))
    columns, out_of_bounds = _within_bounds(table, columns)
    return Attributes(columns, FaultReport.from_faults(notes) + out_of_bounds)


def unused_columns(columns: Mapping[str, pl.Series], *, table: str) -> dict[str, str]:
    """Return why attributes are learned from by no model, by the names of those that are not.

    Args:
        columns: Values by name.
        table: Whose attributes they are, ``sales`` or ``customers``.
    """
    reasons: dict[str, str] = {}
    for name, values in columns.items():
        known, is_text = values.drop_nulls(), values.dtype == pl.String
        if is_text:
            known = known.filter(known.str.len_chars() <= MAX_LENGTH)
        why = unused_because(
            name, n_distinct=known.n_unique(), n_values=len(known), is_text=is_text, table=table
        )
        if why is not None:
            reasons[name] = why
    return reasons


def _within_bounds(
    table: Table, columns: Mapping[str, pl.Series]
) -> tuple[dict[str, pl.Series], FaultReport]:
    kept = dict(columns)
    checks: list[Check] = []
    finite = pl.when(pl.all().is_finite()).then(pl.all())
    short = pl.when(pl.all().str.len_chars() <= MAX_ATTRIBUTE_CHARS).then(pl.all())
    at_most = f"have at most {MAX_ATTRIBUTE_CHARS} characters"
    for name, values in columns.items():
        if values.dtype == pl.Float64:
            infinite = pl.lit(values.is_infinite())
            checks.append(Check(FaultCode.INFINITE_ATTRIBUTE, name, infinite, "be finite"))
            kept[name] = values.to_frame().select(finite).to_series()
        elif values.dtype == pl.String:
            long = pl.lit(values.str.len_chars() > MAX_ATTRIBUTE_CHARS)
            checks.append(Check(FaultCode.LONG_ATTRIBUTE, name, long, at_most))
            kept[name] = values.to_frame().select(short).to_series()
    return kept, find_faults(table.frame, checks, file=table.file)


def _nameless(table: Table, name: str) -> Fault:
    reason = (
        f"column {name[:SHOWN_CHARS]!r} cannot be an attribute: names have 1 to {MAX_IDENTIFIER}"
        " characters, no control characters among them"
    )
    return table.fault(FaultCode.UNKNOWN_COLUMN, reason, column=name)


def _values(table: Table, name: str) -> pl.Series | None:
    column = table.frame[given(name)]
    dtype = column.dtype
    if dtype.is_nested() or isinstance(dtype, pl.Binary | pl.Object):
        return None
    try:
        if dtype == pl.Boolean:
            return column
        if dtype.is_numeric():
            return column.cast(pl.Float64)
        if isinstance(dtype, pl.Duration):
            ticks_a_day = _SECONDS_A_DAY * _TICKS_A_SECOND[dtype.time_unit]
            return column.to_physical().cast(pl.Float64) / ticks_a_day
        text = column.to_frame().select(as_text(pl.col(column.name), dtype)).to_series()
    # A type of a later polars version that cannot be converted costs only its column.
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException):
        return None
    return text if table.typed else typed_text(text)


def typed_text(text: pl.Series) -> pl.Series:
    """Convert texts to booleans or numbers if all of them can be read as such."""
    # All or nothing: a column of which some values are numbers stays text.
    lower = text.str.to_lowercase()
    if lower.drop_nulls().is_in(_BOOLEANS).all():
        return lower == "true"
    numbers = text.cast(pl.Float64, strict=False)
    return text if numbers.null_count() > text.null_count() else numbers
