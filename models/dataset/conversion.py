"""Conversion of the columns of a file to those of the contract, with the checks of each."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

import polars as pl

from models.dataset.checks import CONTROL_CHARACTERS, Check, find_faults, given
from models.dataset.faults import Fault, FaultCode, FaultReport
from models.dataset.schema import MAX_MARKETS_OF_A_SALE, Column, Kind
from models.dataset.tables import Table
from models.domain.event import BEYOND_LAST, LAST, WITHIN_YEARS, to_us
from models.domain.sale import MAX_PICTURES
from models.domain.times import FORMS, NAIVE, read_times
from models.domain.units import SECOND_US

_LAST_US: Final = to_us(LAST)
_END_US: Final = _LAST_US + round(BEYOND_LAST.total_seconds()) * SECOND_US
_WHOLE_LIMIT: Final = 2.0**53


@dataclass(frozen=True, slots=True, eq=False)
class Converted:
    """A column of the contract as an expression over a table, and its rules."""

    value: pl.Expr
    checks: tuple[Check, ...] = ()


def convert(
    table: Table, columns: Sequence[Column], *, extra: FaultCode | None = None
) -> tuple[pl.DataFrame, FaultReport]:
    """Convert a table to the columns of the contract and check each value.

    Args:
        table: The unconverted table.
        columns: The columns of its contract.
        extra: The fault of a column that the contract does not name, None for none.

    Returns:
        The table with the contract's columns under their own names beside the given ones
        (absent columns null; rows that fail a check still in it), and the faults. Times are
        microseconds since the epoch. With a fault of the whole file the table is unchanged.
    """
    missing, converted = _convert_each(table, columns)
    if len(missing):
        return table.frame, missing
    frame = table.frame.with_columns(
        converted[column.name].value.alias(column.name) for column in columns
    )
    checks = [check for each in converted.values() for check in each.checks]
    unknown = FaultReport.from_faults(_unknown(table, columns, extra))
    faults = find_faults(frame, checks, file=table.file)
    return frame, FaultReport.concatenate([table.faults, unknown, faults])


def _convert_each(
    table: Table, columns: Sequence[Column]
) -> tuple[FaultReport, dict[str, Converted]]:
    faults: list[Fault] = []
    converted: dict[str, Converted] = {}
    for column in columns:
        if column.name in table.columns:
            found = _CONVERSIONS[column.kind](column, table.dtype(column.name))
            if isinstance(found, str):
                faults.append(_file_fault(table, column.name, FaultCode.WRONG_COLUMN_TYPE, found))
            else:
                converted[column.name] = _with_presence(column, found)
        elif column.required:
            reason = f"has no column {column.name!r}, which is required{_similar(table, column)}"
            faults.append(_file_fault(table, column.name, FaultCode.MISSING_COLUMN, reason))
        else:
            converted[column.name] = Converted(pl.lit(None, dtype=_TYPES[column.kind]))
    return FaultReport.from_faults(faults), converted


def _similar(table: Table, column: Column) -> str:
    alike = [repr(name) for name in table.columns if name.strip().lower() == column.name]
    return f"; it has {' and '.join(alike)}" if alike else ""


def _file_fault(table: Table, column: str, code: FaultCode, reason: str) -> Fault:
    return Fault(file=table.file, column=column, code=code, reason=reason)


def _unknown(table: Table, columns: Sequence[Column], code: FaultCode | None) -> list[Fault]:
    if code is None:
        return []
    known = {column.name for column in columns}
    reason = "column {!r} is not of the contract and is not read"
    return [
        _file_fault(table, name, code, reason.format(name))
        for name in table.columns
        if name not in known
    ]


def _with_presence(column: Column, converted: Converted) -> Converted:
    if not column.required:
        return converted
    raw = pl.col(given(column.name))
    presence = Check(FaultCode.MISSING_VALUE, column.name, raw.is_null(), "be there")
    return replace(converted, checks=(presence, *converted.checks))


def _wrong_type(column: Column, dtype: pl.DataType, wanted: str) -> str:
    return f"column {column.name!r} must hold {wanted}, is of type {dtype}"


def _text(column: Column, dtype: pl.DataType) -> Converted | str:
    if not _is_text(dtype) and not dtype.is_integer():
        return _wrong_type(column, dtype, "text or integers")
    value = pl.col(given(column.name)).cast(pl.String)
    if not column.required:
        value = pl.when(value != "").then(value)
    return Converted(value, _text_checks(column, pl.col(column.name)))


def _text_checks(column: Column, value: pl.Expr) -> tuple[Check, ...]:
    length = value.str.len_chars()
    name, low, high = column.name, column.min_chars, column.max_chars
    fits = f"have {low or 1} to {high} characters"
    checks = [
        Check(FaultCode.EMPTY_TEXT, name, value == "", "not be empty"),
        Check(FaultCode.WRONG_LENGTH, name, (length > high) | length.is_between(1, low - 1), fits),
    ]
    if column.kind in {Kind.IDENTIFIER, Kind.MARKET}:
        forging = value.str.contains(CONTROL_CHARACTERS)
        must = "not hold control characters"
        checks.append(Check(FaultCode.CONTROL_CHARACTER, name, forging, must))
    return tuple(checks)


def _number(column: Column, dtype: pl.DataType) -> Converted | str:
    if not _is_text(dtype) and not dtype.is_numeric():
        return _wrong_type(column, dtype, "numbers")
    raw = pl.col(given(column.name))
    if _is_text(dtype):
        raw = raw.cast(pl.String).str.strip_chars()
    number = raw.cast(pl.Float64, strict=False)
    unread = number.is_null() & raw.is_not_null() & (raw.cast(pl.String) != "")
    checks = [
        Check(FaultCode.WRONG_TYPE, column.name, unread, "be a number"),
        Check(FaultCode.NOT_FINITE, column.name, ~number.is_finite(), "be finite"),
    ]
    return Converted(number, (*checks, *_bounds(column, number)))


def _bounds(column: Column, number: pl.Expr) -> list[Check]:
    checks: list[Check] = []
    finite = number.is_finite()
    if column.low is not None:
        code = FaultCode.OUT_OF_RANGE if column.low else FaultCode.NEGATIVE_NUMBER
        must = f"not be below {column.low:g}"
        checks.append(Check(code, column.name, finite & (number < column.low), must))
    if column.above is not None:
        must = f"be above {column.above:g}"
        failed = finite & (number <= column.above)
        checks.append(Check(FaultCode.OUT_OF_RANGE, column.name, failed, must))
    if column.high is not None:
        must = f"not be above {column.high:g}"
        failed = finite & (number > column.high)
        checks.append(Check(FaultCode.OUT_OF_RANGE, column.name, failed, must))
    if column.smallest:
        must = f"be 0, or at least {column.smallest:g} in size"
        failed = finite & (number != 0) & (number.abs() < column.smallest)
        checks.append(Check(FaultCode.OUT_OF_RANGE, column.name, failed, must))
    return checks


def _whole(column: Column, dtype: pl.DataType) -> Converted | str:
    converted = _number(column, dtype)
    if isinstance(converted, str):
        return converted
    number = converted.value
    broken = number.is_finite() & (number != number.floor())
    whole = Check(FaultCode.WRONG_TYPE, column.name, broken, "be a whole number")
    # Above 2^53 floats are not exact integers; the bounds refuse such values in any case.
    safe = pl.when(number.abs() <= _WHOLE_LIMIT).then(number)
    return Converted(safe.cast(pl.Int64, strict=False), (*converted.checks, whole))


def _time(column: Column, dtype: pl.DataType) -> Converted | str:
    if isinstance(dtype, pl.Datetime):
        return _stored_time(column, dtype)
    if _is_text(dtype):
        return _written_time(column)
    return _wrong_type(column, dtype, "times with a time zone")


def _stored_time(column: Column, dtype: pl.Datetime) -> Converted | str:
    if dtype.time_zone is None:
        return _wrong_type(column, dtype, "times with a time zone; convert them to UTC")
    ticks = pl.col(given(column.name)).to_physical()
    value = {"ms": ticks * 1_000, "us": ticks, "ns": ticks // 1_000}[dtype.time_unit]
    last = {"ms": _END_US // 1_000, "us": _END_US, "ns": 2**63 - 1}[dtype.time_unit]
    # Checked in ticks: far years in milliseconds would overflow microseconds in 64 bits.
    return _within_years(column, value, failed=~ticks.is_between(0, last))


def _written_time(column: Column) -> Converted:
    raw = pl.col(given(column.name)).cast(pl.String)
    text = pl.when(raw != "").then(raw)
    value = pl.col(column.name)
    unread = value.is_null() & text.is_not_null()
    naive = unread & text.str.contains(NAIVE)
    checks = (
        Check(FaultCode.NAIVE_TIME, column.name, naive, "carry an offset or Z"),
        Check(FaultCode.UNPARSABLE_TIME, column.name, unread & ~naive, f"be a time like {FORMS}"),
    )
    read = text.map_batches(read_times, return_dtype=pl.Int64)
    within = _within_years(column, read, failed=~value.is_between(0, _END_US))
    return replace(within, checks=(*checks, *within.checks))


def _within_years(column: Column, value: pl.Expr, *, failed: pl.Expr) -> Converted:
    check = Check(FaultCode.OUT_OF_RANGE, column.name, failed, WITHIN_YEARS)
    return Converted(value.clip(upper_bound=_LAST_US), (check,))


def _texts(column: Column, dtype: pl.DataType) -> pl.Expr | str:
    """Return a column of lists, given as such or as texts with ``|`` between them."""
    raw = pl.col(given(column.name))
    if dtype in (pl.List(pl.String), pl.List(pl.Null), pl.List(pl.Categorical)):
        return raw.cast(pl.List(pl.String))
    if _is_text(dtype):
        text = raw.cast(pl.String)
        return pl.when(text != "").then(text.str.split("|"))
    return _wrong_type(column, dtype, f"a list of texts, or a text like {_LIKE[column.kind]!r}")


def _text_of_each(column: Column, value: pl.Expr) -> tuple[Check, ...]:
    each = pl.element()
    long = value.list.eval(each.str.len_chars() > column.max_chars).list.any()
    forging = value.list.eval(each.str.contains(CONTROL_CHARACTERS)).list.any()
    fits = f"have names of 1 to {column.max_chars} characters"
    return (
        Check(FaultCode.WRONG_LENGTH, column.name, long, fits),
        Check(FaultCode.CONTROL_CHARACTER, column.name, forging, "not hold control characters"),
    )


def _has_nameless(value: pl.Expr) -> pl.Expr:
    return value.list.eval(pl.element().is_null() | (pl.element() == "")).list.any()


def _as_market(name: pl.Expr) -> pl.Expr:
    """Return names of markets in the form of `models.domain.event.Market`."""
    return name.str.strip_chars().str.to_lowercase()


def _market(column: Column, dtype: pl.DataType) -> Converted | str:
    found = _text(column, dtype)
    if isinstance(found, str):
        return found
    market = _as_market(found.value)
    return replace(found, value=pl.when(market != "").then(market))


def _markets(column: Column, dtype: pl.DataType) -> Converted | str:
    given = _texts(column, dtype)
    if isinstance(given, str):
        return given
    value = given.list.eval(_as_market(pl.element()))
    name = column.name
    empty = (value.list.len() == 0) | _has_nameless(value)
    many = value.list.len() > MAX_MARKETS_OF_A_SALE
    must = "hold no empty name; leave it out for every market"
    checks = (
        Check(FaultCode.EMPTY_TEXT, name, empty, must),
        *_text_of_each(column, value),
        Check(FaultCode.TOO_MANY_MARKETS, name, many, f"name at most {MAX_MARKETS_OF_A_SALE}"),
    )
    return Converted(value, checks)


def _pictures(column: Column, dtype: pl.DataType) -> Converted | str:
    value = _texts(column, dtype)
    if isinstance(value, str):
        return value
    name = column.name
    many = value.list.len() > MAX_PICTURES
    checks = (
        Check(FaultCode.EMPTY_TEXT, name, _has_nameless(value), "hold no empty path"),
        *_text_of_each(column, value),
        Check(FaultCode.TOO_MANY_PICTURES, name, many, f"name at most {MAX_PICTURES}"),
    )
    return Converted(value, checks)


_LIKE: Final = {Kind.MARKETS: "fr|de", Kind.PICTURES: "cover.jpg|pool.jpg"}


def _is_text(dtype: pl.DataType) -> bool:
    # A column of nulls only has no type.
    return isinstance(dtype, pl.String | pl.Categorical | pl.Enum | pl.Null)


_CONVERSIONS: Final = {
    Kind.IDENTIFIER: _text,
    Kind.TEXT: _text,
    Kind.NUMBER: _number,
    Kind.WHOLE: _whole,
    Kind.TIME: _time,
    Kind.MARKET: _market,
    Kind.MARKETS: _markets,
    Kind.PICTURES: _pictures,
}

_TYPES: Final = {
    Kind.IDENTIFIER: pl.String(),
    Kind.TEXT: pl.String(),
    Kind.NUMBER: pl.Float64(),
    Kind.WHOLE: pl.Int64(),
    Kind.TIME: pl.Int64(),
    Kind.MARKET: pl.String(),
    Kind.MARKETS: pl.List(pl.String),
    Kind.PICTURES: pl.List(pl.String),
}
