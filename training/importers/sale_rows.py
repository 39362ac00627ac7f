"""Sales and customers of an import."""

from collections.abc import Sequence
from dataclasses import replace

import polars as pl

from models.dataset.checks import ROW, given
from models.dataset.faults import FaultReport
from models.dataset.log_faults import if_most_unknown
from models.dataset.schema import SALES, Column
from models.dataset.tables import Table
from training.importers.amounts import listed_currencies
from training.importers.imported import Imported
from training.importers.mapped import ENTRY, converted, joined, mapped, with_typed_attributes
from training.importers.mapping import Mapping, Section, Value
from training.importers.properties import gathered
from training.importers.source import Source
from training.importers.unfold import unfold
from training.importers.values import rows_where, sale_currencies


def read_sales(
    source: Source | None,
    mapping: Mapping,
    *,
    imported: Imported,
    events: pl.DataFrame,
    first: pl.DataFrame,
) -> pl.DataFrame:
    """Make the sales: rows of their file, and of events.

    Args:
        source: The file of sales, None without one.
        mapping: What of it becomes what.
        imported: Counts faults and notes what was assumed.
        events: The events.
        first: What sales are made of beside the events; see `read_events`.

    Raises:
        DatasetError: If a column has a type that the contract cannot take.
        MappingError: If the mapping does not fit the file.
    """
    frames: list[pl.DataFrame] = []
    if source is not None and mapping.sales is not None:
        imported.note_unused(source.table.file, source.table.columns, section=mapping.sales)
        frames.append(
            read_rows(
                source,
                mapping.sales,
                columns=SALES,
                mapping=mapping,
                imported=imported,
                events=events,
            )
        )
        if mapping.sales_from_events is None:
            named = events["sale_id"].drop_nulls()
            unknown = named.filter(~named.is_in(frames[0]["sale_id"].implode()))
            if remark := if_most_unknown(len(unknown), len(named), example=str(unknown.first())):
                imported.remarks.append(remark)
            return frames[0]
        first = first.join(frames[0], on="sale_id", how="anti", maintain_order="left")
    if first.height or not frames:
        made = _sales_of_events(first)
        section = Section(columns={name: Value(columns=(name,)) for name in made.table.columns})
        imported.remarks.append(f"sales made of events: {made.frame.height:,}")
        frames.append(
            read_rows(
                made, section, columns=SALES, mapping=mapping, imported=imported, events=events
            )
        )
    return joined(frames)


def _sales_of_events(first: pl.DataFrame) -> Source:
    others = [pl.col(name) for name in first.columns if name not in {"sale_id", "at"}]
    known = first.group_by("sale_id", maintain_order=True).agg(
        each.drop_nulls().first() for each in others
    )
    known = known.rename({"sale_id": given("sale_id")}).sort(given("sale_id"))
    frame = known.with_row_index(ROW, offset=1).with_columns(pl.col(ROW).cast(pl.Int64))
    names = tuple(name.removeprefix(given("")) for name in frame.columns if name != ROW)
    table = Table("sales made of events", names, frame, FaultReport.none(), typed=True)
    return Source(table, frame, ".", open_ended=False)


def read_rows(
    source: Source,
    section: Section,
    *,
    columns: Sequence[Column],
    mapping: Mapping,
    imported: Imported,
    events: pl.DataFrame | None = None,
) -> pl.DataFrame:
    """Make the rows of a table of the contract.

    Args:
        source: The file.
        section: What of it becomes what.
        columns: Columns of the table.
        mapping: Forms of times, and currency.
        imported: Counts faults and notes what was assumed.
        events: The events, if the table is that of sales.

    Raises:
        DatasetError: If a column has a type that the contract cannot take.
        MappingError: If the mapping does not fit the file.
    """
    source = replace(source, frame=source.frame.filter(rows_where(source, section.where)))
    if section.each is not None:
        source, faults = unfold(source, section.each, keep_empty=True)
        imported.faults += faults
    form = section.time_format or mapping.time_format
    if section.properties is not None:
        source = gathered(
            source,
            section.properties,
            columns=section.columns,
            key=columns[0].name,
            form=form,
            zone=mapping.time_zone,
        )
    raw = mapped(source, section.columns, columns=columns, form=form, zone=mapping.time_zone)
    if not source.table.typed:
        raw = with_typed_attributes(raw, columns)
    if events is not None:
        if "opens_at" not in section.columns:
            raw = _opened_at_first_event(raw, events, imported)
        raw = _with_currency(raw, source, section, mapping, imported)
    made, faults = converted(source, raw, columns=columns)
    imported.faults += faults
    return made.drop(ENTRY)


def _with_currency(
    raw: pl.DataFrame, source: Source, section: Section, mapping: Mapping, imported: Imported
) -> pl.DataFrame:
    found = sale_currencies(source, section.columns, named=mapping.currency)
    if mapping.currency:
        return raw.with_columns(pl.lit(mapping.currency).alias(given("currency")))
    if "currency" in section.columns or not found.count():
        return raw
    listed = listed_currencies(found)
    imported.remarks.append(f"currency is not mapped: it is that of each price, {listed}")
    return raw.with_columns(found.alias(given("currency")))


def _opened_at_first_event(
    raw: pl.DataFrame, events: pl.DataFrame, imported: Imported
) -> pl.DataFrame:
    seen = events.group_by("sale_id").agg(pl.col("at").min().alias(given("opens_at")))
    joined = raw.join(
        seen, left_on=given("sale_id"), right_on="sale_id", how="left", maintain_order="left"
    )
    if n_unseen := joined[given("opens_at")].null_count():
        imported.remarks.append(
            f"opens_at is not mapped: it is the first event of each sale, and of {n_unseen:,}"
            " sales without an event the first event of all"
        )
    return joined.with_columns(pl.col(given("opens_at")).fill_null(events["at"].min()))
