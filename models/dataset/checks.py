"""Checks of whole columns at once, and the faults of the rows that fail them."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import polars as pl

from models.dataset.faults import Effect, FaultCode, FaultReport

ROW: Final = "\x00row"
"""Column of the data row, from 1. No file can have a column of this name that we read."""

CONTROL_CHARACTERS: Final = r"[\x00-\x1f\x7f]"
_SHOWN_CHARS: Final = 80


def given(name: str) -> str:
    """Return the column that holds what the file gave for a column."""
    return f"\x00given {name}"


@dataclass(frozen=True, slots=True, eq=False)
class Check:
    """A rule for the values of one column.

    Attributes:
        code: The fault of a row that breaks it.
        column: The column it is about.
        failed: True in rows that break it; null counts as kept.
        must: What the value must be, to end the sentence "price must …".
    """

    code: FaultCode
    column: str
    failed: pl.Expr
    must: str


def find_faults(frame: pl.DataFrame, checks: Sequence[Check], *, file: str) -> FaultReport:
    """Check a table against rules.

    Args:
        frame: The table, with its row numbers in `ROW` and what the file gave for a column
            in `given` of its name.
        checks: The rules.
        file: Name of the file, for the report.

    Returns:
        The faults, rule by rule, each in ascending order of rows.
    """
    failed = frame.select(
        check.failed.fill_null(value=False).alias(str(index)) for index, check in enumerate(checks)
    )
    broken = [
        (check, frame.filter(failed[str(index)]))
        for index, check in enumerate(checks)
        if failed[str(index)].any()
    ]
    return FaultReport.together(_faults(rows, check, file) for check, rows in broken)


def without_refused(frame: pl.DataFrame, faults: FaultReport, *, file: str) -> pl.DataFrame:
    """Leave out the rows that the report refuses."""
    refused = faults.refused_rows(file)
    if not refused:
        return frame
    return frame.filter(~pl.col(ROW).is_in(refused))


def _faults(rows: pl.DataFrame, check: Check, file: str) -> FaultReport:
    effect = check.code.effect
    columns = [
        pl.lit(file).alias("file"),
        pl.col(ROW).alias("row"),
        pl.lit(check.column).alias("column"),
        pl.lit(check.code.value).alias("code"),
        pl.lit(effect.value).alias("effect"),
        _reason(rows, check).alias("reason"),
    ]
    records = _records(rows) if effect is Effect.ROW else pl.lit(None, dtype=pl.String)
    return FaultReport(rows.select(columns).with_columns(records.alias("record")))


def _reason(rows: pl.DataFrame, check: Check) -> pl.Expr:
    name = given(check.column)
    dtype = rows.schema.get(name)
    value = pl.lit(None) if dtype is None else pl.col(name)
    if isinstance(dtype, pl.List):
        value = value.cast(pl.List(pl.String)).list.join("|", ignore_nulls=True)
    shown = value.cast(pl.String, strict=False).str.slice(0, _SHOWN_CHARS)
    # What a file holds must not forge lines in a terminal or a log.
    safe = shown.str.replace_all(CONTROL_CHARACTERS, "\N{REPLACEMENT CHARACTER}")
    quoted = (pl.lit("'") + safe + pl.lit("'")).fill_null("nothing")
    return pl.lit(f"{check.column} must {check.must}, got ") + quoted


def _records(rows: pl.DataFrame) -> pl.Series:
    names = {name: name.removeprefix(given("")) for name in rows.columns}
    original = rows.select(name for name, bare in names.items() if bare != name).rename(
        names, strict=False
    )
    encoded = [
        json.dumps(record, default=str, ensure_ascii=False)
        for record in original.iter_rows(named=True)
    ]
    return pl.Series(encoded, dtype=pl.String)
