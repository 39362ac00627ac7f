"""Conversion of the columns of a file to those of the contract, with the checks of each."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from operator import gt, le, lt
from typing import Final

import polars as pl

from models.dataset.checks import CONTROL_CHARACTERS, Check, find_faults, given
from models.dataset.faults import Fault, FaultCode, FaultReport
from models.dataset.schema import Column, Kind
from models.dataset.tables import Table
from models.domain.event import BEYOND_LAST, LAST, WITHIN_YEARS, to_us
from models.domain.sale import MAX_MARKETS, MAX_PICTURES
from models.domain.times import FORMS, NAIVE, read_times
from models.domain.units import SECOND_US

_LAST_US: Final = to_us(LAST)
_END_US: Final = _LAST_US + round(BEYOND_LAST.total_seconds()) * SECOND_US
# Other forms of a list as a text, such as ['fr', 'de'] of Python: taken for the name of one market
# they would hide the sale in all others.
_SEEN: Final = r"[^\s\x1c-\x1f]"  # what Python's `str.strip` leaves
_OTHER_LISTS: Final = r"[,;\[\]{}]"
# Above 2^53 floats are not exact integers; the bounds of the contract refuse such values anyway.
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
    faults: list[Fault] = []
    values: list[pl.Expr] = []
    checks: list[Check] = []
    for column in columns:
        found = _convert(column, table)
        if isinstance(found, Fault):
            faults.append(found)
        else:
            values.append(found.value.alias(column.name))
            checks += found.checks
    if faults:
        return table.frame, FaultReport.from_faults(faults)
    frame = table.frame.with_columns(values)
    known = {column.name for column in columns}
    faults = [
        table.fault(extra, f"column {name!r} is not of the contract and is not read", column=name)
        for name in table.columns
        if extra and name not in known
    ]
    unknown = FaultReport.from_faults(faults)
    return frame, table.faults + unknown + find_faults(frame, checks, file=table.file)


def _convert(column: Column, table: Table) -> Converted | Fault:
    name = column.name
    if name not in table.columns:
        if not column.required:
            return Converted(pl.lit(None, dtype=_TYPES[column.kind]))
        alike = [repr(each) for each in table.columns if each.strip().lower() == name]
        similar = f"; it has {' and '.join(alike)}" if alike else ""
        reason = f"has no column {name!r}, which is required{similar}"
        return table.fault(FaultCode.MISSING_COLUMN, reason, column=name)
    dtype = table.dtype(name)
    found = _CONVERSIONS[column.kind](column, dtype)
    if isinstance(found, str):
        reason = f"column {name!r} must hold {found}, is of type {dtype}"
        return table.fault(FaultCode.WRONG_COLUMN_TYPE, reason, column=name)
    if not column.required:
        return found
    absent = pl.col(given(name)).is_null()
    presence = Check(FaultCode.MISSING_VALUE, name, absent, "be there")
    return replace(found, checks=(presence, *found.checks))


# The conversions: each returns the column, or what a column of this kind must hold.


def _text(column: Column, dtype: pl.DataType) -> Converted | str:
    # Snowflake and Oracle have no integers: their whole numbers are decimals of scale 0.
    is_whole = dtype.is_integer() or (isinstance(dtype, pl.Decimal) and dtype.scale == 0)
    if not _is_text(dtype) and not is_whole:
        return "text or integers"
    name, low, high = column.name, column.min_chars, column.max_chars
    text = pl.col(given(name)).cast(pl.String)
    if column.kind is Kind.MARKET:
        text = _as_market(text)
    if not column.required:
        text = pl.when(text != "").then(text)
    value = pl.col(name)
    length = value.str.len_chars()
    wrong = (length > high) | length.is_between(1, low - 1)
    fits = f"have {low or 1} to {high} characters"
    checks = [
        Check(FaultCode.EMPTY_TEXT, name, value == "", "not be empty"),
        Check(FaultCode.WRONG_LENGTH, name, wrong, fits),
    ]
    if column.not_blank:
        is_blank = ~value.str.contains(_SEEN) & (value != "")
        checks.append(Check(FaultCode.EMPTY_TEXT, name, is_blank, "not be blank; leave it out"))
    if column.kind is not Kind.TEXT:
        forging = value.str.contains(CONTROL_CHARACTERS)
        must = "not hold control characters"
        checks.append(Check(FaultCode.CONTROL_CHARACTER, name, forging, must))
    return Converted(text, tuple(checks))


def _number(column: Column, dtype: pl.DataType) -> Converted | str:
    if not _is_text(dtype) and not dtype.is_numeric():
        return "numbers"
    name = column.name
    raw = pl.col(given(name))
    if _is_text(dtype):
        raw = raw.cast(pl.String).str.strip_chars()
    number = raw.cast(pl.Float64, strict=False)
    unread = number.is_null() & raw.is_not_null() & (raw.cast(pl.String) != "")
    finite = number.is_finite()
    checks = [
        Check(FaultCode.WRONG_TYPE, name, unread, "be a number"),
        Check(FaultCode.NOT_FINITE, name, ~finite, "be finite"),
    ]
    bounds = (
        (column.low, lt, "not be below"),
        (column.above, le, "be above"),
        (column.high, gt, "not be above"),
    )
    for bound, breaks, must in bounds:
        if bound is not None:
            is_sign = breaks is lt and not bound
            code = FaultCode.NEGATIVE_NUMBER if is_sign else FaultCode.OUT_OF_RANGE
            checks.append(Check(code, name, finite & breaks(number, bound), f"{must} {bound:g}"))
    if column.smallest:
        failed = finite & (number != 0) & (number.abs() < column.smallest)
        must = f"be 0, or at least {column.smallest:g} in size"
        checks.append(Check(FaultCode.OUT_OF_RANGE, name, failed, must))
    if column.kind is Kind.WHOLE:
        broken = finite & (number != number.floor())
        checks.append(Check(FaultCode.WRONG_TYPE, name, broken, "be a whole number"))
        safe = pl.when(number.abs() <= _WHOLE_LIMIT).then(number)
        number = safe.cast(pl.Int64, strict=False)
    return Converted(number, tuple(checks))


def _time(column: Column, dtype: pl.DataType) -> Converted | str:
    name = column.name
    checks: list[Check] = []
    if isinstance(dtype, pl.Datetime):
        if dtype.time_zone is None:
            return "times with a time zone; convert them to UTC"
        ticks = pl.col(given(name)).to_physical()
        value = {"ms": ticks * 1_000, "us": ticks, "ns": ticks // 1_000}[dtype.time_unit]
        last = {"ms": _END_US // 1_000, "us": _END_US, "ns": 2**63 - 1}[dtype.time_unit]
        # Checked in ticks: far years in milliseconds would overflow microseconds in 64 bits.
        beyond = ~ticks.is_between(0, last)
    elif _is_text(dtype):
        raw = pl.col(given(name)).cast(pl.String)
        text = pl.when(raw != "").then(raw)
        value = text.map_batches(read_times, return_dtype=pl.Int64)
        # The checks read the converted column, so that the texts are parsed once.
        unread = pl.col(name).is_null() & text.is_not_null()
        naive = unread & text.str.contains(NAIVE)
        must = f"be a time like {FORMS}"
        checks = [
            Check(FaultCode.NAIVE_TIME, name, naive, "carry an offset or Z"),
            Check(FaultCode.UNPARSABLE_TIME, name, unread & ~naive, must),
        ]
        beyond = ~pl.col(name).is_between(0, _END_US)
    else:
        return "times with a time zone"
    checks.append(Check(FaultCode.OUT_OF_RANGE, name, beyond, WITHIN_YEARS))
    return Converted(value.clip(upper_bound=_LAST_US), tuple(checks))


def _texts(column: Column, dtype: pl.DataType) -> Converted | str:
    name, high, markets = column.name, column.max_chars, column.kind is Kind.MARKETS
    value = pl.col(given(name))
    other = pl.lit(value=False)
    if dtype in (pl.List(pl.String), pl.List(pl.Null), pl.List(pl.Categorical)):
        value = value.cast(pl.List(pl.String))
    elif _is_text(dtype):
        text = value.cast(pl.String)
        value = pl.when(text != "").then(text.str.split("|"))
        if markets:
            other = text.str.contains(_OTHER_LISTS)
    else:
        like = "fr|de" if markets else "cover.jpg|pool.jpg"
        return f"a list of texts, or a text like {like!r}"
    each = pl.element()
    if markets:
        value = value.list.eval(_as_market(each))
    empty = value.list.eval(each.is_null() | (each == "")).list.any()
    long = value.list.eval(each.str.len_chars() > high).list.any()
    forging = value.list.eval(each.str.contains(CONTROL_CHARACTERS)).list.any()
    if markets:
        # A list without a market would hide the sale everywhere, which no row means.
        empty |= value.list.len() == 0
        must = "hold no empty name; leave it out for every market"
        too_many, most = FaultCode.TOO_MANY_MARKETS, MAX_MARKETS
    else:
        must = "hold no empty path"
        too_many, most = FaultCode.TOO_MANY_PICTURES, MAX_PICTURES
    checks = (
        Check(FaultCode.WRONG_TYPE, name, other, "separate its names by '|'"),
        Check(FaultCode.EMPTY_TEXT, name, empty, must),
        Check(FaultCode.WRONG_LENGTH, name, long, f"have names of 1 to {high} characters"),
        Check(FaultCode.CONTROL_CHARACTER, name, forging, "not hold control characters"),
        Check(too_many, name, value.list.len() > most, f"name at most {most}"),
    )
    return Converted(value, checks)


def _as_market(name: pl.Expr) -> pl.Expr:
    # The form of `models.domain.event.Market`.
    return name.str.strip_chars().str.to_lowercase()


def _is_text(dtype: pl.DataType) -> bool:
    # A column of nulls only has no type.
    return isinstance(dtype, pl.String | pl.Categorical | pl.Enum | pl.Null)


_CONVERSIONS: Final = {
    Kind.IDENTIFIER: _text,
    Kind.TEXT: _text,
    Kind.NUMBER: _number,
    Kind.WHOLE: _number,
    Kind.TIME: _time,
    Kind.MARKET: _text,
    Kind.MARKETS: _texts,
    Kind.PICTURES: _texts,
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
