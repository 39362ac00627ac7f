"""Vectorised checks of columns, and the faults of the rows that fail them."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final

import polars as pl

from models.dataset.faults import Effect, FaultCode, FaultReport

ROW: Final = "\x00row"
"""Column of the data row, from 1. No file can have a column of this name that we read."""

CONTROL_CHARACTERS: Final = r"[\x00-\x1f\x7f]"
# Chosen: a reason with a value of this length still fits on two lines of a terminal.
SHOWN_CHARS: Final = 80
# Days from 1970 to the first of the year 1 and the last of 9999, between which Python and polars
# can write a date.
_FIRST_DAY: Final = -719_162
_LAST_DAY: Final = 2_932_896
_DAY_TICKS: Final = {"ms": 86_400_000, "us": 86_400_000_000, "ns": 86_400_000_000_000}


def given(name: str) -> str:
    """Return the name of the column with the unconverted values of a column."""
    return f"\x00given {name}"


def as_text(column: pl.Expr, dtype: pl.DataType) -> pl.Expr:
    """Convert single values to text; dates outside the years 1 to 9999 to their number.

    Args:
        column: The values.
        dtype: Their type, none that holds lists, structs or bytes.
    """
    if isinstance(dtype, pl.Duration):
        return column.dt.to_string("iso")
    if not isinstance(dtype, pl.Date | pl.Datetime):
        return column.cast(pl.String)
    # Polars panics on dates that it cannot write.
    a_day = 1 if isinstance(dtype, pl.Date) else _DAY_TICKS[dtype.time_unit]
    number = column.to_physical().cast(pl.Int64)
    writable = number.is_between(_FIRST_DAY * a_day, (_LAST_DAY + 1) * a_day - 1)
    return pl.coalesce(pl.when(writable).then(column).cast(pl.String), number.cast(pl.String))


@dataclass(frozen=True, slots=True, eq=False)
class Check:
    """Validation rule for the values of one column.

    Attributes:
        code: The fault of a row that breaks it.
        column: The column it is about.
        failed: True in rows that break it; null counts as passed.
        must: The end of the sentence "price must …".
    """

    code: FaultCode
    column: str
    failed: pl.Expr
    must: str


def find_faults(frame: pl.DataFrame, checks: Sequence[Check], *, file: str) -> FaultReport:
    """Check a table against rules.

    Args:
        frame: The table, with row numbers in `ROW` and unconverted columns under `given` of
            their names.
        checks: The rules.
        file: Name of the file, for the report.

    Returns:
        The faults, rule by rule, each in ascending order of rows.
    """
    failed = frame.select(
        check.failed.fill_null(value=False).alias(str(index)) for index, check in enumerate(checks)
    )
    reports = [FaultReport.none()]
    for check, is_failed in zip(checks, failed.iter_columns(), strict=True):
        if not is_failed.any():
            continue
        effect, rows, records = check.code.effect, frame, pl.lit(None, dtype=pl.String)
        if effect is not Effect.ROW:
            # Notes may be of most rows, and a filter copies all columns that it gets.
            rows = frame.select(name for name in (ROW, given(check.column)) if name in frame.schema)
        rows = rows.filter(is_failed)
        if effect is Effect.ROW:  # a row is repeated only where it is left out
            records = as_records(rows)
        columns = [
            pl.lit(file).alias("file"),
            pl.col(ROW).alias("row"),
            pl.lit(check.column).alias("column"),
            pl.lit(check.code.value).alias("code"),
            pl.lit(effect.value).alias("effect"),
            _reason(rows, check).alias("reason"),
        ]
        reports.append(FaultReport(rows.select(columns).with_columns(records.alias("record"))))
    return FaultReport.concatenate(reports)


def without_refused(frame: pl.DataFrame, faults: FaultReport, *, file: str) -> pl.DataFrame:
    """Remove the refused rows of a report."""
    refused = faults.refused_rows(file)
    if not refused:
        return frame
    return frame.filter(~pl.col(ROW).is_in(refused))


def _reason(rows: pl.DataFrame, check: Check) -> pl.Expr:
    name = given(check.column)
    dtype = rows.schema.get(name)
    if dtype is None:
        value = pl.lit(None, dtype=pl.String)
    elif isinstance(dtype, pl.List):
        value = pl.col(name).cast(pl.List(pl.String)).list.join("|", ignore_nulls=True)
    else:
        value = as_text(pl.col(name), dtype)
    shown = value.str.slice(0, SHOWN_CHARS)
    # Control characters of a file must not forge lines in a terminal or a log.
    safe = shown.str.replace_all(CONTROL_CHARACTERS, "\N{REPLACEMENT CHARACTER}")
    quoted = (pl.lit("'") + safe + pl.lit("'")).fill_null("nothing")
    return pl.lit(f"{check.column} must {check.must}, got ") + quoted


def as_records(rows: pl.DataFrame) -> pl.Series:
    """Return the unconverted columns of each row as a JSON object."""
    names = {name: name.removeprefix(given("")) for name in rows.columns}
    original = rows.select(
        as_text(pl.col(name), dtype) if dtype.is_temporal() else pl.col(name)
        for name, dtype in rows.schema.items()
        if names[name] != name
    ).rename(names, strict=False)
    encode = partial(json.dumps, default=str, ensure_ascii=False)
    return pl.Series(map(encode, original.iter_rows(named=True)), dtype=pl.String)
