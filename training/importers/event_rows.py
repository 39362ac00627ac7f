"""Events of an import, and what sales are made of beside them."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final

import polars as pl

from models.dataset.checks import ROW, Check, find_faults, given
from models.dataset.events import OF_A_SALE
from models.dataset.faults import DatasetError, Fault, FaultCode, FaultReport
from models.dataset.schema import EVENTS, SALES, Kind
from models.domain.event import EventType
from training.importers.imported import Imported
from training.importers.mapped import (
    ENTRY,
    converted,
    in_utc,
    joined,
    mapped,
    with_typed_attributes,
)
from training.importers.mapping import Conditions, EventSection, Mapping, Section
from training.importers.source import Source, Sources
from training.importers.unfold import unfold
from training.importers.values import (
    currencies_of,
    rows_where,
    sale_currencies,
    used_columns,
    value_of,
)

# Column beside those of a file; no file can have a column of this name that we read.
_TYPE: Final = "\x00type"


def read_events(
    paths: Sequence[Path],
    sources: Sources,
    *,
    mapping: Mapping,
    imported: Imported,
    beside: Sequence[tuple[Path, Section]],
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Read events, and what sales are made of.

    Args:
        paths: One file for all sections of the mapping, or one for each.
        sources: Reads them.
        mapping: What of them becomes what.
        imported: Counts rows and faults.
        beside: Files of sales and customers, with their sections: a row that one of them reads
            needs not be an event.

    Returns:
        The events; and per sale the columns that sales are made of, its first events first.

    Raises:
        DatasetError: If a file cannot be read, or not one event is left.
        MappingError: If the mapping does not fit a file.
    """
    found = _EventFrames()
    groups = (
        [(paths[0], mapping.events)]
        if len(paths) == 1
        else [(path, (section,)) for path, section in zip(paths, mapping.events, strict=True)]
    )
    number = 1
    for path, sections in groups:
        has_lists = any(section.each is not None for section in sections)
        parts = sources.stream(path, has_lists=has_lists)
        others = [one.where for other, one in beside if other.resolve() == path.resolve()]
        _add_events(found, parts, sections, mapping, imported, number=number, others=others)
        number += len(sections)
    events = pl.concat(found.events, how="diagonal").sort("at", "customer_id", "event_id")
    if not events.height:
        reason = f"has no row that became an event, of {sum(imported.n_rows.values()):,}"
        if imported.left_out:
            reason += f"; left out by the mapping: {sum(imported.left_out.values()):,}"
        nothing = Fault(file=paths[0].name, code=FaultCode.NO_EVENTS, reason=reason)
        raise DatasetError(FaultReport.from_faults([nothing]) + imported.distinct_faults())
    first = joined(found.first).drop_nulls("sale_id").sort("at", maintain_order=True)
    return events, first if found.is_typed else with_typed_attributes(first, SALES)


@dataclass(slots=True)
class _EventFrames:
    events: list[pl.DataFrame] = field(default_factory=list[pl.DataFrame])
    first: list[pl.DataFrame] = field(default_factory=list[pl.DataFrame])
    is_typed: bool = True


def _add_events(
    found: _EventFrames,
    parts: Iterable[Source],
    sections: Sequence[EventSection],
    mapping: Mapping,
    imported: Imported,
    *,
    number: int,
    others: Sequence[Conditions],
) -> None:
    """Add the events of a file, of which ``number`` is the number of the first section.

    And ``others`` the conditions of other tables that are made of the file.
    """
    known, columns = set(imported.n_rows), dict[str, set[str]]()
    for source in parts:
        file = source.table.file
        if file not in known:
            imported.count_rows(source)
        found.is_typed &= source.table.typed
        columns.setdefault(file, set()).update(source.table.columns)
        rules = [*(section.where for section in sections), *others]
        imported.faults += _not_matched(source, rules, "be what a section reads")
        for one, section in enumerate(sections, start=number):
            events, first = _events_of_section(source, section, mapping, imported, number=one)
            found.events.append(events)
            found.first.append(first)
    of_sales = used_columns(mapping.sales_from_events or {})
    for file, names in columns.items():
        for section in sections:
            imported.note_unused(file, names - of_sales, section=section)


def _not_matched(source: Source, rules: Sequence[Conditions], must: str) -> FaultReport:
    matched = pl.any_horizontal(rows_where(source, conditions) for conditions in rules)
    column = next((name for conditions in rules for name in conditions), "")
    check = Check(FaultCode.UNKNOWN_TYPE, column, ~matched, must)
    return find_faults(source.frame, [check], file=source.table.file)


def _events_of_section(
    source: Source,
    section: EventSection,
    mapping: Mapping,
    imported: Imported,
    *,
    number: int,
) -> tuple[pl.DataFrame, pl.DataFrame]:
    rows = replace(source, frame=source.frame.filter(rows_where(source, section.where)))
    if section.each is not None:
        n_before = rows.frame[ROW].n_unique()
        rows, faults = unfold(rows, section.each, keep_empty=False)
        imported.faults += faults
        n_empty = n_before - rows.frame[ROW].n_unique() - len(faults)
        imported.count_left_out(f"empty {section.each.list_column}", n_empty)
    for name, conditions in section.left_out.items():
        left_out = rows_where(rows, conditions)
        imported.count_left_out(name, rows.frame.select(left_out.sum()).item())
        rows = replace(rows, frame=rows.frame.filter(~left_out))
    must = "be what `types` or `left_out` of the mapping name"
    imported.faults += _not_matched(rows, [*section.types.values()], must)
    parts = [
        rows.frame.filter(rows_where(rows, conditions)).with_columns(
            pl.lit(kind.value).alias(_TYPE)
        )
        for kind, conditions in section.types.items()
    ]
    typed = replace(rows, frame=pl.concat(parts))
    form = section.time_format or mapping.time_format
    raw = mapped(typed, section.columns, columns=EVENTS, form=form, zone=mapping.time_zone)
    raw = raw.with_columns(
        typed.frame.select(pl.col(_TYPE).alias(given("type")), _event_id(typed, section, number))
    )
    raw = _without_refunded_amounts(raw)
    events, faults = converted(typed, raw, columns=EVENTS, checks=(OF_A_SALE,))
    imported.faults += faults
    for name in ("price", "revenue"):
        amounts = currencies_of(typed, section.columns.get(name)).drop_nulls()
        imported.event_currencies.update(amounts)
    of_sales = _of_sales(typed, mapping, form=form)
    first = events.select(ENTRY, "sale_id", "at").join(
        of_sales.with_row_index(ENTRY), on=ENTRY, maintain_order="left"
    )
    named = ["sale_id", *(name for name in of_sales.columns if name.startswith(given("")))]
    first = first.select("at", *named).sort("at", maintain_order=True)
    # What a sale is made of is its first value of each column: repeated rows say nothing more.
    return events.drop(ENTRY), first.unique(named, keep="first", maintain_order=True)


def _without_refunded_amounts(raw: pl.DataFrame) -> pl.DataFrame:
    """Leave out `revenue` of refunds, which is not read, and often has a sign."""
    revenue = given("revenue")
    if revenue not in raw.columns:
        return raw
    is_refund = pl.col(given("type")) == EventType.REFUND.value
    return raw.with_columns(pl.when(~is_refund).then(pl.col(revenue)).alias(revenue))


def _of_sales(rows: Source, mapping: Mapping, *, form: str) -> pl.DataFrame:
    beside = mapping.sales_from_events or {}
    made = in_utc(mapped(rows, beside, columns=SALES, form=form, zone=mapping.time_zone))
    currencies = sale_currencies(rows, beside, named=mapping.currency)
    if "currency" in beside or not currencies.count():
        return made
    return made.with_columns(currencies.alias(given("currency")))


def _event_id(rows: Source, section: EventSection, number: int) -> pl.Expr:
    value = section.columns.get("event_id")
    parts = [pl.format("{}-{}", pl.lit(number), ROW)]
    if value is not None:
        parts = [value_of(rows, value, kind=Kind.IDENTIFIER)]
    if section.each is not None:
        parts.append(rows.raw(f"{section.each.list_column}.position"))
    if len(section.types) > 1:
        parts.append(pl.col(_TYPE))
    return pl.concat_str(parts, separator="-").alias(given("event_id"))
