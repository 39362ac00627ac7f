"""Importer of tables: a shop's own files to a dataset of the contract, by a mapping."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final

import polars as pl

from models.dataset.checks import ROW, Check, find_faults, given
from models.dataset.events import OF_A_SALE
from models.dataset.faults import DatasetError, Fault, FaultCode, FaultReport
from models.dataset.reading import Progress, if_most_unknown
from models.dataset.schema import CUSTOMERS, EVENTS, SALES, Column, Kind
from models.dataset.tables import Table
from training.importers.mapped import ENTRY, converted, in_utc, mapped, with_typed_attributes
from training.importers.mapping import (
    Conditions,
    EventSection,
    Mapping,
    MappingError,
    Section,
    Value,
)
from training.importers.properties import gathered
from training.importers.source import Source, Sources
from training.importers.unfold import unfold
from training.importers.values import rows_where, section_columns, used_columns, value_of

# Column beside those of a file; no file can have a column of this name that we read.
_TYPE: Final = "\x00type"


@dataclass(slots=True, eq=False)
class Imported:
    """Summary of an import.

    Attributes:
        n_rows: Rows read, by file: its name, or its path where several have the name.
        n_sales: Sales written.
        n_events: Events written, by type.
        n_customers: Customers written; None without a file of them.
        left_out: Rows that the mapping leaves out on purpose, by its name for them.
        unused: Columns that no section of the mapping names, by file.
        remarks: What was assumed.
        faults: Rows that could not be used, each once by column and code.
    """

    n_rows: dict[str, int] = field(default_factory=dict[str, int])
    n_sales: int = 0
    n_events: dict[str, int] = field(default_factory=dict[str, int])
    n_customers: int | None = None
    left_out: dict[str, int] = field(default_factory=dict[str, int])
    unused: dict[str, list[str]] = field(default_factory=dict[str, list[str]])
    remarks: list[str] = field(default_factory=list[str])
    faults: FaultReport = field(default_factory=FaultReport.none)


@dataclass(frozen=True, slots=True)
class Files:
    """The files of an import.

    Attributes:
        events: One for all sections of events, or one for each.
        sales: None to make sales of the events.
        customers: None for no table of customers.
    """

    events: Sequence[Path]
    sales: Path | None = None
    customers: Path | None = None


def import_table(
    files: Files, mapping: Mapping, *, out: Path, progress: Progress | None = None
) -> Imported:
    """Write a shop's own files as a dataset of the contract.

    The same files give the same bytes. A row that cannot be used is a fault, named with its
    file and row.

    Args:
        files: The source.
        mapping: What of it becomes what.
        out: Folder for ``sales.parquet``, ``events.parquet`` and ``customers.parquet``, which
            are replaced.
        progress: Receives each step that begins, and how many of how many are done.

    Raises:
        DatasetError: If a file cannot be read, or not one event is left.
        MappingError: If the mapping does not fit the files.
    """
    tell: Progress = progress or (lambda _step, _done, _total: None)
    _require_sections(files, mapping)
    imported = Imported()
    others = [path for path in (files.sales, files.customers) if path is not None]
    sources = Sources([*files.events, *others], mapping.csv)
    tell("events", 0, 3)
    events, first = _events(files.events, sources, mapping, imported)
    tell("sales", 1, 3)
    offers = None if files.sales is None else _read(files.sales, sources, imported)
    sales = _sales(offers, mapping, imported, events=events, first=first)
    tell("customers", 2, 3)
    out.mkdir(parents=True, exist_ok=True)
    if files.customers is not None and mapping.customers is not None:
        source = _read(files.customers, sources, imported)
        _note_unused(source.table.file, source.table.columns, mapping.customers, imported)
        customers = _rows(source, mapping.customers, CUSTOMERS, mapping, imported)
        imported.n_customers = customers.height
        customers.write_parquet(out / "customers.parquet")
    sales.write_parquet(out / "sales.parquet")
    events.write_parquet(out / "events.parquet")
    tell("done", 3, 3)
    imported.faults = _by_row(imported.faults)
    imported.n_sales = sales.height
    counted = events["type"].value_counts(sort=False).sort("type")
    imported.n_events = dict(counted.iter_rows())
    return imported


def _require_sections(files: Files, mapping: Mapping) -> None:
    if len(files.events) not in {1, len(mapping.events)}:
        msg = (
            f"{len(files.events)} files of events, and the mapping has {len(mapping.events)}"
            " sections `events`: give one --events for all, or one for each, in this order"
        )
        raise MappingError(msg)
    for name in ("sales", "customers"):
        if getattr(files, name) is not None and getattr(mapping, name) is None:
            msg = f"--{name} is given, and the mapping has no section `{name}`"
            raise MappingError(msg)


def _read(path: Path, sources: Sources, imported: Imported) -> Source:
    source = sources.read(path)
    if source.table.file not in imported.n_rows:
        _count_rows(source, imported)
    return source


def _count_rows(source: Source, imported: Imported) -> None:
    file, n_rows = source.table.file, source.frame.height + len(source.table.faults)
    imported.n_rows[file] = imported.n_rows.get(file, 0) + n_rows
    imported.faults += source.table.faults


def _note_unused(file: str, columns: Iterable[str], section: Section, imported: Imported) -> None:
    unused = sorted({*columns} - section_columns(section))
    imported.unused[file] = [name for name in unused if name in imported.unused.get(file, unused)]


def _by_row(faults: FaultReport) -> FaultReport:
    # A row that becomes several events, or rows of several tables, fails a check for each.
    keys = ["file", "row", "column", "code"]
    return FaultReport(faults.table.unique(keys, keep="first", maintain_order=True))


def _joined(frames: Sequence[pl.DataFrame]) -> pl.DataFrame:
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


# Events


def _events(
    paths: Sequence[Path], sources: Sources, mapping: Mapping, imported: Imported
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Return the events, and per sale the columns that sales are made of."""
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
        _add_events(found, parts, sections, mapping, imported, number=number)
        number += len(sections)
    events = pl.concat(found.events, how="diagonal").sort("at", "customer_id", "event_id")
    if not events.height:
        reason = f"has no row that became an event, of {sum(imported.n_rows.values()):,}"
        if imported.left_out:
            reason += f"; left out by the mapping: {sum(imported.left_out.values()):,}"
        nothing = Fault(file=paths[0].name, code=FaultCode.NO_EVENTS, reason=reason)
        raise DatasetError(FaultReport.from_faults([nothing]) + _by_row(imported.faults))
    first = _joined(found.first).drop_nulls("sale_id").sort("at", maintain_order=True)
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
) -> None:
    """Add the events of a file, of which ``number`` is the number of the first section."""
    known, columns = set(imported.n_rows), dict[str, set[str]]()
    for source in parts:
        file = source.table.file
        if file not in known:
            _count_rows(source, imported)
        found.is_typed &= source.table.typed
        columns.setdefault(file, set()).update(source.table.columns)
        rules = [section.where for section in sections]
        imported.faults += _not_matched(source, rules, "be what a section reads")
        for one, section in enumerate(sections, start=number):
            events, first = _events_of_section(source, section, mapping, imported, number=one)
            found.events.append(events)
            found.first.append(first)
    of_sales = used_columns(mapping.sales_from_events or {})
    for file, names in columns.items():
        for section in sections:
            _note_unused(file, names - of_sales, section, imported)


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
        _count(imported.left_out, f"empty {section.each.list_column}", n_empty)
    for name, conditions in section.left_out.items():
        left_out = rows_where(rows, conditions)
        _count(imported.left_out, name, rows.frame.select(left_out.sum()).item())
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
    events, faults = converted(typed, raw, columns=EVENTS, checks=(OF_A_SALE,))
    imported.faults += faults
    beside = mapping.sales_from_events or {}
    of_sales = in_utc(mapped(typed, beside, columns=SALES, form=form, zone=mapping.time_zone))
    first = events.select(ENTRY, "sale_id", "at").join(
        of_sales.with_row_index(ENTRY), on=ENTRY, maintain_order="left"
    )
    first = first.select("sale_id", "at", *map(given, beside)).sort("at", maintain_order=True)
    # What a sale is made of is its first value of each column: repeated rows say nothing more.
    named = ["sale_id", *map(given, beside)]
    return events.drop(ENTRY), first.unique(named, keep="first", maintain_order=True)


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


def _count(counts: dict[str, int], name: str, n: int) -> None:
    if n:
        counts[name] = counts.get(name, 0) + n


# Sales and customers


def _sales(
    source: Source | None,
    mapping: Mapping,
    imported: Imported,
    *,
    events: pl.DataFrame,
    first: pl.DataFrame,
) -> pl.DataFrame:
    frames: list[pl.DataFrame] = []
    if source is not None and mapping.sales is not None:
        _note_unused(source.table.file, source.table.columns, mapping.sales, imported)
        frames.append(_rows(source, mapping.sales, SALES, mapping, imported, events=events))
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
        frames.append(_rows(made, section, SALES, mapping, imported, events=events))
    return _joined(frames)


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


def _rows(
    source: Source,
    section: Section,
    columns: Sequence[Column],
    mapping: Mapping,
    imported: Imported,
    *,
    events: pl.DataFrame | None = None,
) -> pl.DataFrame:
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
        if mapping.currency:
            raw = raw.with_columns(pl.lit(mapping.currency).alias(given("currency")))
    made, faults = converted(source, raw, columns=columns)
    imported.faults += faults
    return made.drop(ENTRY)


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
