"""Values of a mapping as expressions over a source: columns, conditions, times."""

import re
from collections.abc import Mapping as AnyMapping
from typing import Final

import polars as pl

from models.dataset.checks import ROW, as_text
from models.dataset.schema import Kind
from training.importers.amounts import (
    SHARED_SIGNS,
    currency_in,
    is_number_with_comma,
    listed_currencies,
    number_in,
)
from training.importers.mapping import (
    ISO,
    Condition,
    EventSection,
    MappingError,
    Scalar,
    Section,
    Value,
)
from training.importers.source import Source
from training.importers.times import moments

_BRACES: Final = re.compile(r"\{([^{}]+)\}")
_NUMERIC: Final = (Kind.NUMBER, Kind.WHOLE)


def used_columns(values: AnyMapping[str, Value]) -> set[str]:
    """Return the columns of the source that values are made of."""
    named = [name for value in values.values() for name in value.columns]
    return {column for name in named for column in _BRACES.findall(name) or [name]}


def section_columns(section: Section) -> set[str]:
    """Return the columns of the source that a section names."""
    used = used_columns(section.columns) | set(section.where)
    if section.each is not None:
        used.add(section.each.list_column)
    if section.properties is not None:
        named = section.properties
        used |= {named.name, named.value} | ({named.at} if named.at else set())
    if isinstance(section, EventSection):
        for conditions in (*section.types.values(), *section.left_out.values()):
            used |= set(conditions)
    return used


def text_of(source: Source, column: str) -> pl.Expr:
    """Return a column as texts; whole numbers without a decimal point."""
    dtype, raw = source.dtype(column), source.raw(column)
    if dtype.is_float():
        whole = raw.cast(pl.Int64, strict=False).cast(pl.String)
        return pl.when(raw == raw.floor()).then(whole).otherwise(raw.cast(pl.String))
    if dtype.is_nested() or isinstance(dtype, pl.Binary | pl.Object):
        msg = f"column {column!r} of {source.table.file} is of type {dtype}: name a part of it"
        raise MappingError(msg)
    text = as_text(raw, dtype)
    return pl.when(text != "").then(text)


def number_of(source: Source, column: str, *, is_amount: bool) -> pl.Expr:
    """Return a column as it is, or as texts with a decimal point; see `number_in`."""
    if source.dtype(column).is_numeric():
        return source.raw(column)
    return number_in(text_of(source, column), decimal=source.decimal, is_amount=is_amount)


def currencies_of(source: Source, value: Value | None) -> pl.Series:
    """Return the currency of each amount, see `currency_in`; null where it has none."""
    texts = [
        currency_in(text_of(source, column))
        for column in (value.columns if value else ())
        if not _BRACES.search(column) and source.dtype(column) == pl.String
    ]
    found = pl.coalesce(texts) if texts else pl.repeat(None, pl.len(), dtype=pl.String)
    return source.frame.select(found.alias("currency")).to_series()


def sale_currencies(
    source: Source, values: AnyMapping[str, Value], *, named: str | None
) -> pl.Series:
    """Return the currencies of the prices of sales; null where a sign may be of several.

    Args:
        source: The rows.
        values: The columns of sales.
        named: Currency of all sales by the mapping.

    Raises:
        MappingError: If prices have another currency than the mapping or the column `currency`
            says, or a sign of several currencies beside other signs.
    """
    found = currencies_of(source, values.get("price"))
    known = found.filter(~found.is_in(SHARED_SIGNS))
    if "currency" in values:
        _require_equal(source, found, values["currency"])
    if named and len(others := known.filter(known != named)):
        msg = (
            f"`currency` of the mapping is {named}, and {len(others):,} prices of"
            f" {source.table.file} are in {', '.join(sorted(set(others)))}: leave `currency` out,"
            " so that each sale has that of its price, and add a table `rates`"
        )
        raise MappingError(msg)
    signs = set(found.drop_nulls())
    if not named and "currency" not in values and len(signs) > 1 and signs & {*SHARED_SIGNS}:
        msg = (
            f"prices of {source.table.file} are in {listed_currencies(found)}, and"
            f" {', '.join(f'`{sign}`' for sign in sorted(signs & {*SHARED_SIGNS}))} is the sign of"
            " several currencies: map a column `currency`, and add a table `rates`"
        )
        raise MappingError(msg)
    return found.set(found.is_in(SHARED_SIGNS), None)


def _require_equal(source: Source, found: pl.Series, currency: Value) -> None:
    named = value_of(source, currency, kind=Kind.TEXT).cast(pl.String).str.strip_chars()
    rows = source.frame.select(pl.col(ROW), named.str.to_uppercase().alias("named"), found)
    # A sign of several currencies contradicts none.
    is_known = ~pl.col(found.name).is_in(SHARED_SIGNS)
    other = rows.filter(is_known & (pl.col("named") != pl.col(found.name)))
    if other.height:
        row, name, sign = other.row(0)
        msg = (
            f"{other.height:,} prices of {source.table.file} have another currency than their"
            f" column `currency`, such as row {row}: {sign} where the column has {name}. Correct"
            " the rows, or leave `currency` out, so that each sale has that of its price"
        )
        raise MappingError(msg)


def _attribute(source: Source, column: str) -> pl.Expr:
    raw = source.raw(column)
    if source.decimal == "." or source.dtype(column) != pl.String:
        return raw
    text = raw.str.strip_chars()
    # All or nothing, as texts become numbers: a column of which some are numbers stays text.
    number = number_in(text, decimal=source.decimal, is_amount=False)
    return pl.when(is_number_with_comma(text).all()).then(number).otherwise(raw)


def value_of(
    source: Source, value: Value, *, kind: Kind | None, is_amount: bool = False
) -> pl.Expr:
    """Return a value of the mapping.

    Args:
        source: The rows.
        value: Where it comes from.
        kind: Kind of the contract's column: texts, or numbers as the source has them. None for
            a column beyond the contract: as it is, with a decimal point if all are numbers.
        is_amount: Whether numbers are amounts, around which a currency may stand.
    """
    if value.constant is not None:
        return pl.lit(value.constant)
    if value.values is not None:
        new = {key: str(each) for key, each in value.values.items()}
        text = text_of(source, value.columns[0])
        return text.replace_strict(new, default=None, return_dtype=pl.String)
    if (column := _plain(value)) is not None:
        if kind is None:
            return _attribute(source, column)
        if source.dtype(column).is_nested():
            return source.raw(column)
    if kind in _NUMERIC and not any(_BRACES.search(column) for column in value.columns):
        number = pl.coalesce(
            number_of(source, column, is_amount=is_amount) for column in value.columns
        )
        if value.absolute:
            number = number.cast(pl.String).str.replace("^[+-]", "")
        return number
    return pl.coalesce(_text(source, column) for column in value.columns)


def _plain(value: Value) -> str | None:
    """Return the column that a value is, None if it is put together of several."""
    column = value.columns[0] if len(value.columns) == 1 else "{several}"
    return None if _BRACES.search(column) else column


def _text(source: Source, column: str) -> pl.Expr:
    names = _BRACES.findall(column)
    if not names:
        return text_of(source, column)
    return pl.format(_BRACES.sub("{}", column), *(text_of(source, name) for name in names))


def time_of(
    source: Source, value: Value, *, form: str, zone: str | None
) -> tuple[pl.Expr, pl.Expr]:
    """Return a time of the mapping as it is given, and in UTC; see `moments`."""
    if value.constant is not None:
        text = pl.lit(str(value.constant))
        return text, moments(text, pl.String(), form=ISO, zone=zone)
    column = _plain(value)
    if column is None or value.values is not None:
        text = value_of(source, value, kind=Kind.TEXT)
        return text, moments(text, pl.String(), form=form, zone=zone)
    raw = source.raw(column)
    try:
        return raw, moments(raw, source.dtype(column), form=form, zone=zone)
    except MappingError as exc:
        msg = f"column {column!r} of {source.table.file}: {exc}"
        raise MappingError(msg) from exc


def rows_where(source: Source, conditions: AnyMapping[str, Condition]) -> pl.Expr:
    """Return which rows meet all conditions; without one all do."""
    rules = [
        rule
        for column, condition in conditions.items()
        for rule in _rules(source, column, condition)
    ]
    # Without a rule no literal: on several threads frames of several chunks take none as a filter.
    every = pl.all_horizontal(rules) if rules else pl.col(ROW).is_not_null()
    return every.fill_null(value=False)


def _rules(source: Source, column: str, condition: Condition) -> list[pl.Expr]:
    text = text_of(source, column)
    # Whether the column is an amount no condition says: `at_least: 1` fits `€ 1` too.
    number = number_of(source, column, is_amount=True).cast(pl.Float64, strict=False)
    rules: list[pl.Expr] = []
    if condition.one_of is not None:
        rules.append(pl.any_horizontal(_equals(text, number, one) for one in condition.one_of))
    if condition.at_least is not None:
        rules.append(number >= condition.at_least)
    if condition.below is not None:
        rules.append(number < condition.below)
    if condition.begins_with is not None:
        rules.append(text.str.starts_with(condition.begins_with))
    if condition.missing is not None:
        rules.append(text.is_null() == condition.missing)
    return rules


def _equals(text: pl.Expr, number: pl.Expr, value: Scalar) -> pl.Expr:
    if isinstance(value, bool):
        return text.str.to_lowercase() == str(value).lower()
    if isinstance(value, int | float):
        return number == value
    return text == value
