"""Drains the store's streams into files of the dataset contract, each event exactly once.

Every batch becomes a part below ``parts/``, written atomically, with the positions of the streams
(cursors) in its metadata. Only then are the streams trimmed up to these positions. A run that is
killed at any moment therefore leaves either no part, or a part from which the next run continues.
``events.parquet``, ``exposures.parquet``, ``erasures.parquet`` and ``merges.parquet`` join the
parts, each entry once: events that repeat or contradict an earlier one are counted, and stay in the
parts. Erasures are read last, and applied to the parts of events, answers and merges of this and
all earlier runs. Files that the directory held before its first export become the first part; its
sales are updated from the store.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Self

import polars as pl
from filelock import FileLock, Timeout

from app.errors import MAX_NAMED
from app.export.catalogue import export_sales
from app.export.entries import (
    Entries,
    erasure_table,
    event_table,
    exposure_table,
    merge_table,
    readable_rows,
)
from app.export.history import CONTRACTS, adopt
from app.export.part import (
    PARTS,
    ExportError,
    damage_named,
    list_parts,
    part_number,
    part_path,
    read_cursors,
    write_table,
)
from app.stores.connection import Connection
from app.stores.keys import erasures_stream, events_stream, exposures_stream, merges_stream
from app.stores.sale import SaleStore
from app.stores.server import StoreServer
from app.stores.stream import Cursors, Streams
from models.arrays.atomic_file import remove_abandoned
from models.arrays.parquet import read_parquet, scan_parquet
from models.dataset.checks import ROW
from models.dataset.events import IDENTITY, repeated_rows

# Of each partition in one part, which then has at most 128,000 and fits in memory many times.
BATCH_ENTRIES: Final = 2_000


@dataclass(frozen=True, slots=True)
class ExportSummary:
    """Result of a run, in rows."""

    events: int  # moved from the store
    exposures: int
    erasures: int
    merges: int
    erased_events: int  # removed from the files, because their customers were erased
    erased_exposures: int
    erased_merges: int
    repeated_events: int  # of all runs: equal to an earlier one, and left out
    conflicting_events: int  # of all runs: contradict an earlier one with their id, and left out
    conflicting: tuple[str, ...]  # the first of these, by customer and event id
    unreadable_entries: int  # of the store, which hold something else, and are left out
    unreadable: tuple[str, ...]  # the first of these, by stream and entry, and why
    damaged_streams: tuple[str, ...]  # whose keys are of another type: nothing of them is exported
    lost_events: int  # ever, by full streams, before any run could export them
    lost_exposures: int
    total_events: int  # of the table, of all runs
    total_exposures: int
    sales: int
    adopted: int  # that the directory held before its first export


@dataclass(frozen=True, slots=True)
class Repeats:
    """Events that the parts hold more than once, and ``events.parquet`` once."""

    same: int  # equal to an earlier one
    conflicting: int  # contradict an earlier one of their customer with their id
    examples: tuple[str, ...]  # the first of these, by customer and event id

    @classmethod
    def count(cls, parts: Path) -> Self:
        """Count the events of all parts that were there before."""
        written = list_parts(parts, EVENTS.name)
        if not written:
            return cls(0, 0, ())
        twice = scan_parquet(written).with_row_index(ROW).filter(pl.col("event_id").is_duplicated())
        repeated = repeated_rows(twice.collect())
        conflicting = repeated.filter(~pl.col("same"))
        named = conflicting.select(IDENTITY).unique(maintain_order=True).head(MAX_NAMED)
        return cls(
            repeated.height - conflicting.height,
            conflicting.height,
            tuple(f"{customer_id} {event_id}" for customer_id, event_id in named.iter_rows()),
        )


@dataclass(frozen=True, slots=True)
class Drained:
    """What a run moved from the streams of one kind.

    Attributes:
        n_rows: Number of entries.
        unreadable: Entries that are left out, by name and reason.
        damaged: Streams that cannot be read.
    """

    n_rows: int
    unreadable: list[str]
    damaged: list[str]


@dataclass(frozen=True, slots=True)
class StreamTable:
    """A kind of stream, and its table in the dataset.

    Attributes:
        name: Name of the table.
        id_columns: Columns that identify an entry.
        time_columns: Times of an entry, by different clocks; an erasure removes an entry if any
            of them is before it.
        stream: Returns the name of a partition's stream.
        table: Makes a table of entries.
    """

    name: str
    id_columns: tuple[str, ...]
    time_columns: tuple[str, ...]
    stream: Callable[[int], str]
    table: Callable[[Entries], pl.DataFrame]

    async def drain(
        self, connection: Connection, parts: Path, *, n_each: int, on_part: Callable[[int], None]
    ) -> Drained:
        """Move the entries of the store into parts."""
        streams = Streams(connection, self.stream)
        written = list_parts(parts, self.name)
        cursors: Cursors = read_cursors(written[-1]) if written else {}
        number = part_number(written[-1]) if written else 0
        n_rows, unreadable = 0, list[str]()
        while True:
            # First the entries that an earlier run wrote and was killed before it removed them.
            await streams.forget(cursors)
            batch = await streams.read(cursors, n_each=n_each)
            if not batch.fields:
                return Drained(n_rows, unreadable, batch.damaged)
            number += 1
            path = part_path(parts, self.name, number=number)
            needed = (*self.id_columns, *self.time_columns)
            rows, left_out = readable_rows(
                self.table, batch.fields, names=batch.names, needed=needed
            )
            # With its cursors, before the streams are trimmed: a crash here neither loses an entry
            # nor writes it twice.
            write_table(path, rows, cursors=batch.cursors)
            cursors = batch.cursors
            n_rows += rows.height
            unreadable += left_out
            on_part(len(batch.fields))

    def erase(self, parts: Path) -> int:
        """Remove erased customers from the parts, and return the number of rows removed."""
        erasures = list_parts(parts, ERASURES.name)
        if not erasures:
            return 0
        until = scan_parquet(erasures).group_by("customer_id").agg(pl.col("erased_at").max())
        erased_at = until.collect()
        earliest = pl.min_horizontal(*self.time_columns)
        n_erased = 0
        for part in list_parts(parts, self.name):
            frame = read_parquet(part)
            joined = frame.join(erased_at, on="customer_id", how="left", maintain_order="left")
            kept = joined.filter((earliest > pl.col("erased_at")).fill_null(value=True))
            if kept.height < frame.height:
                write_table(part, kept.drop("erased_at"), cursors=read_cursors(part))
                n_erased += frame.height - kept.height
        return n_erased

    def join(self, out: Path) -> int:
        """Write the table of all parts, each entry once, and return its number of rows."""
        written = list_parts(out / PARTS, self.name)
        if not written:
            return 0
        whole = scan_parquet(written).unique([*self.id_columns], keep="first", maintain_order=True)
        frame = whole.collect()
        write_table(out / f"{self.name}.parquet", frame)
        return frame.height


EVENTS: Final = StreamTable("events", IDENTITY, ("at", "received_at"), events_stream, event_table)
EXPOSURES: Final = StreamTable(
    "exposures", ("recommendation_id",), ("now",), exposures_stream, exposure_table
)
ERASURES: Final = StreamTable(
    "erasures", ("customer_id", "erased_at"), (), erasures_stream, erasure_table
)
MERGES: Final = StreamTable(
    "merges", ("guest_id", "customer_id", "merged_at"), ("merged_at",), merges_stream, merge_table
)
# Erasures last, so that they also reach what this run moved before.
STREAM_TABLES: Final = (EVENTS, EXPOSURES, MERGES, ERASURES)


async def export(
    connection: Connection,
    out: Path,
    *,
    n_each: int = BATCH_ENTRIES,
    on_part: Callable[[int], None] = lambda _: None,
) -> ExportSummary:
    """Drain all streams of a store into a directory.

    Args:
        connection: The store.
        out: Directory of a dataset; made if absent. Always the same one for a store, as exported
            entries are removed from the streams. Events, erasures and sales that it holds
            already are kept beside those of the store.
        n_each: Entries of each partition in one part.
        on_part: Called with the number of entries of each part.

    Raises:
        DatasetError: If a table of the directory cannot be used.
        ExportError: If another run exports to the directory now, a part of it is damaged, or rows
            of it would be left out.
        StoreUnavailableError: If the store does not answer; run it again.
    """
    parts = out / PARTS
    parts.mkdir(parents=True, exist_ok=True)
    try:
        # The kernel releases it when the process dies.
        lock = FileLock(parts / ".lock").acquire(blocking=False)
    except Timeout as exc:
        msg = f"another run exports to {out} now: wait for its end"
        raise ExportError(msg) from exc
    with lock, damage_named(out):
        return await _export(connection, out, parts=parts, n_each=n_each, on_part=on_part)


async def _export(
    connection: Connection,
    out: Path,
    *,
    parts: Path,
    n_each: int,
    on_part: Callable[[int], None],
) -> ExportSummary:
    for directory in (parts, out):
        remove_abandoned(directory)
    adopted = sum(adopt(out, name, parts=parts) for name in CONTRACTS)
    taken = {
        kind.name: await kind.drain(connection, parts, n_each=n_each, on_part=on_part)
        for kind in STREAM_TABLES
    }
    unreadable = [one for drained in taken.values() for one in drained.unreadable]
    if not list_parts(parts, EVENTS.name):
        # A dataset must have a table of events, even an empty one.
        first = part_path(parts, EVENTS.name, number=0)
        write_table(first, event_table([]), cursors={})
    erased = {kind.name: kind.erase(parts) for kind in (EVENTS, EXPOSURES, MERGES)}
    totals = {kind.name: kind.join(out) for kind in STREAM_TABLES}
    repeats = Repeats.count(parts)
    n_sales = await export_sales(SaleStore(connection), out, parts=parts)
    lost = await StoreServer(connection).lost()
    return ExportSummary(
        events=taken[EVENTS.name].n_rows,
        exposures=taken[EXPOSURES.name].n_rows,
        erasures=taken[ERASURES.name].n_rows,
        merges=taken[MERGES.name].n_rows,
        erased_events=erased[EVENTS.name],
        erased_exposures=erased[EXPOSURES.name],
        erased_merges=erased[MERGES.name],
        repeated_events=repeats.same,
        conflicting_events=repeats.conflicting,
        conflicting=repeats.examples,
        unreadable_entries=len(unreadable),
        unreadable=tuple(unreadable[:MAX_NAMED]),
        damaged_streams=tuple(one for drained in taken.values() for one in drained.damaged),
        lost_events=lost.events,
        lost_exposures=lost.exposures,
        total_events=totals[EVENTS.name],
        total_exposures=totals[EXPOSURES.name],
        sales=n_sales,
        adopted=adopted,
    )
