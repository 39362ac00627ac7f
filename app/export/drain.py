"""Drains the store's streams into files of the dataset contract, each event exactly once.

Every batch becomes a part below ``parts/``, written aside and renamed, which carries in its
own metadata where the streams were read up to. Only then are they emptied up to there. A run
that is killed at any moment therefore leaves either no part, or a part that says where the
next run goes on. ``events.parquet``, ``exposures.parquet`` and ``erasures.parquet`` are the
parts in one file, each event once: what repeats or contradicts an earlier one is counted, and
stays in the parts. Erasures are read last, and taken out of the parts of events
and answers of this and all earlier runs. What a directory held before is its first part; its
sales are brought to what the store says.
"""

import io
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import polars as pl
from filelock import FileLock, Timeout

from app.errors import MAX_NAMED
from app.export.catalogue import export_sales
from app.export.history import CONTRACTS, adopt, in_contract_order
from app.export.part import (
    PARTS,
    ExportError,
    number_of,
    part_path,
    parts_of,
    read_cursors,
    write_table,
)
from app.stores.connection import Connection
from app.stores.exposure import unpacked
from app.stores.keys import erasures_stream, events_stream, exposures_stream
from app.stores.sale import SaleStore
from app.stores.server import StoreServer
from app.stores.stream import Batch, Cursors, Streams
from models.arrays.atomic_file import remove_abandoned
from models.arrays.parquet import read_parquet, scan_parquet
from models.dataset.checks import ROW
from models.dataset.events import IDENTITY, repeated_rows
from models.dataset.schema import EVENTS as EVENT_COLUMNS
from models.experiments.exposure_record import STREAM_COLUMNS, Columns, from_json

BATCH_ENTRIES: Final = 2_000
"""Entries of each partition in one part, which then has at most 128,000."""

_UTC: Final = pl.Datetime("us", "UTC")
_TIME_FORMAT: Final = "%Y-%m-%dT%H:%M:%S%.f%#z"

_EVENT: Final[Columns] = {
    "event_id": pl.String,
    "customer_id": pl.String,
    "session_id": pl.String,
    "type": pl.String,
    "sale_id": pl.String,
    "at": pl.String,
    "exposure_id": pl.String,
    "position": pl.Int64,
    "price": pl.Float64,
    "quantity": pl.Int64,
    "revenue": pl.Float64,
    "market": pl.String,
    "device": pl.String,
    "propensity": pl.Float64,
    "variant": pl.String,
}


@dataclass(frozen=True, slots=True)
class ExportSummary:
    """What a run wrote.

    Attributes:
        events: Entries of events that this run took from the store.
        exposures: The same of answers.
        erasures: The same of erasures.
        erased_events: Events that this run took out of the files, because their customers
            were erased.
        erased_exposures: The same of answers.
        repeated_events: Events of the parts that an earlier one repeats, of all runs: left out.
        conflicting_events: Events of the parts that contradict an earlier one of their customer
            with their id, of all runs: left out.
        conflicting: The first of these by customer and event id.
        lost_events: Events that full streams lost before any run, ever: none of the files has them.
        lost_exposures: The same of answers.
        total_events: Events in ``events.parquet``, of all runs.
        total_exposures: Answers in ``exposures.parquet``, of all runs.
        sales: Sales that the directory has.
        adopted: Rows that the directory held before its first export.
    """

    events: int
    exposures: int
    erasures: int
    erased_events: int
    erased_exposures: int
    repeated_events: int
    conflicting_events: int
    conflicting: tuple[str, ...]
    lost_events: int
    lost_exposures: int
    total_events: int
    total_exposures: int
    sales: int
    adopted: int


@dataclass(frozen=True, slots=True)
class Repeats:
    """What the parts hold more than once, and ``events.parquet`` once.

    Attributes:
        same: Events that an earlier one repeats.
        conflicting: Events that contradict an earlier one of their customer with their id.
        examples: The first of these, by customer and event id.
    """

    same: int
    conflicting: int
    examples: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Log:
    """A kind of stream and the table that it becomes.

    Attributes:
        name: Of the table.
        id_columns: What makes two entries one.
        time_columns: When an entry was made, by any clock that tells; an erasure takes what
            any of them puts before it.
        stream: Name of a partition's stream.
        table: Columns of a batch.
    """

    name: str
    id_columns: tuple[str, ...]
    time_columns: tuple[str, ...]
    stream: Callable[[int], str]
    table: Callable[[Batch], pl.DataFrame]


def event_table(batch: Batch) -> pl.DataFrame:
    """Return events under the dataset contract's names."""
    frame = _json_table([fields[b"e"] for fields in batch.fields], _EVENT)
    received_us = pl.Series("received_at", [int(f[b"r"]) for f in batch.fields], dtype=pl.Int64)
    at = pl.col("at").str.to_datetime(_TIME_FORMAT, time_unit="us", time_zone="UTC")
    return in_contract_order(frame.with_columns(at, received_us.cast(_UTC)), EVENT_COLUMNS)


def exposure_table(batch: Batch) -> pl.DataFrame:
    """Return answers under the names of `ExposureRecord`, ``now`` as a time."""
    lines = [unpacked(fields[b"x"]) for fields in batch.fields]
    return from_json(_json_table(lines, STREAM_COLUMNS))


def erasure_table(batch: Batch) -> pl.DataFrame:
    """Return erasures under the dataset contract's names."""
    customers = pl.Series("customer_id", [f[b"c"].decode() for f in batch.fields], dtype=pl.String)
    erased_us = pl.Series("erased_at", [int(f[b"r"]) for f in batch.fields], dtype=pl.Int64)
    return pl.DataFrame([customers, erased_us.cast(_UTC)])


EVENTS: Final = Log("events", IDENTITY, ("at", "received_at"), events_stream, event_table)
EXPOSURES: Final = Log(
    "exposures", ("recommendation_id",), ("now",), exposures_stream, exposure_table
)
ERASURES: Final = Log("erasures", ("customer_id", "erased_at"), (), erasures_stream, erasure_table)
LOGS: Final = (EVENTS, EXPOSURES, ERASURES)


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
        out: Directory of a dataset; made if absent. Always the same one for a store: what
            was exported is no longer in the streams. Events, erasures and sales that it holds
            already are kept, and stand beside those of the store.
        n_each: Entries of each partition in one part.
        on_part: Told how many entries each part holds.

    Raises:
        DatasetError: If a table that the directory holds cannot be used.
        ExportError: If another run exports to the directory now, or rows that it holds would
            have to be left out.
        StoreUnavailableError: If the store does not answer; run it again.
    """
    parts = out / PARTS
    parts.mkdir(parents=True, exist_ok=True)
    with _alone(parts):
        for directory in (parts, out):
            remove_abandoned(directory)
        adopted = sum(adopt(out, name, parts=parts) for name in CONTRACTS)
        taken = {
            log.name: await _drain(Streams(connection, log.stream), parts, log, n_each, on_part)
            for log in LOGS
        }
        _have_events(parts)
        erased = {log.name: _erase(parts, log) for log in (EVENTS, EXPOSURES)}
        totals = {log.name: _join(out, log) for log in LOGS}
        repeats = _repeats(parts)
        n_sales = await export_sales(SaleStore(connection), out, parts=parts)
        lost = await StoreServer(connection).lost()
        return ExportSummary(
            events=taken[EVENTS.name],
            exposures=taken[EXPOSURES.name],
            erasures=taken[ERASURES.name],
            erased_events=erased[EVENTS.name],
            erased_exposures=erased[EXPOSURES.name],
            repeated_events=repeats.same,
            conflicting_events=repeats.conflicting,
            conflicting=repeats.examples,
            lost_events=lost.events,
            lost_exposures=lost.exposures,
            total_events=totals[EVENTS.name],
            total_exposures=totals[EXPOSURES.name],
            sales=n_sales,
            adopted=adopted,
        )


def _have_events(parts: Path) -> None:
    """See that there is a table of events, even an empty one: a dataset must have it."""
    if not parts_of(parts, EVENTS.name):
        path = part_path(parts, EVENTS.name, number=0)
        write_table(path, event_table(Batch([], {})), cursors={})


async def _drain(
    streams: Streams, parts: Path, log: Log, n_each: int, on_part: Callable[[int], None]
) -> int:
    written = parts_of(parts, log.name)
    cursors: Cursors = read_cursors(written[-1]) if written else {}
    number = number_of(written[-1]) if written else 0
    n_entries = 0
    while True:
        # First what an earlier run wrote and had no time to remove.
        await streams.forget(cursors)
        batch = await streams.read(cursors, n_each=n_each)
        if not batch.fields:
            return n_entries
        number += 1
        path = part_path(parts, log.name, number=number)
        write_table(path, log.table(batch), cursors=batch.cursors)
        cursors = batch.cursors
        n_entries += len(batch.fields)
        on_part(len(batch.fields))


def _erase(parts: Path, log: Log) -> int:
    """Take the customers who were erased out of the parts; return how many rows that were."""
    erasures = parts_of(parts, ERASURES.name)
    if not erasures:
        return 0
    until = scan_parquet(erasures).group_by("customer_id").agg(pl.col("erased_at").max())
    erased_at = until.collect()
    earliest = pl.min_horizontal(*log.time_columns)
    n_erased = 0
    for part in parts_of(parts, log.name):
        frame = read_parquet(part)
        joined = frame.join(erased_at, on="customer_id", how="left", maintain_order="left")
        kept = joined.filter((earliest > pl.col("erased_at")).fill_null(value=True))
        if kept.height < frame.height:
            write_table(part, kept.drop("erased_at"), cursors=read_cursors(part))
            n_erased += frame.height - kept.height
    return n_erased


def _join(out: Path, log: Log) -> int:
    written = parts_of(out / PARTS, log.name)
    if not written:
        return 0
    whole = scan_parquet(written).unique([*log.id_columns], keep="first", maintain_order=True)
    frame = whole.collect()
    write_table(out / f"{log.name}.parquet", frame)
    return frame.height


def _repeats(parts: Path) -> Repeats:
    written = parts_of(parts, EVENTS.name)
    if not written:
        return Repeats(0, 0, ())
    twice = scan_parquet(written).with_row_index(ROW).filter(pl.col("event_id").is_duplicated())
    repeated = repeated_rows(twice.collect())
    conflicting = repeated.filter(~pl.col("same"))
    named = conflicting.select(IDENTITY).unique(maintain_order=True).head(MAX_NAMED)
    return Repeats(
        repeated.height - conflicting.height,
        conflicting.height,
        tuple(f"{customer_id} {event_id}" for customer_id, event_id in named.iter_rows()),
    )


def _json_table(lines: list[bytes], schema: Columns) -> pl.DataFrame:
    return pl.read_ndjson(io.BytesIO(b"\n".join(lines)), schema=schema)


@contextmanager
def _alone(parts: Path) -> Generator[None]:
    try:
        with FileLock(parts / ".lock", blocking=False):
            yield
    except Timeout as exc:
        msg = f"another run exports to {parts.parent} now: wait for its end"
        raise ExportError(msg) from exc
