"""Hints on what of a mapping may be wrong, by the rows that could not be used."""

from collections.abc import Mapping as AnyMapping
from typing import Final

import polars as pl

from models.dataset.faults import Effect, FaultCode, FaultReport
from models.dataset.schema import CUSTOMERS, EVENTS, SALES, Kind
from training.importers.mapping import Mapping

_TIMES: Final = frozenset(
    column.name
    for columns in (SALES, EVENTS, CUSTOMERS)
    for column in columns
    if column.kind is Kind.TIME
)
_BELOW_0: Final = r"got '?-"


def hints_for(faults: FaultReport, mapping: Mapping, *, n_rows: AnyMapping[str, int]) -> list[str]:
    """Return hints: numbers with a sign, and what refuses more than half of the rows of a file.

    Args:
        faults: The faults of an import.
        mapping: Its mapping.
        n_rows: Rows read, by file.
    """
    refused = faults.having(Effect.ROW).table.filter(pl.col("row").is_not_null())
    return _of_signs(refused, mapping) + _of_most_rows(refused, n_rows)


def _of_signs(refused: pl.DataFrame, mapping: Mapping) -> list[str]:
    codes = [FaultCode.NEGATIVE_NUMBER.value, FaultCode.OUT_OF_RANGE.value]
    signed = refused.filter(pl.col("code").is_in(codes) & pl.col("reason").str.contains(_BELOW_0))
    names = signed["column"].unique().to_list()
    sources = {
        (name, section.columns[name].columns[0])
        for section in mapping.events
        for name in names
        if name in section.columns and section.columns[name].columns
    }
    return [
        f"{name} is below 0: a refund with a sign? `{name}: {{column: {source}, absolute: true}}`"
        for name, source in sorted(sources)
    ]


def _of_most_rows(refused: pl.DataFrame, n_rows: AnyMapping[str, int]) -> list[str]:
    counted = refused.group_by("file", "column", "code").agg(pl.col("row").n_unique().alias("n"))
    return [
        f"{n / n_rows[file]:.0%} of the rows of {file} are refused for `{column}`: "
        + _what_to_check(column, code)
        for file, column, code, n in counted.sort("file", "column", "code").iter_rows()
        if column is not None and n > n_rows.get(file, n * 2) / 2
    ]


def _what_to_check(column: str, code: str) -> str:
    if code == FaultCode.UNKNOWN_TYPE.value:
        return "rows that are to stay out are named by `left_out` of a section, not by `where`"
    return f"is {'`time_format`' if column in _TIMES else 'its part of the mapping'} right?"
