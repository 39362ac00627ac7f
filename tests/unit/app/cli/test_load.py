"""A dataset fills the store, as if the store had received its events itself."""

import json
from collections import Counter, defaultdict
from collections.abc import Collection, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from app.catalogue.catalogue_version import CatalogueVersion, Source
from app.catalogue.snapshot_archive import SnapshotArchive
from app.cli.console import Progress
from app.cli.fill_store import LoadSummary, fill_from_dataset, fill_profiles
from app.cli.load import report
from app.cli.withdraw import WithdrawalError
from app.export import export
from app.resources import SNAPSHOTS
from app.stores.connection import Connection
from app.stores.count import EventCounts
from app.stores.dataset_loader import loaded_counts, loaded_customers
from app.stores.event_outcome import EventStatus
from app.stores.keys import CUSTOMER_TTL_S, N_PARTITIONS, PICTURES, CustomerKeys
from app.stores.picture import RemovedPicture
from app.stores.sale import Place, SaleStore
from app.stores.store import Stores
from models.catalogue.catalogue import closing_us
from models.catalogue.event_counts import N_KINDS, grid_floor
from models.catalogue.snapshot import Snapshot
from models.dataset import EventTable, read_dataset
from models.dataset.events_by_part import ReadingByPart
from models.dataset.profile_file import PROFILES_FILE, CustomerProfile, profiles_to_bytes
from models.domain.event import KIND, KINDS, Event, EventType, from_us, key, to_us
from models.domain.profile import Profile, night_floor
from models.domain.sale import Sale
from models.domain.units import HOUR_US, SECOND_US
from models.pictures.topics import Topics
from tests.contract.visit import DAY_US, MINUTE_US, append_at, event, visits, window_of


@pytest.fixture
def url(embedded_url: str) -> str:
    return embedded_url


@pytest.fixture
async def stores(connection: Connection) -> Stores:
    return Stores.over(connection)


@pytest.fixture
async def now_us(stores: Stores) -> int:
    return await stores.server.time_us()


@pytest.fixture
def events(rng: np.random.Generator, now_us: int) -> list[Event]:
    """Visits of twelve customers; the first ones have more than a window holds."""
    sizes = [301, 180, *(int(n) for n in rng.integers(1, 60, size=10))]
    earlier_us = now_us - 10 * MINUTE_US
    return [
        e
        for c, n in enumerate(sizes)
        for e in visits(rng, n, customer_id=f"c{c}", now_us=earlier_us)
    ]


def write(directory: Path, events: list[Event], *, delay_us: int = 0) -> Path:
    """Write a dataset of seven sales whose events are received some time after they happen."""
    rows = [
        {**e.model_dump(mode="json"), "at": e.at, "received_at": from_us(to_us(e.at) + delay_us)}
        for e in events
    ]
    utc = pl.Datetime("us", "UTC")
    times = {"at": utc, "received_at": utc}
    pl.DataFrame(rows, schema_overrides=times).write_parquet(directory / "events.parquet")
    opens = from_us(to_us(min(e.at for e in events)) - DAY_US)
    sales = {"sale_id": [f"s{i}" for i in range(7)], "opens_at": [opens] * 7}
    pl.DataFrame(sales, schema_overrides={"opens_at": utc}).write_parquet(
        directory / "sales.parquet"
    )
    return directory


async def load_from(directory: Path, stores: Stores) -> LoadSummary:
    """Load without a catalogue of this machine, as its directory holds a dataset only."""
    return await fill_from_dataset(
        read_dataset(directory), stores, bundle=None, state_dir=directory, progress=Progress()
    )


def as_counter(counts: EventCounts) -> Counter[tuple[int, int, int]]:
    total: Counter[tuple[int, int, int]] = Counter()
    columns = (counts.sale_keys, counts.kinds, counts.hours, counts.counts)
    for sale_key, kind, hour, n in zip(*(c.tolist() for c in columns), strict=True):
        total[sale_key, kind, hour] += n
    return total


def by_customer(events: list[Event]) -> dict[str, list[Event]]:
    grouped: defaultdict[str, list[Event]] = defaultdict(list)
    for e in events:
        grouped[e.customer_id].append(e)
    return grouped


def test_a_log_that_is_read_by_part_loads_the_same(
    events: list[Event], now_us: int, tmp_path: Path
) -> None:
    directory = write(tmp_path, events)

    whole = read_dataset(directory).events
    parted = read_dataset(directory, by_part=ReadingByPart(tmp_path / "scratch", 3)).events

    assert isinstance(parted.at_us, np.memmap)
    assert customers_of(parted, now_us) == customers_of(whole, now_us)
    unknown = [None] * N_PARTITIONS
    counts = loaded_counts(whole, now_us, first_live_us=unknown)
    assert loaded_counts(parted, now_us, first_live_us=unknown) == counts


def customers_of(events: EventTable, now_us: int) -> list[tuple[object, ...]]:
    """Return what a load puts of each customer."""
    return [
        (each.customer_id, each.window.pack(), each.profile.pack(), each.last_us, *each.recent.flat)
        for each in loaded_customers(events, now_us)
    ]


async def test_windows_are_those_of_the_events(
    stores: Stores, events: list[Event], tmp_path: Path
) -> None:
    summary = await load_from(write(tmp_path, events), stores)

    assert (summary.customers, summary.events) == (12, len(events))
    for customer_id, own in by_customer(events).items():
        state = await stores.customers.read(customer_id)
        assert state.window.pack() == window_of(own).pack()


async def test_what_files_hold_of_the_last_two_days_is_known_where_it_is_sent_again(
    stores: Stores, now_us: int, tmp_path: Path
) -> None:
    """A store that was emptied is filled from an export, and consumers send their last hours."""
    kinds = (EventType.IMPRESSION, EventType.CLICK)
    own = [
        event(f"{kind}{i}", at_us=now_us - (i + 1) * MINUTE_US, sale_id=f"s{i % 7}", type=kind)
        for kind in kinds
        for i in range(200)
    ]
    await load_from(write(tmp_path, own), stores)

    outcomes = await stores.customers.append(own[::-1])

    assert {outcome.status for outcome in outcomes} == {EventStatus.DUPLICATE}


async def test_profiles_total_what_was_received_before_the_night(
    stores: Stores, events: list[Event], now_us: int, tmp_path: Path
) -> None:
    await load_from(write(tmp_path, events), stores)

    night_us = night_floor(now_us)
    for customer_id, own in by_customer(events).items():
        old = [e for e in own if to_us(e.at) < night_us]
        kinds = Counter(e.type for e in old)
        profile = (await stores.customers.read(customer_id)).profile
        assert profile.counts == tuple(kinds[kind] for kind in KINDS)
        assert profile.first_us == min((to_us(e.at) for e in old), default=0)


async def test_counts_are_those_of_the_events(
    stores: Stores, events: list[Event], now_us: int, tmp_path: Path
) -> None:
    await load_from(write(tmp_path, events), stores)

    counts = await stores.counts.since(0, until_us=grid_floor(now_us))

    once = counted(events)
    assert len(once) < len(events)
    assert as_counter(counts) == Counter(
        (key(sale_id), KIND[kind], hour) for _, sale_id, kind, hour in once
    )


def counted(events: list[Event]) -> set[tuple[str, str, EventType, int]]:
    """What of events counts: each customer once per sale, type and hour."""
    return {
        (e.customer_id, str(e.sale_id), e.type, to_us(e.at) // HOUR_US)
        for e in events
        if KIND[e.type] < N_KINDS
    }


class StoppedError(Exception):
    """A load that comes no further."""


class NoSales(SaleStore):
    """Takes no sale."""

    async def put(self, sales: Sequence[Sale], *, without: Collection[Place] = ()) -> int:
        """Stop."""
        del sales, without
        raise StoppedError


async def test_a_reader_of_a_loaded_sale_finds_all_its_counts(
    tmp_path: Path, stores: Stores, events: list[Event], now_us: int
) -> None:
    """A worker reads whole hours once: counts that came after the sales would be missed."""
    until_us = grid_floor(now_us)
    no_sales = NoSales(stores.connection)

    with pytest.raises(StoppedError):
        await load_from(write(tmp_path, events), replace(stores, sales=no_sales))

    found = as_counter(await stores.counts.since(0, until_us=until_us))
    assert sum(found.values()) == len(counted([e for e in events if to_us(e.at) < until_us]))


async def test_loading_again_changes_nothing(
    stores: Stores, events: list[Event], now_us: int, tmp_path: Path
) -> None:
    directory = write(tmp_path, events)
    await load_from(directory, stores)
    before = await contents(stores, events, now_us)

    await load_from(directory, stores)

    assert await contents(stores, events, now_us) == before


async def test_a_load_vouches_for_the_whole_catalogue(
    stores: Stores, events: list[Event], tmp_path: Path
) -> None:
    await load_from(write(tmp_path, events), stores)

    changes = await stores.sales.changes(0)

    assert changes.vouched == changes.version > 0


async def contents(stores: Stores, events: list[Event], now_us: int) -> list[object]:
    states = [await stores.customers.read(c) for c in by_customer(events)]
    counts = await stores.counts.since(0, until_us=grid_floor(now_us))
    sales = (await stores.sales.changes(0)).sales
    windows = [(state.window.pack(), state.profile) for state in states]
    return [windows, as_counter(counts), sales]


async def test_what_came_in_live_is_not_counted_again_when_its_export_is_loaded(
    stores: Stores, events: list[Event], now_us: int, tmp_path: Path
) -> None:
    """The loop: serve, export, load. Live events keep their live counts, and only those."""
    history = tmp_path / "history"
    history.mkdir()
    await load_from(write(history, events), stores)
    # A load counts events of before midnight in profiles, which live ones join by the next night.
    live_us = max(now_us - 5 * MINUTE_US, now_us - now_us % DAY_US)
    live = visits(np.random.default_rng(1), 50, customer_id="c1", now_us=live_us)
    live = [e.model_copy(update={"event_id": f"live-{e.event_id}"}) for e in live]
    await append_at(stores.connection, live, received_us=live_us)
    before = await contents(stores, events, now_us)

    exported = tmp_path / "exported"
    await export(stores.connection, exported)
    joined = [pl.read_parquet(folder / "events.parquet") for folder in (history, exported)]
    pl.concat(joined, how="diagonal_relaxed").write_parquet(history / "events.parquet")
    await load_from(history, stores)

    counts = await stores.counts.since(0, until_us=grid_floor(now_us))
    received = [e.model_copy(update={"at": from_us(live_us)}) for e in live]
    assert counts.counts.sum() == len(counted(events)) + len(counted(received))
    assert await contents(stores, events, now_us) == before


async def test_what_is_not_received_yet_is_left_out(
    stores: Stores, events: list[Event], now_us: int, tmp_path: Path
) -> None:
    later = write(tmp_path, events, delay_us=6 * DAY_US)

    summary = await load_from(later, stores)

    counts = await stores.counts.since(0, until_us=grid_floor(now_us))
    assert (summary.customers, summary.events) == (0, len(events))
    assert as_counter(counts) == Counter()


async def test_a_loaded_customer_expires_after_their_last_event(
    stores: Stores, connection: Connection, now_us: int, tmp_path: Path
) -> None:
    at_us = now_us - 80 * DAY_US
    await load_from(write(tmp_path, [event("e1", at_us=at_us)]), stores)

    keys = CustomerKeys.for_customer("c1")
    for name in (keys.window, keys.profile):
        expires_s = await connection.execute("EXPIRETIME", name, doing="looking")
        assert expires_s == at_us // SECOND_US + CUSTOMER_TTL_S


async def test_a_customer_who_came_back_does_not_expire_earlier(
    stores: Stores, connection: Connection, now_us: int, tmp_path: Path
) -> None:
    await stores.customers.append([event("now", at_us=now_us)])

    await load_from(write(tmp_path, [event("e1", at_us=now_us - 80 * DAY_US)]), stores)

    ttl_s = await connection.execute("TTL", CustomerKeys.for_customer("c1").window, doing="looking")
    assert ttl_s == pytest.approx(CUSTOMER_TTL_S, abs=10)
    assert len((await stores.customers.read("c1")).window) == 2


async def test_an_empty_profile_takes_no_memory(
    stores: Stores, connection: Connection, now_us: int, tmp_path: Path
) -> None:
    await load_from(write(tmp_path, [event("e1", at_us=night_floor(now_us))]), stores)

    assert (await stores.customers.read("c1")).profile == Profile.empty()
    assert (
        await connection.execute("EXISTS", CustomerKeys.for_customer("c1").profile, doing="looking")
        == 0
    )


async def test_attributes_are_loaded_with_profiles_and_without_events(
    stores: Stores, now_us: int, tmp_path: Path
) -> None:
    directory = write(tmp_path, [event("e1", at_us=now_us - 2 * DAY_US)])
    names = ["c1", "new", "bare"]
    rows = {"customer_id": names, "age": [41.0, 29.0, None]}
    pl.DataFrame(rows).write_parquet(directory / "customers.parquet")

    summary = await load_from(directory, stores)

    known, new, bare = [await stores.customers.describe(name) for name in names]
    assert summary.customers == 2
    assert (known.profile.attributes, sum(known.profile.counts)) == ({"age": 41.0}, 1)
    assert new.profile == replace(Profile.empty(), attributes={"age": 29.0})
    assert (new.expires_us or 0) - now_us == pytest.approx(CUSTOMER_TTL_S * SECOND_US, abs=10e6)
    assert bare.profile == Profile.empty()


async def test_a_dataset_without_events_of_a_customer_leaves_their_totals(
    stores: Stores, now_us: int, tmp_path: Path
) -> None:
    old = event("e1", at_us=now_us - 2 * DAY_US)
    await load_from(write(tmp_path, [old]), stores)
    totals = (await stores.customers.read("c1")).profile
    directory = write(tmp_path, [old.model_copy(update={"customer_id": "c2"})])
    pl.DataFrame({"customer_id": ["c1", "c3"], "age": [41.0, 29.0]}).write_parquet(
        directory / "customers.parquet"
    )

    await load_from(directory, stores)

    assert sum(totals.counts) == 1
    found = (await stores.customers.read("c1")).profile
    assert found == replace(totals, attributes={"age": 41.0})


async def test_refused_rows_are_counted_by_reason(
    stores: Stores, now_us: int, tmp_path: Path
) -> None:
    old = event("e1", at_us=now_us - 95 * DAY_US)
    unknown = event("e2", at_us=now_us - 95 * DAY_US, sale_id="nowhere")

    summary = await load_from(write(tmp_path, [old, unknown], delay_us=91 * DAY_US), stores)

    assert summary.events == 0
    assert summary.refused == {"too_old": 2}


async def test_files_do_not_bring_an_erased_customer_back(
    stores: Stores, now_us: int, tmp_path: Path
) -> None:
    before = [event(f"e{day}", at_us=now_us - day * DAY_US) for day in range(1, 4)]
    neighbour = event("n1", at_us=now_us - 2 * DAY_US, customer_id="c2")
    await stores.customers.erase("c1")

    summary = await load_from(write(tmp_path, [*before, neighbour]), stores)

    erased, kept = await stores.customers.read("c1"), await stores.customers.read("c2")
    assert summary.erased == 3
    assert (len(erased.window), erased.profile) == (0, Profile.empty())
    assert len(kept.window) == 1


NIGHT = Profile(first_us=1, counts=(5, 4, 3, 2, 1, 0, 0, 0, 0, 0))


async def load_night(stores: Stores, folder: Path, *customers: CustomerProfile) -> int:
    path = folder / PROFILES_FILE
    path.write_bytes(profiles_to_bytes(customers))
    return await fill_profiles(path, stores, progress=Progress())


async def test_a_night_replaces_profiles_and_leaves_windows(
    stores: Stores, events: list[Event], now_us: int, tmp_path: Path
) -> None:
    await load_from(write(tmp_path, events), stores)
    before = await stores.customers.read("c0")

    n_customers = await load_night(stores, tmp_path, CustomerProfile("c0", NIGHT, now_us - 1))

    after, other = await stores.customers.read("c0"), await stores.customers.read("c1")
    assert n_customers == 1
    assert (after.profile, after.window.pack()) == (NIGHT, before.window.pack())
    assert other.profile != NIGHT


async def test_a_night_does_not_bring_back_who_was_erased_since(
    stores: Stores, now_us: int, tmp_path: Path
) -> None:
    await stores.customers.erase("c0")

    await load_night(stores, tmp_path, CustomerProfile("c0", NIGHT, now_us - 1))

    assert (await stores.customers.read("c0")).profile == Profile.empty()


async def test_a_night_keeps_no_customer_longer_than_their_last_event_does(
    stores: Stores, now_us: int, tmp_path: Path
) -> None:
    ages_s = {"old": CUSTOMER_TTL_S + 60, "young": CUSTOMER_TTL_S - 3_600}
    known = [
        CustomerProfile(name, NIGHT, now_us - age_s * SECOND_US) for name, age_s in ages_s.items()
    ]

    await load_night(stores, tmp_path, *known)

    found = {name: await stores.customers.describe(name) for name in ages_s}
    expires_us = found["young"].expires_us
    assert found["old"].profile == Profile.empty()
    assert expires_us is not None
    assert abs(expires_us - (known[1].last_us + CUSTOMER_TTL_S * SECOND_US)) <= SECOND_US


async def test_a_dataset_without_an_event_yet_is_loaded(stores: Stores, tmp_path: Path) -> None:
    """The first export of a new shop: an empty table, whose columns may have no type."""
    opens = pl.Series("opens_at", [from_us(0)]).cast(pl.Datetime("us", "UTC"))
    pl.DataFrame([pl.Series("sale_id", ["s1"]), opens]).write_parquet(tmp_path / "sales.parquet")
    names = ["event_id", "customer_id", "sale_id", "type", "at"]
    pl.DataFrame({name: [] for name in names}).write_parquet(tmp_path / "events.parquet")

    summary = await load_from(tmp_path, stores)

    assert (summary.sales, summary.events, summary.customers) == (1, 0, 0)


def dump(directory: Path, *sale_ids: str, opens: str = "2026-01-01T00:00:00Z") -> Path:
    """Write a dataset of these sales, without visits but for one event."""
    directory.mkdir(exist_ok=True)
    rows = "".join(f"{sale_id},{opens}\n" for sale_id in sale_ids)
    (directory / "sales.csv").write_text(f"sale_id,opens_at\n{rows}", encoding="utf-8")
    known = sale_ids[0]
    event = f"e1,c1,{known},click,2026-01-02T00:00:00Z\n"
    header = "event_id,customer_id,sale_id,type,at\n"
    (directory / "events.csv").write_text(header + event, encoding="utf-8")
    return directory


async def load_full(directory: Path, stores: Stores, *, is_confirmed: bool = False) -> LoadSummary:
    return await fill_from_dataset(
        read_dataset(directory),
        stores,
        bundle=None,
        state_dir=directory,
        progress=Progress(),
        is_full=True,
        is_confirmed=is_confirmed,
    )


async def current(stores: Stores) -> list[str]:
    now_us = await stores.server.time_us()
    sales = (await stores.sales.changes(0)).sales
    return sorted(sale.sale_id for sale in sales if closing_us(sale) > now_us)


async def test_a_load_names_the_current_sales_that_it_does_not_hold(
    stores: Stores, tmp_path: Path
) -> None:
    await load_from(dump(tmp_path, "s1", "s2", "s3"), stores)

    summary = await load_from(dump(tmp_path, "s1"), stores)

    assert (summary.absent, summary.first_absent, summary.withdrawn) == (2, ("s2", "s3"), 0)
    assert await current(stores) == ["s1", "s2", "s3"]


async def test_a_load_deletes_unreadable_pictures_of_the_sales_that_it_holds(
    stores: Stores, tmp_path: Path
) -> None:
    await load_from(dump(tmp_path, "s1", "s2"), stores)
    await stores.sales.put_pictures([RemovedPicture("s1", 1), RemovedPicture("s2", 1)])
    broken = ("HSET", PICTURES, "1s1", b"abc", "1s2", b"abc")
    await stores.connection.execute(*broken, doing="breaking pictures")

    await load_from(dump(tmp_path, "s1"), stores)

    assert list((await stores.sales.changes(0)).unreadable_pictures) == [("s2", 1)]


async def test_a_full_load_withdraws_what_it_does_not_hold_and_a_later_one_opens_it_again(
    stores: Stores, tmp_path: Path
) -> None:
    await load_full(dump(tmp_path, "s1", "s2", "s3"), stores)

    summary = await load_full(dump(tmp_path, "s1", "s3"), stores)

    assert (summary.withdrawn, summary.first_absent) == (1, ("s2",))
    assert await current(stores) == ["s1", "s3"]
    again = await load_full(dump(tmp_path, "s1", "s3"), stores)
    assert (again.absent, again.withdrawn) == (0, 0)
    await load_full(dump(tmp_path, "s1", "s2", "s3"), stores)
    assert await current(stores) == ["s1", "s2", "s3"]


async def test_a_load_names_the_sales_that_it_opens_again(stores: Stores, tmp_path: Path) -> None:
    """The website sold one out, and closed another, after the files were written."""
    await load_from(dump(tmp_path, "s1", "s2", "s3"), stores)
    known = await stores.sales.read_many(["s1", "s2"])
    ended = from_us(await stores.server.time_us() - SECOND_US)
    sold_out = known["s1"].model_copy(update={"stock": 0})
    closed = known["s2"].model_copy(update={"closes_at": ended})
    await stores.sales.put([sold_out, closed])

    summary = await load_from(dump(tmp_path, "s1", "s2", "s3"), stores)
    again = await load_from(dump(tmp_path, "s1", "s2", "s3"), stores)

    assert (summary.reopened, summary.first_reopened) == (2, ("s1", "s2"))
    assert again.reopened == 0


async def save(stores: Stores, state_dir: Path) -> dict[str, Sale]:
    """Save the catalogue as a worker of this machine does, and return its sales."""
    changes = await stores.sales.changes(0)
    sales = {sale.sale_id: sale for sale in changes.sales}
    content = Snapshot.from_sales(sales, {})
    version = CatalogueVersion.from_content(
        content, content.catalogue(Topics.none()), source=Source.STORE, scorer=None
    )
    archive = SnapshotArchive(state_dir / SNAPSHOTS)
    archive.remember(
        version,
        generation=changes.generation,
        version=changes.version,
        deleted=changes.deleted,
    )
    return sales


async def over(stores: Stores) -> list[Sale]:
    """Sell out one of three loaded sales, close another, and withdraw the third."""
    known = await stores.sales.read_many(["s1", "s2", "s3"])
    ended = from_us(await stores.server.time_us() - SECOND_US)
    changes: dict[str, dict[str, object]] = {
        "s1": {"stock": 0},
        "s2": {"closes_at": ended},
        "s3": {"stock": 0, "sold_out_at": ended},
    }
    return [known[name].model_copy(update=change) for name, change in changes.items()]


async def test_a_load_of_old_files_into_a_store_that_lost_its_sales_sells_none_again(
    stores: Stores, tmp_path: Path
) -> None:
    """Workers of this machine saved their last catalogue; one sale was put again since the loss."""
    files = dump(tmp_path / "files", "s1", "s2", "s3", "s4")
    await load_from(files, stores)
    await stores.sales.put(await over(stores))
    before = await save(stores, tmp_path / "state")
    await stores.connection.execute("FLUSHALL", doing="losing everything")
    await stores.sales.put([before["s1"]])

    dataset = read_dataset(files)
    first, second = [
        await fill_from_dataset(
            dataset, stores, bundle=None, state_dir=tmp_path / "state", progress=Progress()
        )
        for _ in range(2)
    ]

    assert (first.kept_closed, first.first_kept_closed) == (3, ("s1", "s2", "s3"))
    assert (first.reopened, first.unknown_loss) == (0, False)
    # The store is complete by then: files count again, and each sale is named.
    assert (second.reopened, second.kept_closed) == (3, 0)
    assert second.first_reopened == ("s1", "s2", "s3")


async def test_a_kept_sale_is_stored_as_it_was_last_known(stores: Stores, tmp_path: Path) -> None:
    files = dump(tmp_path / "files", "s1", "s2", "s3", "s4")
    await load_from(files, stores)
    await stores.sales.put(await over(stores))
    before = await save(stores, tmp_path / "state")
    await stores.connection.execute("FLUSHALL", doing="losing everything")

    await fill_from_dataset(
        read_dataset(files), stores, bundle=None, state_dir=tmp_path / "state", progress=Progress()
    )

    assert await current(stores) == ["s4"]
    known = [name for name in before if name != "s4"]
    assert await stores.sales.read_many(known) == {name: before[name] for name in known}


async def test_a_sale_that_opens_at_another_time_is_another_one(
    stores: Stores, tmp_path: Path
) -> None:
    await load_from(dump(tmp_path / "files", "s1", "s2", "s3"), stores)
    await stores.sales.put(await over(stores))
    await save(stores, tmp_path / "state")
    await stores.connection.execute("FLUSHALL", doing="losing everything")
    new = dump(tmp_path / "new", "s1", opens="2026-02-01T00:00:00Z")

    summary = await fill_from_dataset(
        read_dataset(new), stores, bundle=None, state_dir=tmp_path / "state", progress=Progress()
    )

    assert (summary.reopened, summary.kept_closed) == (1, 0)
    assert await current(stores) == ["s1"]


async def load_known(files: Path, stores: Stores, state_dir: Path) -> LoadSummary:
    """Load with the last catalogue of this machine."""
    return await fill_from_dataset(
        read_dataset(files), stores, bundle=None, state_dir=state_dir, progress=Progress()
    )


async def test_a_load_of_old_files_into_an_emptied_store_brings_back_no_deleted_sale(
    stores: Stores, tmp_path: Path
) -> None:
    """One that was put again after its deletion is open."""
    files, state = dump(tmp_path / "files", "s1", "s2", "s3"), tmp_path / "state"
    await load_from(files, stores)
    known = await stores.sales.read_many(["s3"])
    await stores.sales.delete("s2")
    await stores.sales.delete("s3")
    await stores.sales.put([known["s3"]])
    await save(stores, state)
    await stores.connection.execute("FLUSHALL", doing="losing everything")

    first = await load_known(files, stores, state)

    assert (first.kept_deleted, first.first_kept_deleted, first.reopened) == (1, ("s2",), 0)
    assert await current(stores) == ["s1", "s3"]
    # The store is complete by then: files count again, and each sale is named.
    second = await load_known(files, stores, state)
    assert (second.kept_deleted, second.first_reopened) == (0, ("s2",))
    assert await current(stores) == ["s1", "s2", "s3"]


@pytest.mark.parametrize("held", [("s1", "s2", "s3", "s4"), ("s1", "s2")])
async def test_a_load_into_a_restored_backup_ends_again_what_ended_since(
    stores: Stores, tmp_path: Path, held: tuple[str, ...]
) -> None:
    """Whether the files hold them or not: s3 sold out, and s4 was deleted."""
    state = tmp_path / "state"
    await load_from(dump(tmp_path / "all", "s1", "s2", "s3", "s4"), stores)
    names = ("json", "changes", "markets", "version", "generation", "vouched")
    keys = [f"s:{{sales}}:{name}" for name in names]
    dumps = await stores.connection.execute_many([("DUMP", k) for k in keys], doing="saving")
    known = await stores.sales.read_many(["s3"])
    sold_out = known["s3"].model_copy(update={"stock": 0})
    await stores.sales.put([sold_out])
    await stores.sales.delete("s4")
    await save(stores, state)
    await stores.connection.execute("FLUSHALL", doing="losing everything")
    restored = [
        ("RESTORE", key, 0, one)
        for key, one in zip(keys, dumps, strict=True)
        if isinstance(one, bytes)
    ]
    await stores.connection.execute_many(restored, doing="restoring")
    assert await current(stores) == ["s1", "s2", "s3", "s4"]

    summary = await load_known(dump(tmp_path / "held", *held), stores, state)

    assert (summary.first_kept_closed, summary.first_kept_deleted) == (("s3",), ("s4",))
    assert (summary.reopened, summary.absent) == (0, 0)
    assert await current(stores) == ["s1", "s2"]
    assert await stores.sales.read_many(["s3", "s4"]) == {"s3": sold_out}


async def test_a_load_names_a_deleted_sale_that_it_opens_again(
    stores: Stores, tmp_path: Path
) -> None:
    await load_from(dump(tmp_path, "s1", "s2"), stores)
    await stores.sales.delete("s2")

    summary = await load_from(dump(tmp_path, "s1", "s2"), stores)
    again = await load_from(dump(tmp_path, "s1", "s2"), stores)

    assert (summary.first_reopened, again.reopened) == (("s2",), 0)


async def test_a_machine_that_does_not_know_what_the_store_lost_says_so(
    stores: Stores, tmp_path: Path
) -> None:
    files = dump(tmp_path, "s1", "s2")
    await load_from(files, stores)
    changes = await stores.sales.changes(0)
    await stores.sales.distrust(changes.generation, changes.version + 1)

    marked, whole = await load_from(files, stores), await load_from(files, stores)

    assert (marked.unknown_loss, whole.unknown_loss) == (True, False)


def test_the_report_of_a_load_warns_of_what_it_opened_again_and_is_in_words(
    capsys: pytest.CaptureFixture[str],
) -> None:
    summary = LoadSummary(
        sales=3,
        pictures=0,
        known_pictures=892,
        broken_pictures=0,
        customers=1,
        events=9,
        newest_event="2013-05-09T18:30:00+00:00",
        days_ago=14.1,
        erased=0,
        merges=0,
        refused_merges=0,
        refused={},
        absent=0,
        first_absent=(),
        withdrawn=0,
        reopened=2,
        first_reopened=("s1", "s2"),
        kept_closed=1,
        first_kept_closed=("s3",),
        kept_deleted=1,
        first_kept_deleted=("s4",),
        unknown_loss=False,
        seconds=1.5,
    )

    report(summary, as_json=False)
    said = capsys.readouterr()
    report(replace(summary, refused={"future": 2, "too_old": 1}, reopened=0), as_json=True)
    as_json = json.loads(capsys.readouterr().out)

    assert "warning: 2 sales, such as s1, s2: these were sold out, closed, withdrawn or" in said.err
    assert "the newest event is 14.1 days old" in said.err
    assert "replay that time with `serve --as-of 2013-05-09T18:30:00`" in said.err
    assert "warning: 1 sales, such as s3: these were sold out, closed or withdrawn" in said.err
    assert "warning: 1 sales, such as s4: these were deleted before the store" in said.err
    lines = ("pictures: 0 new (892 known)", "refused: none", "absent: 0", "reopened: 2, such")
    for line in (*lines, "kept_closed: 1, such as s3", "kept_deleted: 1, such as s4"):
        assert f"\n{line}" in said.out
    assert (as_json["refused"], as_json["known_pictures"]) == ({"future": 2, "too_old": 1}, 892)


async def test_a_full_load_withdraws_what_is_still_to_open(stores: Stores, tmp_path: Path) -> None:
    await load_full(dump(tmp_path, "s1", "s2", "s3", opens="2100-01-01T00:00:00Z"), stores)

    summary = await load_full(dump(tmp_path, "s1", "s2"), stores)

    assert summary.withdrawn == 1
    assert await current(stores) == ["s1", "s2"]


async def test_a_full_load_of_less_than_half_changes_nothing_unless_confirmed(
    stores: Stores, tmp_path: Path
) -> None:
    await load_full(dump(tmp_path, "s1", "s2", "s3"), stores)
    half = dump(tmp_path, "s4", "s1")

    with pytest.raises(WithdrawalError, match=r"2 of 3 current sales.*s2, s3.*add --yes"):
        await load_full(half, stores)

    assert await current(stores) == ["s1", "s2", "s3"]
    await load_full(half, stores, is_confirmed=True)
    assert await current(stores) == ["s1", "s4"]


async def test_a_faulty_row_of_a_full_dump_withdraws_no_sale(
    stores: Stores, tmp_path: Path
) -> None:
    await load_full(dump(tmp_path, "s1", "s2", "s3"), stores)
    broken = dump(tmp_path, "s1", "s2", "s3")
    text = (broken / "sales.csv").read_text(encoding="utf-8")
    (broken / "sales.csv").write_text(text.replace("s2,2026", "s2,soon"), encoding="utf-8")

    with pytest.raises(WithdrawalError, match="1 rows of sales were left out"):
        await load_full(broken, stores, is_confirmed=True)

    assert await current(stores) == ["s1", "s2", "s3"]
