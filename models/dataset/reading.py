"""Dataset reader: sales, events, customers, and the fingerprint of all files."""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from hashlib import file_digest, sha256
from pathlib import Path
from typing import Final

import polars as pl

from models.dataset.customers import CustomerTable, read_customers
from models.dataset.erasures import Erasures, read_erasures
from models.dataset.events import EventTable, accepted_rows, read_events
from models.dataset.events_by_part import ReadingByPart, read_events_by_part
from models.dataset.faults import DatasetError, Effect, Fault, FaultCode, FaultReport
from models.dataset.log_faults import lone_refunds, unknown_sales
from models.dataset.merges import MergeTable, erased_together, read_merges
from models.dataset.parts import parts_in
from models.dataset.pictures import distinct
from models.dataset.rates import (
    Rates,
    in_one_currency,
    late_rates,
    read_rates,
    sales_in_one_currency,
)
from models.dataset.sales import IMAGES, SalesFile, read_sales
from models.dataset.tables import TABLES, Table, read_table, table_path
from models.domain.money import mixture
from models.domain.sale import Sale

SCENES: Final = "scenes"
_N_STEPS: Final = 4

Progress = Callable[[str, int, int], None]
"""Called with the name of the step that begins, the number of finished steps, and of all."""


@dataclass(frozen=True, slots=True, eq=False)
class Dataset:
    """A dataset that was read and validated.

    Attributes:
        sales: Accepted sales, in the order of their file.
        events: Accepted events.
        customers: Rows of ``customers`` with the attributes that models can learn from; None
            without the file.
        directory: Its directory.
        images: Existing files below ``images/`` by sale id and number, of the sales that have
            one; the first that a sale names, its cover, has the number 1.
        faults: All faults, with the original rows that were left out.
        fingerprint: SHA-256 over names and bytes of its tables, its sales' pictures and its
            labelled scenes, in hexadecimal.
    """

    sales: tuple[Sale, ...]
    events: EventTable
    customers: CustomerTable | None
    directory: Path
    images: Mapping[str, Mapping[int, Path]]
    faults: FaultReport
    fingerprint: str

    @property
    def pictures(self) -> frozenset[Path]:
        """The files of all sales' pictures; sales may share one."""
        return distinct(self.images)

    def require_trainable(self) -> None:
        """Refuse a dataset that nothing can be learned or judged from.

        Raises:
            DatasetError: If it has no accepted sales, no accepted events of them, or amounts in
                several currencies.
        """
        lacking = self.faults.with_codes(
            FaultCode.NO_SALES, FaultCode.NO_EVENTS, FaultCode.MIXED_CURRENCIES
        )
        if len(lacking):
            raise DatasetError(lacking)


def read_dataset(
    directory: Path,
    *,
    strict: bool = False,
    decode_pictures: bool = False,
    as_received: bool = False,
    by_part: ReadingByPart | None = None,
    progress: Progress | None = None,
) -> Dataset:
    """Read and validate a dataset.

    Rows with faults are left out and listed in the report of the result, which the caller has
    to print, see `models.dataset.quarantine.write_quarantine`.

    Args:
        directory: Folder with ``sales`` and ``events``, each as ``.parquet`` or ``.csv``, and
            optionally ``erasures``, ``merges``, ``customers``, ``rates``, ``images/`` and
            ``scenes/``.
        strict: Stop at the first file with a fault other than a note.
        decode_pictures: Decode every picture of a sale, to find broken ones.
        as_received: Use the file's times of receipt, even those of an import.
        by_part: How a log of more than one part is read; None: whole. What is read is the same.
        progress: Called at every step.

    Raises:
        DatasetError: If a file is missing or cannot be used as a whole, or in strict reading
            if anything would be left out.
    """
    tell: Progress = progress or (lambda _step, _done, _total: None)
    tell("sales", 0, _N_STEPS)
    sales = _sales(directory, partial(tell, "pictures") if decode_pictures else None)
    faults = _stop(sales.faults, strict=strict)
    tell("events", 1, _N_STEPS)
    # Before events and customers, of which the rows of erased customers are left out.
    erasures, found = erasures_in(directory)
    faults = _stop(faults + found, strict=strict)
    events, found = _events(
        directory, sales, erasures=erasures, as_received=as_received, by_part=by_part
    )
    faults = _stop(faults + found, strict=strict)
    tell("customers", 2, _N_STEPS)
    customers, found = _customers(directory, erasures)
    faults = _stop(faults + found, strict=strict)
    rates, found = _rates(directory)
    faults = _stop(faults + found, strict=strict)
    if events is None or faults.unusable():
        raise DatasetError(faults)
    faults += late_rates(sales.sales, events, rates=rates)
    converted, events = in_one_currency(sales.sales, events, rates=rates)
    if customers is not None:
        events = replace(events, attributes=customers.aligned(events.customers.values))
    faults = _stop(faults + _mixed(converted), strict=strict)
    tell("fingerprint", 3, _N_STEPS)
    fingerprint = _fingerprint(directory, distinct(sales.images))
    tell("done", _N_STEPS, _N_STEPS)
    return Dataset(converted, events, customers, directory, sales.images, faults, fingerprint)


@dataclass(frozen=True, slots=True, eq=False)
class Reference:
    """All of a dataset but its events.

    Attributes:
        sales: See `Dataset`.
        customers: See `Dataset`.
        erasures: Erased customers.
        merges: Guests who turned out to be customers.
        images: See `Dataset`.
        faults: Faults of these tables.
        fingerprint: That of the whole dataset.
    """

    sales: tuple[Sale, ...]
    customers: CustomerTable | None
    erasures: Erasures
    merges: MergeTable
    images: Mapping[str, Mapping[int, Path]]
    faults: FaultReport
    fingerprint: str


def read_reference(directory: Path) -> Reference:
    """Read and validate a dataset without its events, of which there may be too many.

    Raises:
        DatasetError: If a file cannot be used as a whole, or there is no sale.
    """
    sales = _sales(directory, None)
    erasures, found = erasures_in(directory)
    merges, of_merges = merges_in(directory, erasures)
    customers, of_customers = _customers(directory, erasures)
    rates, of_rates = _rates(directory)
    faults = sales.faults + found + of_merges + of_customers + of_rates
    if faults.unusable() or not sales.sales:
        raise DatasetError(faults)
    converted = sales_in_one_currency(sales.sales, rates=rates)
    fingerprint = _fingerprint(directory, distinct(sales.images))
    return Reference(converted, customers, erasures, merges, sales.images, faults, fingerprint)


def read_event_part(
    table: Table, *, erasures: Erasures, imported: Collection[int], without: Collection[str] = ()
) -> tuple[EventTable, FaultReport]:
    """Read and validate the events of some customers, all that there are of them.

    The accepted events are those that `read_dataset` accepts of these customers.

    Args:
        table: Their rows, in the order of the whole table.
        erasures: Those of the dataset.
        imported: The hours of imports of the whole table, see `imported_hours`.
        without: Columns of texts that are validated and then left empty, which takes less time.

    Raises:
        DatasetError: If they cannot be used as a whole.
    """
    frame, faults = accepted_rows(table, None, erasures=erasures, imported=imported)
    if frame is None:
        raise DatasetError(faults)
    empty = (pl.lit(None, dtype=pl.String).alias(name) for name in without)
    return EventTable.from_frame(frame.with_columns(empty)), faults


def _mixed(sales: Sequence[Sale]) -> FaultReport:
    reason, code = mixture(sales), FaultCode.MIXED_CURRENCIES
    if not reason:
        return FaultReport.none()
    return FaultReport.from_faults(
        [Fault(file="sales", column="currency", code=code, reason=reason)]
    )


def read_event_log(directory: Path) -> tuple[EventTable, FaultReport]:
    """Read and validate the events of a directory without sales.

    Args:
        directory: Folder with ``events`` and optionally ``erasures``, as an export leaves it.

    Returns:
        The accepted events and the faults, without notes on unknown sales.

    Raises:
        DatasetError: If a file is missing or cannot be used as a whole.
    """
    erasures, faults = erasures_in(directory)
    events, found = _events(directory, None, erasures=erasures)
    faults += found
    if events is None or faults.unusable():
        raise DatasetError(faults)
    return events, faults


def _stop(faults: FaultReport, *, strict: bool) -> FaultReport:
    """Return the faults; in strict reading they stop it."""
    if strict and len(faults.having(Effect.FILE, Effect.ROW, Effect.GAP)):
        raise DatasetError(faults)
    return faults


def _table(
    directory: Path, name: str, *, required: bool = False
) -> tuple[Table | None, FaultReport]:
    try:
        path, faults = _path(directory, name, required=required)
        return None if path is None else read_table(path), faults
    except DatasetError as exc:
        return None, exc.faults


def _path(directory: Path, name: str, *, required: bool) -> tuple[Path | None, FaultReport]:
    path = table_path(directory, name)
    if path is not None or not required:
        return path, FaultReport.none()
    # A file with other letter case, or of a format that is not read, is probably what was meant.
    names = sorted(each.name for each in directory.iterdir()) if directory.is_dir() else []
    alike = [each for each in names if each.lower().partition(".")[0] == name]
    similar = f", and does not read {', '.join(alike)}" if alike else ""
    reason = f"{directory} holds no {name}.parquet or {name}.csv{similar}"
    fault = Fault(file=name, code=FaultCode.MISSING_FILE, reason=reason)
    return None, FaultReport.from_faults([fault])


def _sales(directory: Path, on_decoded: Callable[[int, int], None] | None) -> SalesFile:
    table, faults = _table(directory, "sales", required=True)
    if table is None:
        return SalesFile.unusable(faults)
    found = read_sales(table, directory / IMAGES, on_decoded=on_decoded)
    if found.sales or found.faults.unusable():
        return found
    return replace(
        found, faults=found.faults + _empty(table.file, table.n_rows, FaultCode.NO_SALES)
    )


def erasures_in(directory: Path) -> tuple[Erasures, FaultReport]:
    """Read the erasures of a dataset, none without a file.

    Erasing any id of a customer erases all that were merged by then.
    """
    table, faults = _table(directory, "erasures")
    if table is None:
        return Erasures.none(), faults
    erasures, found = read_erasures(table)
    merges, _ = merges_in(directory, Erasures.none())
    return erased_together(erasures, merges), found


def merges_in(directory: Path, erasures: Erasures) -> tuple[MergeTable, FaultReport]:
    """Read the merges of a dataset, none without a file."""
    table, faults = _table(directory, "merges")
    return (MergeTable.none(), faults) if table is None else read_merges(table, erasures)


def _rates(directory: Path) -> tuple[Rates, FaultReport]:
    table, faults = _table(directory, "rates")
    return (Rates.none(), faults) if table is None else read_rates(table)


def _events(
    directory: Path,
    sales: SalesFile | None,
    *,
    erasures: Erasures,
    as_received: bool = False,
    by_part: ReadingByPart | None = None,
) -> tuple[EventTable | None, FaultReport]:
    times = sales.times if sales else None
    read = partial(_rows, sales=times, erasures=erasures, as_received=as_received)
    try:
        path, faults = _path(directory, "events", required=True)
        if path is None:
            return None, faults
        n_parts = 1 if by_part is None else by_part.parts_of(path)
        parted = by_part if n_parts > 1 else None
        events, faults, n_rows = read(path, by_part=parted, n_parts=n_parts)
    except DatasetError as exc:
        return None, exc.faults
    n_unknown = len(faults.with_codes(FaultCode.UNKNOWN_SALE))
    if events is None:
        return None, faults
    if sales and not len(events):
        faults += _empty(path.name, n_rows, FaultCode.NO_EVENTS)
    elif sales and n_unknown:
        faults += unknown_sales(path.name, events, sales=sales, n_unknown=n_unknown)
    merges, of_merges = merges_in(directory, erasures)
    events = replace(events, merges=merges)
    return events, faults + lone_refunds(path.name, events) + of_merges


def _rows(
    path: Path,
    *,
    sales: pl.DataFrame | None,
    erasures: Erasures,
    as_received: bool,
    by_part: ReadingByPart | None,
    n_parts: int,
) -> tuple[EventTable | None, FaultReport, int]:
    """Return the accepted events, their faults, and the number of rows."""
    if by_part is not None:
        return read_events_by_part(
            path,
            sales,
            erasures=erasures,
            as_received=as_received,
            folder=by_part.folder,
            n_parts=n_parts,
        )
    table = read_table(path)
    events, faults = read_events(table, sales, erasures=erasures, as_received=as_received)
    return events, faults, table.n_rows


def _empty(file: str, n_rows: int, code: FaultCode) -> FaultReport:
    reason = f"has no row that could be accepted, of {n_rows}"
    return FaultReport.from_faults([Fault(file=file, code=code, reason=reason)])


def _customers(directory: Path, erasures: Erasures) -> tuple[CustomerTable | None, FaultReport]:
    table, faults = _table(directory, "customers")
    if table is None:
        return None, faults
    return read_customers(table, erasures)


def _fingerprint(directory: Path, images: Iterable[Path]) -> str:
    paths = [path for name in TABLES if (path := table_path(directory, name))]
    tables = [part.path for path in paths for part in parts_in(path)]
    scenes = [path for path in (directory / SCENES).rglob("*") if path.is_file()]
    named = {path.relative_to(directory).as_posix(): path for path in [*tables, *scenes]}
    # Paths were resolved, so that symbolic links in the parents do not matter.
    folder = (directory / IMAGES).resolve()
    named |= {f"{IMAGES}/{path.relative_to(folder).as_posix()}": path for path in images}
    # Sorted by name: the order in which a file system lists files must not matter.
    digest = sha256()
    for name in sorted(named):
        with named[name].open("rb") as file:  # a table may be larger than the memory
            content = file_digest(file, "sha256").digest()
        digest.update(name.encode(errors="surrogateescape") + b"\0" + content)
    return digest.hexdigest()
