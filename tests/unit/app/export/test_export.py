"""The store's streams become files of the dataset contract."""

import fcntl
import resource
import zlib
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from app.cli.console import Progress
from app.cli.fill_store import fill_from_dataset
from app.export import PARTS, ExportError, export
from app.export.part import read_cursors, write_table
from app.stores.connection import Connection
from app.stores.customer import CustomerStore
from app.stores.event_outcome import EventStatus
from app.stores.exposure import ExposureLog, PackedExposure
from app.stores.keys import (
    N_PARTITIONS,
    erasures_stream,
    events_stream,
    exposures_stream,
    partition,
)
from app.stores.merge import MergeStore
from app.stores.server import StoreServer
from app.stores.store import Stores
from models.arrays.parquet import read_parquet
from models.dataset import read_dataset
from models.domain.event import Event, EventType, from_us, to_us
from tests.contract.visit import DAY_US, MINUTE_US, append_at, event, visits
from tests.records import RECORD
from tests.shop import sale

N_BYTES_LEFT = 100
N_EVENTS = 240
PACKED = PackedExposure.from_record(RECORD).content


@pytest.fixture
def url(embedded_url: str) -> str:
    return embedded_url


@pytest.fixture
def customers(connection: Connection) -> CustomerStore:
    return CustomerStore(connection)


@pytest.fixture
async def now_us(connection: Connection) -> int:
    return await StoreServer(connection).time_us()


@pytest.fixture
async def events(customers: CustomerStore, now_us: int, rng: np.random.Generator) -> list[Event]:
    """Events of many customers, in the store."""
    each = N_EVENTS // 24
    events = [e for c in range(24) for e in visits(rng, each, customer_id=f"c{c}", now_us=now_us)]
    await customers.append(events)
    return events


def exported(out: Path) -> list[str]:
    return sorted(pl.read_parquet(out / "events.parquet")["event_id"])


async def left(connection: Connection) -> int:
    """Entries of events that are still in the store."""
    commands = [("XLEN", events_stream(p)) for p in range(N_PARTITIONS)]
    lengths = await connection.execute_many(commands, doing="looking")
    return sum(n for n in lengths if isinstance(n, int))


async def test_every_event_is_exported_once_and_leaves_the_store(
    connection: Connection, events: list[Event], tmp_path: Path
) -> None:
    summary = await export(connection, tmp_path)

    assert (summary.events, summary.total_events) == (N_EVENTS, N_EVENTS)
    assert exported(tmp_path) == sorted(e.event_id for e in events)
    assert await left(connection) == 0


async def test_a_full_disk_is_one_clear_error_and_costs_nothing(
    connection: Connection, events: list[Event], tmp_path: Path
) -> None:
    """As where the disk is full, no file of this process may grow beyond a few bytes."""
    assert events
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (N_BYTES_LEFT, limits[1]))
    try:
        with pytest.raises(
            ExportError, match=r"File too large.*export again to the same directory"
        ):
            await export(connection, tmp_path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)

    assert [path.name for path in (tmp_path / PARTS).iterdir()] == [".lock"]
    assert await left(connection) == N_EVENTS
    assert (await export(connection, tmp_path)).events == N_EVENTS


async def test_an_event_is_exported_as_it_was_posted(
    connection: Connection, customers: CustomerStore, now_us: int, tmp_path: Path
) -> None:
    in_paris = from_us(now_us).astimezone(timezone(timedelta(hours=1)))
    posted = Event(
        event_id="e1",
        customer_id="c1",
        session_id="v1",
        type=EventType.PURCHASE,
        sale_id="s1",
        at=in_paris,
        position=3,
        price=99.5,
        quantity=2,
        propensity=0.25,
    )
    whole_second = event("e2", at_us=now_us // 1_000_000 * 1_000_000)
    await customers.append([posted, whole_second])

    await export(connection, tmp_path)

    first, second = pl.read_parquet(tmp_path / "events.parquet").sort("event_id").to_dicts()
    received = first.pop("received_at")
    assert {name: value for name, value in first.items() if value is not None} == {
        **posted.model_dump(exclude_none=True, mode="json"),
        "at": from_us(now_us),
    }
    assert second["at"] == whole_second.at
    assert now_us <= to_us(received) <= now_us + DAY_US


@pytest.mark.parametrize("n_parts", [1, 2, 3, 4])
async def test_a_run_that_dies_after_a_part_is_resumed_without_loss_or_repetition(
    connection: Connection, events: list[Event], tmp_path: Path, n_parts: int
) -> None:
    """It dies after the part was written and before the store forgot its entries."""
    parts: list[int] = []

    def die(n_entries: int) -> None:
        parts.append(n_entries)
        if len(parts) == n_parts:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        await export(connection, tmp_path, n_each=1, on_part=die)
    assert await left(connection) > N_EVENTS - sum(parts)
    summary = await export(connection, tmp_path, n_each=1)

    assert summary.events == N_EVENTS - sum(parts)
    assert exported(tmp_path) == sorted(e.event_id for e in events)


async def test_a_run_that_dies_while_it_writes_leaves_no_part(
    connection: Connection, events: list[Event], tmp_path: Path
) -> None:
    (tmp_path / PARTS).mkdir()
    (tmp_path / PARTS / ".events-000001.parquet.0a.partial").write_bytes(b"PAR1 half a fil")

    await export(connection, tmp_path)

    assert exported(tmp_path) == sorted(e.event_id for e in events)


async def test_runs_add_up(
    connection: Connection,
    customers: CustomerStore,
    events: list[Event],
    now_us: int,
    tmp_path: Path,
) -> None:
    await export(connection, tmp_path)
    await customers.append([event("later", at_us=now_us)])

    summary = await export(connection, tmp_path)

    assert (summary.events, summary.total_events) == (1, N_EVENTS + 1)
    assert exported(tmp_path) == sorted([*(e.event_id for e in events), "later"])


async def test_a_run_with_nothing_new_changes_no_file(
    connection: Connection, events: list[Event], tmp_path: Path
) -> None:
    assert events
    await export(connection, tmp_path)
    before = (tmp_path / "events.parquet").read_bytes()

    summary = await export(connection, tmp_path)

    assert summary.events == 0
    assert (tmp_path / "events.parquet").read_bytes() == before


async def test_an_event_that_was_streamed_twice_is_exported_once(
    connection: Connection, now_us: int, tmp_path: Path
) -> None:
    """After three days the store has forgotten what it remembered of it."""
    first = event("1", at_us=now_us - 5 * DAY_US, type=EventType.IMPRESSION)
    other = event("1", at_us=now_us, sale_id="s2", type=EventType.IMPRESSION)
    for received_us, one in ((now_us - 4 * DAY_US, first), (now_us, first), (now_us, other)):
        await append_at(connection, [one], received_us=received_us)
    await append_at(connection, [other], received_us=now_us + 4 * DAY_US)

    summary = await export(connection, tmp_path)

    assert (summary.events, summary.total_events) == (3, 1)
    assert (summary.repeated_events, summary.conflicting_events) == (1, 1)
    assert summary.conflicting == ("c1 1",)
    assert pl.read_parquet(tmp_path / "events.parquet")["sale_id"].to_list() == ["s1"]


async def test_events_of_two_customers_with_one_id_are_both_exported(
    connection: Connection, customers: CustomerStore, now_us: int, tmp_path: Path
) -> None:
    """Two browsers may both count their events from 1."""
    await customers.append([event("1", at_us=now_us, customer_id=c) for c in ("c1", "c2")])

    summary = await export(connection, tmp_path)

    assert (summary.total_events, summary.repeated_events, summary.conflicting_events) == (2, 0, 0)


async def test_what_is_exported_is_read_as_a_dataset(
    connection: Connection, events: list[Event], tmp_path: Path
) -> None:
    await export(connection, tmp_path)
    sales = {
        "sale_id": [f"s{i}" for i in range(7)],
        "opens_at": [datetime(2020, 1, 1, tzinfo=UTC)] * 7,
    }
    pl.DataFrame(sales).write_parquet(tmp_path / "sales.parquet")

    dataset = read_dataset(tmp_path, strict=True)

    assert sorted(dataset.events.event_ids) == sorted(e.event_id for e in events)
    assert sorted(dataset.events.at_us.tolist()) == sorted(to_us(e.at) for e in events)


async def test_answers_are_exported_whole(connection: Connection, tmp_path: Path) -> None:
    await ExposureLog(connection).append([PackedExposure.from_record(RECORD)] * 2)

    summary = await export(connection, tmp_path)

    [answer] = pl.read_parquet(tmp_path / "exposures.parquet").to_dicts()
    assert (summary.exposures, summary.total_exposures) == (2, 1)
    assert answer["now"] == from_us(RECORD.now_us)
    assert answer["window"] == RECORD.window
    assert (answer["exclude"], answer["excluded_unknown"]) == (["s9"], 1)
    assert (answer["candidates"], answer["candidates_unknown"]) == (["s1", "s2"], 2)
    assert answer["slate"] == [
        {
            "sale_id": "s1",
            "rank": 1,
            "propensity": 1.0,
            "purchase_probability": 0.0125,
            "rules": [],
        }
    ]
    assert answer["versions"] == [["numpy", "2"]]


async def test_answers_that_an_earlier_version_exported_stay(
    connection: Connection, tmp_path: Path
) -> None:
    """Its part lacks columns that records have by now."""
    log = ExposureLog(connection)
    await log.append([PackedExposure.from_record(RECORD)])
    await export(connection, tmp_path)
    [part] = (tmp_path / PARTS).glob("exposures-*.parquet")
    old = pl.read_parquet(part).drop("excluded_unknown", "candidates_unknown")
    write_table(part, old, cursors=read_cursors(part))
    await log.append([PackedExposure.from_record(replace(RECORD, recommendation_id="r2"))])

    await export(connection, tmp_path)

    answers = pl.read_parquet(tmp_path / "exposures.parquet").sort("recommendation_id")
    assert answers["recommendation_id"].to_list() == ["r1", "r2"]
    assert answers["candidates_unknown"].to_list() == [None, 2]


UNKNOWN = zlib.compressobj(zdict=b"unknown")
PACKED_BY_ANOTHER = UNKNOWN.compress(b"{}") + UNKNOWN.flush()


@pytest.mark.parametrize(
    ("stream", "fields", "reason"),
    [
        (events_stream, ("a", "b"), "b'e'"),
        (events_stream, ("e", "garbage", "r", "1"), "error parsing line"),
        (events_stream, ("e", "", "r", "1"), "no JSON object on one line"),
        (events_stream, ("e", "{}", "r", "1"), "without customer_id, event_id"),
        (events_stream, ("e", "{}", "r", "soon"), "'soon'"),
        (exposures_stream, ("x", PACKED_BY_ANOTHER), "dictionary 0c460311, which this version"),
        (exposures_stream, ("x", PACKED[:6] + b"garbage"), "cannot be unpacked"),
        (exposures_stream, ("x", PACKED[:-9]), "error parsing line"),
        (exposures_stream, ("x", b"\x78\xbb"), "2 bytes are no packed record"),
        (exposures_stream, ("x", "{}"), "without recommendation_id"),
        (erasures_stream, ("c", "c1"), "b'r'"),
    ],
)
async def test_an_entry_that_holds_something_else_is_left_out_and_named(
    connection: Connection,
    customers: CustomerStore,
    now_us: int,
    tmp_path: Path,
    *,
    stream: Callable[[int], str],
    fields: tuple[str | bytes, ...],
    reason: str,
) -> None:
    """All others are exported, and the streams are emptied."""
    name = stream(partition("c1"))
    await customers.append([event("e1", at_us=now_us)])
    await connection.execute("XADD", name, "*", *fields, doing="writing something else")
    await customers.append([event("e2", at_us=now_us)])
    await ExposureLog(connection).append([PackedExposure.from_record(RECORD)])

    summary = await export(connection, tmp_path)

    assert exported(tmp_path) == ["e1", "e2"]
    assert (summary.events, summary.exposures, summary.erasures) == (2, 1, 0)
    [unreadable] = summary.unreadable
    assert summary.unreadable_entries == 1
    assert unreadable.startswith(f"{name} ")
    assert reason in unreadable
    assert await connection.execute("XLEN", name, doing="looking") == 0


@pytest.mark.parametrize("stream", [events_stream, exposures_stream, erasures_stream])
async def test_a_stream_of_another_type_is_named_and_keeps_no_other_from_the_files(
    connection: Connection,
    customers: CustomerStore,
    now_us: int,
    tmp_path: Path,
    stream: Callable[[int], str],
) -> None:
    """Also one of which an earlier run exported entries."""
    broken, other = partition("c1"), partition("c2")
    for customer_id in ("c1", "c2"):
        await customers.append([event("e1", at_us=now_us, customer_id=customer_id)])
        await customers.erase(f"{customer_id}-gone")
    await export(connection, tmp_path)
    name = stream(broken)
    await customers.append([event("e2", at_us=now_us, customer_id="c2")])
    await connection.execute("DEL", name, doing="breaking it")
    await connection.execute("SET", name, "another program's", doing="breaking it")

    summary = await export(connection, tmp_path)
    await connection.execute("DEL", name, doing="mending it")
    await customers.append([event("e3", at_us=now_us, customer_id="c1")])
    mended = await export(connection, tmp_path)

    assert broken != other
    assert (summary.events, summary.damaged_streams) == (1, (name,))
    assert (mended.events, mended.damaged_streams) == (1, ())
    assert exported(tmp_path) == ["e1", "e1", "e2", "e3"]


async def test_two_runs_at_once_are_refused(connection: Connection, tmp_path: Path) -> None:
    (tmp_path / PARTS).mkdir()
    with (tmp_path / PARTS / ".lock").open("w") as lock:
        fcntl.flock(lock.fileno(), fcntl.LOCK_EX)

        with pytest.raises(ExportError, match="another run exports"):
            await export(connection, tmp_path)


async def test_a_part_that_is_no_part_is_named(connection: Connection, tmp_path: Path) -> None:
    (tmp_path / PARTS).mkdir()
    pl.DataFrame({"event_id": ["e1"]}).write_parquet(tmp_path / PARTS / "events-000001.parquet")

    with pytest.raises(ExportError, match=r"events-000001\.parquet does not say where it ends"):
        await export(connection, tmp_path)


@pytest.mark.parametrize("table", ["events", "exposures"])
@pytest.mark.parametrize("part", [1, 2])
async def test_a_damaged_part_is_named_and_what_is_left_of_it(
    connection: Connection,
    customers: CustomerStore,
    now_us: int,
    tmp_path: Path,
    table: str,
    part: int,
) -> None:
    """Its rows are in the copy of the table, and the next export goes on without them."""
    log = ExposureLog(connection)
    for number in (1, 2):
        await customers.append([event(f"e{number}", at_us=now_us)])
        shown = replace(RECORD, recommendation_id=f"r{number}")
        await log.append([PackedExposure.from_record(shown)])
        await export(connection, tmp_path)
    damaged = tmp_path / PARTS / f"{table}-{part:06}.parquet"
    damaged.write_bytes(damaged.read_bytes()[:200])
    await customers.append([event("e3", at_us=now_us)])

    with pytest.raises(
        ExportError,
        match=rf"{damaged.name} is damaged: .*copy {tmp_path}/{table}\.parquet and move",
    ):
        await export(connection, tmp_path)

    assert read_parquet(tmp_path / f"{table}.parquet").height == 2
    damaged.unlink()
    summary = await export(connection, tmp_path)
    n_lost = {"events": (2, 2), "exposures": (3, 1)}
    assert (summary.total_events, summary.total_exposures) == n_lost[table]


async def test_an_erased_customer_leaves_all_files_with_all_earlier_events(
    connection: Connection, customers: CustomerStore, now_us: int, tmp_path: Path
) -> None:
    """A fast clock hides nothing: what was received before goes, whenever it says it was."""
    log = ExposureLog(connection)
    earlier = [event("e1", at_us=now_us), event("fast", at_us=now_us + MINUTE_US)]
    await customers.append([*earlier, event("other", at_us=now_us, customer_id="c2")])
    await log.append(
        [PackedExposure.from_record(replace(RECORD, recommendation_id="old", now_us=now_us))]
    )
    await export(connection, tmp_path)
    await customers.append([event("e2", at_us=now_us)])
    erased_us = (await customers.erase("c1")).erased_us
    await customers.append([event("back", at_us=erased_us + 1)])
    new = replace(RECORD, recommendation_id="new", now_us=erased_us + 1)
    await log.append([PackedExposure.from_record(new)])

    summary = await export(connection, tmp_path)

    answers = pl.read_parquet(tmp_path / "exposures.parquet")["recommendation_id"]
    assert exported(tmp_path) == ["back", "other"]
    assert answers.to_list() == ["new"]
    assert (summary.erasures, summary.erased_events, summary.erased_exposures) == (1, 3, 1)
    assert pl.read_parquet(tmp_path / "erasures.parquet").to_dicts() == [
        {"customer_id": "c1", "erased_at": from_us(erased_us)}
    ]
    in_parts = pl.read_parquet(list((tmp_path / PARTS).glob("events-*.parquet")))["event_id"]
    assert sorted(in_parts) == ["back", "other"]


async def test_a_run_after_an_erasure_goes_on_where_the_last_one_ended(
    connection: Connection, customers: CustomerStore, now_us: int, tmp_path: Path
) -> None:
    await customers.append([event("e1", at_us=now_us)])
    await customers.erase("c1")
    await export(connection, tmp_path)
    await customers.append([event("e2", at_us=now_us, customer_id="c2")])

    summary = await export(connection, tmp_path)

    assert (summary.events, summary.erased_events) == (1, 0)
    assert exported(tmp_path) == ["e2"]


async def test_merges_are_exported_and_those_of_erased_customers_are_not(
    connection: Connection, customers: CustomerStore, now_us: int, tmp_path: Path
) -> None:
    merges = MergeStore(connection)
    of_guests = [event(f"of {one}", at_us=now_us, customer_id=one) for one in ("v1", "v2")]
    await customers.append(of_guests)
    kept, _ = await merges.merge("v1", "c1"), await merges.merge("v2", "c2")
    await customers.append([event("later", at_us=now_us, customer_id="v1")])
    await customers.erase("v2")

    summary = await export(connection, tmp_path)

    assert (summary.merges, summary.erasures, summary.erased_merges) == (2, 2, 1)
    rows = pl.read_parquet(tmp_path / "merges.parquet").rows()
    assert rows == [("v1", "c1", from_us(kept.merged_us))]
    written = pl.read_parquet(tmp_path / "events.parquet").select("event_id", "customer_id").rows()
    assert sorted(written) == [("later", "c1"), ("of v1", "v1")]


async def test_a_store_that_is_filled_from_an_export_knows_its_merges(
    connection: Connection, customers: CustomerStore, now_us: int, tmp_path: Path
) -> None:
    """Windows, profiles and redirection are as before; events sent again count once."""
    sent = [
        event("e1", at_us=now_us - 3 * DAY_US, customer_id="v1"),
        event("e2", at_us=now_us - MINUTE_US, customer_id="v1"),
        event("e3", at_us=now_us, customer_id="c1"),
    ]
    await customers.append(sent)
    await MergeStore(connection).merge("v1", "c1")
    before = await customers.read("v1")
    await Stores.over(connection).sales.put([sale("s1")])
    await export(connection, tmp_path)
    await connection.execute("FLUSHALL", doing="losing the store")

    stores = Stores.over(connection)
    summary = await fill_from_dataset(
        read_dataset(tmp_path), stores, bundle=None, state_dir=tmp_path, progress=Progress()
    )

    assert (summary.customers, summary.merges, summary.refused_merges) == (1, 1, 0)
    after = await customers.read("v1")
    assert after.window.pack() == before.window.pack()
    assert after.merges is not None
    again = await customers.append(sent)
    assert {one.status for one in again} == {EventStatus.DUPLICATE}
