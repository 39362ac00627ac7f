"""Properties of sales and customers in rows of their own, gathered to one row each."""

from collections.abc import Mapping as AnyMapping
from dataclasses import replace
from typing import Final

import polars as pl

from models.dataset.checks import ROW, given
from models.dataset.schema import Kind
from training.importers.mapping import Properties, Value
from training.importers.source import Source
from training.importers.values import text_of, time_of, used_columns, value_of

# Columns beside those of a file; no file can have columns of these names that we read.
_KEY: Final = "\x00key"
_NAME: Final = "\x00name"
_VALUE: Final = "\x00value"
_AT: Final = "\x00at"


def gathered(
    source: Source,
    named: Properties,
    *,
    columns: AnyMapping[str, Value],
    key: str,
    form: str,
    zone: str | None,
) -> Source:
    """Make one row of all properties of a sale or customer; the last value counts.

    Args:
        source: Rows of one property each.
        named: Where their names and values are.
        columns: The mapped columns, of which those without a column of the source are properties.
        key: Mapped column that identifies the sale or customer.
        form: See `Mapping.time_format`.
        zone: Zone of times without an offset.

    Raises:
        MappingError: If the source lacks a column.
    """
    wanted = sorted(used_columns(columns) - used_columns({key: columns[key]}))
    frame = source.frame.with_columns(
        value_of(source, columns[key], kind=Kind.IDENTIFIER).alias(_KEY),
        text_of(source, named.name).alias(_NAME),
        source.raw(named.value).alias(_VALUE),
    )
    if named.at is not None:
        _, at = time_of(source, Value(columns=(named.at,)), form=form, zone=zone)
        frame = frame.with_columns(at.alias(_AT)).sort(_AT, maintain_order=True)
    values = [
        pl.col(_VALUE).filter(pl.col(_NAME) == name).last().alias(given(name)) for name in wanted
    ]
    of_key = [pl.col(given(name)).first() for name in source.columns() if name not in wanted]
    rows = frame.group_by(_KEY, maintain_order=True).agg(pl.col(ROW).first(), *of_key, *values)
    return replace(source, frame=rows.sort(ROW))
