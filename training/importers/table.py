"""Importer of tables: a shop's own files to a dataset of the contract, by a mapping."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from models.dataset.checks import ROW
from models.dataset.events import repeated_rows
from models.dataset.faults import DatasetError, Fault, FaultCode, FaultReport
from models.dataset.parts import SUFFIXES
from models.dataset.reading import Progress
from models.dataset.schema import CUSTOMERS, EVENTS, RATES, Column
from training.importers.amounts import SHARED_SIGNS
from training.importers.event_rows import read_events
from training.importers.imported import Imported
from training.importers.mapping import Mapping, MappingError, Section
from training.importers.sale_rows import read_rows, read_sales
from training.importers.source import Source, Sources


@dataclass(frozen=True, slots=True)
class Files:
    """The files of an import.

    Attributes:
        events: One for all sections of events, or one for each.
        sales: None to make sales of the events.
        customers: None for no table of customers.
        rates: None for no rates of exchange.
    """

    events: Sequence[Path]
    sales: Path | None = None
    customers: Path | None = None
    rates: Path | None = None

    def with_sections(self, mapping: Mapping) -> list[tuple[Path, Section]]:
        """Return the files of other tables than events, each with its section of a mapping."""
        found = (
            (self.sales, mapping.sales),
            (self.customers, mapping.customers),
            (self.rates, mapping.rates),
        )
        return [(file, section) for file, section in found if file and section]


def import_table(
    files: Files, mapping: Mapping, *, out: Path, progress: Progress | None = None
) -> Imported:
    """Write a shop's own files as a dataset of the contract.

    The same files give the same bytes. A row that cannot be used is a fault, named with its
    file and row.

    Args:
        files: The source.
        mapping: What of it becomes what.
        out: Folder for ``sales.parquet``, ``events.parquet``, ``customers.parquet`` and
            ``rates.parquet``, which are replaced.
        progress: Receives each step that begins, and how many of how many are done.

    Raises:
        DatasetError: If a file cannot be read, or not one event or sale is left.
        MappingError: If the mapping does not fit the files.
    """
    tell: Progress = progress or (lambda _step, _done, _total: None)
    _require_sections(files, mapping)
    _require_no_other_form(out)
    imported = Imported()
    beside = files.with_sections(mapping)
    sources = Sources([*files.events, *(path for path, _ in beside)], mapping.csv)
    tell("events", 0, 3)
    events, first = read_events(
        files.events,
        sources,
        mapping=mapping,
        imported=imported,
        beside=beside,
    )
    tell("sales", 1, 3)
    offers = None if files.sales is None else _read(files.sales, sources, imported)
    sales = read_sales(offers, mapping, imported=imported, events=events, first=first)
    _require_sales(sales, files, imported)
    tell("customers", 2, 3)
    out.mkdir(parents=True, exist_ok=True)
    tables = _Tables(sources, mapping, imported)
    customers = tables.read(files.customers, mapping.customers, columns=CUSTOMERS)
    if customers is not None:
        imported.n_customers = customers.height
        customers.write_parquet(out / "customers.parquet")
    rates = tables.read(files.rates, mapping.rates, columns=RATES)
    if rates is not None:
        rates.write_parquet(out / "rates.parquet")
    _note_currencies(sales, imported, rates=rates)
    _note_repetitions(sales, customers, events, imported=imported)
    sales.write_parquet(out / "sales.parquet")
    events.write_parquet(out / "events.parquet")
    tell("done", 3, 3)
    imported.faults = imported.distinct_faults()
    imported.n_sales = sales.height
    counted = events["type"].value_counts(sort=False).sort("type")
    imported.n_events = dict(counted.iter_rows())
    return imported


@dataclass(frozen=True, slots=True)
class _Tables:
    """Tables that are no part of events and sales."""

    sources: Sources
    mapping: Mapping
    imported: Imported

    def read(
        self, path: Path | None, section: Section | None, *, columns: Sequence[Column]
    ) -> pl.DataFrame | None:
        if path is None or section is None:
            return None
        source = _read(path, self.sources, self.imported)
        self.imported.note_unused(source.table.file, source.table.columns, section=section)
        return read_rows(
            source, section, columns=columns, mapping=self.mapping, imported=self.imported
        )


def _require_sections(files: Files, mapping: Mapping) -> None:
    if len(files.events) not in {1, len(mapping.events)}:
        msg = (
            f"{len(files.events)} files of events, and the mapping has {len(mapping.events)}"
            " sections `events`: give one --events for all, or one for each, in this order"
        )
        raise MappingError(msg)
    for name in ("sales", "customers", "rates"):
        if getattr(files, name) is not None and getattr(mapping, name) is None:
            msg = f"--{name} is given, and the mapping has no section `{name}`"
            raise MappingError(msg)


def _require_no_other_form(out: Path) -> None:
    """Require that no table lies in the folder in another form: which is meant would be unknown."""
    for name in ("sales", "events", "customers", "rates"):
        for suffix in SUFFIXES:
            other = out / f"{name}{suffix}"
            if suffix != ".parquet" and other.exists():
                msg = f"{other} is a table, too: remove it, or choose another --out"
                raise MappingError(msg)


def _require_sales(sales: pl.DataFrame, files: Files, imported: Imported) -> None:
    if sales.height:
        return
    file = (files.sales or files.events[0]).name
    n_rows = imported.n_rows.get(file, sum(imported.n_rows.values()))
    reason = f"has no row that became a sale, of {n_rows:,}"
    nothing = Fault(file=file, code=FaultCode.NO_SALES, reason=reason)
    # Of the file that has none: faults of others would be listed first, and hide the cause.
    faults = imported.distinct_faults().table.filter(pl.col("file") == file)
    raise DatasetError(FaultReport.from_faults([nothing]) + FaultReport(faults))


def _note_currencies(
    sales: pl.DataFrame, imported: Imported, *, rates: pl.DataFrame | None
) -> None:
    """Note currencies that lack rates, and where those of events are others than of sales."""
    named = set(imported.event_currencies)
    amounts = [pl.col(name).is_not_null() for name in ("price", "margin") if name in sales.columns]
    of_sales = _currencies(sales.filter(pl.any_horizontal(amounts)) if amounts else None)
    with_rates = _currencies(rates)
    without = {name: n for name, n in of_sales.items() if name not in with_rates}
    if len(without) > 1:
        listed = ", ".join(f"{name} ({n:,})" for name, n in without.items())
        imported.remarks.append(
            f"prices are in {listed}, and the rates of exchange name"
            f" {', '.join(sorted(with_rates)) or 'no currency'}: `train` refuses prices of several"
            " currencies until all but one of them have rates (`rates` of the mapping and --rates)"
        )
    # Of a sign of several currencies alone nothing can be said where sales name none.
    if len(named) > 1 or named - ({*of_sales} or {*SHARED_SIGNS}):
        imported.remarks.append(
            f"amounts of events are in {', '.join(sorted(named))}: each is taken to be in the"
            f" currency of its sale ({', '.join(sorted(of_sales)) or 'not known'})"
        )


def _currencies(table: pl.DataFrame | None) -> dict[str, int]:
    """Return the number of rows of each currency, in capitals, by name."""
    if table is None or "currency" not in table.columns:
        return {}
    counted = table["currency"].drop_nulls().str.to_uppercase().value_counts(name="n")
    return dict(counted.sort("currency").iter_rows())


def _note_repetitions(
    sales: pl.DataFrame,
    customers: pl.DataFrame | None,
    events: pl.DataFrame,
    *,
    imported: Imported,
) -> None:
    """Note rows whose id an earlier row has; `validate` and `train` leave them out."""
    for table, column in ((sales, "sale_id"), (customers, "customer_id")):
        n = 0 if table is None else table.height - table[column].n_unique()
        if n:
            imported.remarks.append(
                f"{n:,} rows have the `{column}` of an earlier row, which counts: `validate` and"
                " `train` leave them out"
            )
    contract = {column.name: pl.lit(None) for column in EVENTS if column.name not in events.columns}
    repeated = repeated_rows(events.with_row_index(ROW).with_columns(**contract))
    if n_repeated := repeated.height:
        n_same = int(repeated["same"].sum())
        imported.remarks.append(
            f"{n_repeated:,} events have the `event_id` of an earlier one of their customer, and"
            f" `validate` and `train` leave them out: {n_same:,} repeat it,"
            f" {n_repeated - n_same:,} contradict it, such as {repeated['event_id'][0]!r}"
        )


def _read(path: Path, sources: Sources, imported: Imported) -> Source:
    source = sources.read(path)
    if source.table.file not in imported.n_rows:
        imported.count_rows(source)
    return source
