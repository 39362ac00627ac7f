"""Mapped rows: the columns of a mapping, checked against the contract, faults by source row."""

from collections.abc import Mapping as AnyMapping
from collections.abc import Sequence
from typing import Final

import polars as pl

from models.dataset.attributes import typed_text
from models.dataset.checks import ROW, Check, as_records, find_faults, given, without_refused
from models.dataset.conversion import convert
from models.dataset.faults import DatasetError, FaultCode, FaultReport
from models.dataset.schema import Column, Kind
from models.dataset.tables import Table
from training.importers.mapping import MappingError, Value
from training.importers.source import Source
from training.importers.times import UTC
from training.importers.values import time_of, value_of

# Columns beside those of a file; no file can have columns of these names that we read.
ENTRY: Final = "\x00entry"
_SOURCE_ROW: Final = "\x00source row"
_PARSED: Final = "\x00time "
_TIME: Final = "be a time of the mapping's time_format, with an offset or in its time_zone"


def mapped(
    source: Source,
    values: AnyMapping[str, Value],
    *,
    columns: Sequence[Column],
    form: str,
    zone: str | None,
) -> pl.DataFrame:
    """Return `ROW` of the source and the mapped columns under `given` of their new names.

    Times are given twice: as they are, and under `_PARSED` of their names in UTC. Attributes are
    untyped; see `with_typed_attributes`.
    """
    contract = {column.name: column for column in columns}
    made = [pl.col(ROW).alias(_SOURCE_ROW)]
    for name, value in values.items():
        column = contract.get(name)
        kind = column.kind if column else None
        if kind is Kind.TIME:
            raw, parsed = time_of(source, value, form=form, zone=zone)
            made += [raw.alias(given(name)), parsed.alias(_PARSED + name)]
        else:
            is_amount = column is not None and column.is_amount
            new = value_of(source, value, kind=kind, is_amount=is_amount)
            made.append(new.alias(given(name)))
    return source.frame.select(made)


def joined(frames: Sequence[pl.DataFrame]) -> pl.DataFrame:
    """Join rows of `mapped` of several sources.

    Raises:
        MappingError: If a column has types that do not fit together.
    """
    try:
        return pl.concat(frames, how="diagonal_relaxed")
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException) as exc:
        types: dict[str, dict[str, None]] = {}
        for frame in frames:
            for name, dtype in frame.schema.items():
                types.setdefault(name.removeprefix(given("")), {})[str(dtype)] = None
        differing = (
            f"{name!r} ({' and '.join(each)})" for name, each in types.items() if len(each) > 1
        )
        msg = f"columns of sales have types that do not fit together: {', '.join(differing)}"
        raise MappingError(msg) from exc


def with_typed_attributes(raw: pl.DataFrame, columns: Sequence[Column]) -> pl.DataFrame:
    """Make texts of `mapped` beyond the contract numbers or booleans, where all of a column are."""
    contract = {given(column.name) for column in columns}
    extra = [
        name
        for name, dtype in raw.schema.items()
        if dtype == pl.String and name.startswith(given("")) and name not in contract
    ]
    return raw.with_columns(typed_text(raw[name]) for name in extra)


def converted(
    source: Source,
    raw: pl.DataFrame,
    *,
    columns: Sequence[Column],
    checks: Sequence[Check] = (),
) -> tuple[pl.DataFrame, FaultReport]:
    """Check rows against the contract.

    Args:
        source: The rows before they were mapped.
        raw: Their columns, from `mapped`.
        columns: The columns of the contract.
        checks: Its rules beyond those of each column.

    Returns:
        Accepted rows with their columns and `ENTRY`, their row in ``raw`` from 0; and the
        faults, by the rows of the source.

    Raises:
        DatasetError: If a column has a type that the contract cannot take.
    """
    file = source.table.file
    frame = raw.with_row_index(ENTRY).with_columns((pl.col(ENTRY) + 1).cast(pl.Int64).alias(ROW))
    times = [name.removeprefix(_PARSED) for name in raw.columns if name.startswith(_PARSED)]
    unread = {
        name: pl.col(given(name)).is_not_null() & pl.col(_PARSED + name).is_null() for name in times
    }
    readable = [Check(FaultCode.UNPARSABLE_TIME, *one, _TIME) for one in unread.items()]
    faults = find_faults(frame, readable, file=file)
    frame = in_utc(without_refused(frame, faults, file=file))
    names = tuple(
        name.removeprefix(given("")) for name in frame.columns if name.startswith(given(""))
    )
    checked, found = convert(Table(file, names, frame, FaultReport.none(), typed=True), columns)
    if found.unusable():
        raise DatasetError(found)
    found += find_faults(checked, checks, file=file)
    rows = without_refused(checked, found, file=file)
    contract = {column.name: column.kind for column in columns}
    accepted = rows.select(
        ENTRY,
        *(
            pl.col(name).cast(UTC)
            if contract.get(name) is Kind.TIME
            else pl.col(name if name in contract else given(name)).alias(name)
            for name in names
        ),
    )
    return accepted, _of_source(faults + found, frame=raw, source=source)


def in_utc(raw: pl.DataFrame) -> pl.DataFrame:
    """Replace the times of `mapped` by those in UTC."""
    times = [name for name in raw.columns if name.startswith(_PARSED)]
    values = (pl.col(name).alias(given(name.removeprefix(_PARSED))) for name in times)
    return raw.with_columns(values).drop(times)


def _of_source(faults: FaultReport, *, frame: pl.DataFrame, source: Source) -> FaultReport:
    """Return faults by the rows of the source, with the rows as the source has them."""
    if not len(faults):
        return faults
    rows = frame[_SOURCE_ROW].gather(faults.table["row"] - 1)
    found = source.frame.filter(pl.col(ROW).is_in(rows.unique().to_list())).unique(
        ROW, keep="first", maintain_order=True
    )
    records = pl.DataFrame({"row": found[ROW], "record": as_records(found)})
    table = faults.table.with_columns(rows.alias("row")).drop("record")
    joined = table.join(records, on="row", how="left", maintain_order="left")
    return FaultReport(joined.select(faults.table.columns))
