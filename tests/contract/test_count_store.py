"""The contract of the count store, on the embedded server and on Redis."""

from collections import Counter

import numpy as np
import pytest
from structlog.testing import capture_logs

from app.catalogue.count_history import CountHistory, by_row
from app.stores.connection import Connection
from app.stores.count import LOADED, CountStore, EventCounts
from app.stores.customer import CustomerStore
from app.stores.dataset_loader import loaded_counts, loaded_customers
from app.stores.event_outcome import OUTCOMES
from app.stores.keys import N_PARTITIONS, counts_prefix, history_hour, partition
from app.stores.server import StoreServer
from models.catalogue.event_counts import HALF_LIVES_HOURS, N_KINDS, grid_floor
from models.domain.event import KINDS, PURCHASE, Event, EventType, key, to_us
from models.domain.units import HOUR_US
from tests.contract.visit import MINUTE_US, append_at, event, sale_key_of, visits
from tests.logs import NOON, Row, catalogue, event_id, event_table
from training.examples.replay import CountReplay

CLICK = KINDS.index(EventType.CLICK)


def as_counter(counts: EventCounts) -> Counter[tuple[int, int, int]]:
    """Counts by sale key, type code and hour, repeated entries summed."""
    total: Counter[tuple[int, int, int]] = Counter()
    columns = (counts.sale_keys, counts.kinds, counts.hours, counts.counts)
    for sale_key, kind, hour, n in zip(*(c.tolist() for c in columns), strict=True):
        total[sale_key, kind, hour] += n
    return total


async def click_at(connection: Connection, received_us: int, *, event_id: str) -> None:
    """Append a click on ``s1`` by a store whose clock stands at a moment."""
    click = event(event_id, at_us=received_us)
    await append_at(connection, [click], received_us=received_us)


def purchases_and_refunds(start_us: int) -> list[tuple[Event, int]]:
    """Events of five hours and when each is received; some are late, some stamped ahead."""
    rng = np.random.default_rng(7)
    log: list[tuple[Event, int]] = []
    for n, minute in enumerate(np.sort(rng.integers(0, 300, size=120)).tolist()):
        received_us = start_us + minute * MINUTE_US + n
        late_us = int(rng.integers(-4, 200)) * MINUTE_US if n % 4 == 0 else 0
        of = event(
            event_id(n),
            at_us=received_us - late_us,
            sale_id=f"s{rng.integers(2)}",
            customer_id=f"c{rng.integers(3)}",
            type=EventType.PURCHASE if rng.integers(2) else EventType.REFUND,
            quantity=int(rng.choice([1, 2, 3, 65_535, 65_536, 100_000])) if n % 2 else None,
        )
        log.append((of, received_us))
    return log


def row_of(received: tuple[Event, int]) -> Row:
    """The same event in a file."""
    of, received_us = received
    return Row(
        kind=of.type,
        at=to_us(of.at) - NOON,
        received=received_us - NOON,
        customer=of.customer_id,
        sale=str(of.sale_id),
        quantity=of.quantity,
    )


class CountStoreContract:
    """Mix in and provide ``url``, of a server that is emptied."""

    @pytest.fixture
    def store(self, connection: Connection) -> CountStore:
        return CountStore(connection)

    @pytest.fixture
    async def now_us(self, connection: Connection) -> int:
        return await StoreServer(connection).time_us()

    async def test_an_empty_store_counts_nothing(self, store: CountStore, now_us: int) -> None:
        counts = await store.since(0, until_us=grid_floor(now_us))

        assert as_counter(counts) == Counter()

    async def test_counts_equal_an_independent_count_of_the_accepted_events(
        self, store: CountStore, connection: Connection, now_us: int
    ) -> None:
        """Over many customers, thus partitions; the clock is moved on by hand."""
        rng = np.random.default_rng(5)
        events = [e for c in range(30) for e in visits(rng, 9, customer_id=f"c{c}", now_us=now_us)]
        await CustomerStore(connection).append([*events, *events[::3]])
        hour = now_us // HOUR_US
        await self.age_minutes(connection, {e.customer_id for e in events}, now_us=now_us)

        counts = await store.since(hour - 1, until_us=grid_floor(now_us))

        by_hour = as_counter(counts)
        once = {(e.customer_id, sale_key_of(e), KINDS.index(e.type)) for e in events}
        expected = Counter((sale, kind) for _, sale, kind in once if kind < N_KINDS)
        assert Counter({(s, k): n for (s, k, _), n in by_hour.items()}) == expected

    async def test_counts_of_another_version_of_this_software_are_left_out_with_a_word(
        self, store: CountStore, connection: Connection, now_us: int
    ) -> None:
        """Without it a worker that was upgraded had no catalogue at all."""
        hour = now_us // HOUR_US - 1
        await append_at(connection, [event("e1", at_us=hour * HOUR_US)], received_us=hour * HOUR_US)
        await connection.execute("HSET", history_hour(hour), b"\x00" * 9, 5, doing="an old load")

        with capture_logs() as lines:
            counts = await store.since(hour - 1, until_us=grid_floor(now_us))
            await store.since(hour - 1, until_us=grid_floor(now_us))

        assert as_counter(counts).total() == 1
        [line] = lines  # not one for every read
        assert "counts of another version" in line["event"]
        assert "expire within 15 days" in line["event"]

    async def test_a_refund_takes_its_purchase_out_of_its_hour_once_its_own_is_over(
        self, store: CountStore, connection: Connection, now_us: int
    ) -> None:
        hour = now_us // HOUR_US - 5
        bought_us, refunded_us = hour * HOUR_US, (hour + 3) * HOUR_US
        purchase = event("p", at_us=bought_us, type=EventType.PURCHASE, quantity=2)
        await append_at(connection, [purchase], received_us=bought_us)
        history = CountHistory(store)
        codes: list[int] = []
        for n in range(3):
            refund = event(f"r{n}", at_us=refunded_us, type=EventType.REFUND, quantity=1)
            codes += await append_at(connection, [refund], received_us=refunded_us)

        counts = [
            as_counter(await history.until(refunded_us + minutes * MINUTE_US))[
                key("s1"), PURCHASE, hour
            ]
            for minutes in (59, 60, 61)
        ]

        assert counts == [1, 0, 0]
        assert [OUTCOMES[code].reason for code in codes] == [None, None, "no_purchase"]

    async def test_counts_with_refunds_equal_those_of_a_replay(
        self, store: CountStore, connection: Connection, now_us: int
    ) -> None:
        """Purchases and refunds of few customers and sales, some late, over five hours."""
        start_us = (now_us // HOUR_US - 5) * HOUR_US
        log = purchases_and_refunds(start_us)
        for of, received_us in log:
            await append_at(connection, [of], received_us=received_us)
        shop, history = catalogue("s0", "s1"), CountHistory(store)
        replay = CountReplay(event_table(map(row_of, log)), shop)

        for minutes in (245, 275, 299, 300):
            grid_us = start_us + minutes * MINUTE_US
            counts = by_row(
                await history.until(grid_us), shop, grid_us=grid_us, half_lives=HALF_LIVES_HOURS
            )

            assert counts.id == replay.at(grid_us).id

    async def test_of_a_part_that_is_away_the_last_known_counts_stay(
        self, store: CountStore, connection: Connection, now_us: int
    ) -> None:
        """Those of others are read, and all again once it is back."""
        hour = now_us // HOUR_US - 2
        here, away = "c1", next(f"c{n}" for n in range(9) if partition(f"c{n}") != partition("c1"))
        broken = f"{counts_prefix(partition(away))}m{hour * 60 + 119}"
        history = CountHistory(store)

        async def clicked(sale_id: str, at_us: int) -> None:
            for customer_id in (here, away):
                of = event(
                    f"{sale_id}-{at_us}", at_us=at_us, sale_id=sale_id, customer_id=customer_id
                )
                await append_at(connection, [of], received_us=at_us)

        async def n_clicks(of: CountHistory, minutes: int) -> tuple[int, int, list[int]]:
            counts = await of.until(hour * HOUR_US + minutes * MINUTE_US)
            n_of = Counter[int]()
            for (sale_key, _, _), n in as_counter(counts).items():
                n_of[sale_key] += n
            return n_of[key("s1")], n_of[key("s2")], [*counts.unread]

        await clicked("s1", hour * HOUR_US)
        assert await n_clicks(history, 60) == (2, 0, [])
        await clicked("s1", (hour + 1) * HOUR_US)
        assert await n_clicks(history, 90) == (4, 0, [])
        await clicked("s2", (hour + 1) * HOUR_US + 40 * MINUTE_US)
        await connection.execute("SET", broken, "of another type", doing="breaking a part")

        assert await n_clicks(history, 111) == (4, 1, [partition(away)])
        history.forget()
        assert await n_clicks(history, 112) == (4, 1, [partition(away)])
        assert await n_clicks(CountHistory(store), 113) == (2, 1, [partition(away)])
        await connection.execute("DEL", broken, doing="mending it")
        assert await n_clicks(history, 113) == (4, 2, [])

    @pytest.mark.parametrize("is_known", [True, False])
    async def test_an_hour_of_loaded_history_that_cannot_be_read_adds_no_other_twice(
        self, store: CountStore, connection: Connection, now_us: int, *, is_known: bool
    ) -> None:
        """Where it was never read, the other hours are all that is known."""
        hour = now_us // HOUR_US - 2
        field = key("s1").to_bytes(8, "big") + bytes([CLICK, 0, 0])
        await store.put_history({hour: {field: 3}, hour - 1: {field: 40}}, now_us=now_us)
        history, grid_us = CountHistory(store), (hour + 1) * HOUR_US
        if is_known:
            await history.until(grid_us)
        await connection.execute("SET", history_hour(hour - 1), "garbage", doing="breaking it")
        history.forget()

        for _ in range(3):
            counts = await history.until(grid_us)

            assert [*counts.unread] == [LOADED]
            assert as_counter(counts).total() == (43 if is_known else 3)

    async def test_refunds_of_loaded_purchases_equal_those_of_a_replay(
        self, store: CountStore, connection: Connection, now_us: int
    ) -> None:
        """Two of five hours come from files, the others live."""
        start_us = (now_us // HOUR_US - 5) * HOUR_US
        live_us = start_us + 2 * HOUR_US
        log = purchases_and_refunds(start_us)
        events = event_table(map(row_of, log))
        loaded = loaded_counts(events, live_us, first_live_us=[None] * N_PARTITIONS)
        await store.put_history(loaded.by_hour, now_us=now_us)
        await store.put_purchases(loaded.purchases)
        await CustomerStore(connection).merge(list(loaded_customers(events, live_us)))

        for of, received_us in log:
            if received_us >= live_us:
                await append_at(connection, [of], received_us=received_us)

        shop, grid_us = catalogue("s0", "s1"), start_us + 5 * HOUR_US
        counts = by_row(
            await CountHistory(store).until(grid_us),
            shop,
            grid_us=grid_us,
            half_lives=HALF_LIVES_HOURS,
        )
        assert counts.id == CountReplay(events, shop).at(grid_us).id

    @pytest.mark.parametrize("abuse", ["one hour", "many past hours", "stamped ahead"])
    async def test_a_customer_never_lowers_a_sale_by_more_than_they_raised_it(
        self, store: CountStore, connection: Connection, now_us: int, abuse: str
    ) -> None:
        """A stranger's purchase stays, however often the customer buys and gives back."""
        hour_us = (now_us // HOUR_US - 4) * HOUR_US
        theirs = event("p", at_us=hour_us, customer_id="stranger", type=EventType.PURCHASE)
        log = [(theirs, hour_us)]
        for n in range(4):
            bought_us = hour_us + n * MINUTE_US
            at_us = {
                "one hour": bought_us,
                "many past hours": bought_us - n * HOUR_US,
                "stamped ahead": bought_us + HOUR_US,
            }[abuse]
            refunded_us = bought_us + (1 if abuse == "one hour" else 2 * HOUR_US)
            if abuse == "stamped ahead":
                bought_us += HOUR_US - 4 * MINUTE_US
            bought = event(f"p{n}", at_us=at_us, type=EventType.PURCHASE)
            given_back = event(f"r{n}", at_us=refunded_us, type=EventType.REFUND)
            log += [(bought, bought_us), (given_back, refunded_us)]
        log.sort(key=lambda one: one[1])
        for of, received_us in log:
            codes = await append_at(connection, [of], received_us=received_us)
            assert codes == [0]
        shop, grid_us = catalogue("s1"), hour_us + 4 * HOUR_US

        counts = by_row(
            await store.since(0, until_us=grid_us),
            shop,
            grid_us=grid_us,
            half_lives=HALF_LIVES_HOURS,
        )

        alone = CountReplay(event_table([row_of((theirs, hour_us))]), shop).at(grid_us)
        assert np.all(counts.decayed >= alone.decayed)
        assert counts.id == CountReplay(event_table(map(row_of, log)), shop).at(grid_us).id

    async def age_minutes(
        self, connection: Connection, customers: set[str], *, now_us: int
    ) -> None:
        """Let the minutes after the last grid time be over: they cut nothing any more."""
        minute = now_us // MINUTE_US
        for p in {partition(c) for c in customers}:
            for late in (minute, minute + 1):
                await connection.execute("DEL", f"{counts_prefix(p)}m{late}", doing="ageing")

    async def test_a_clock_that_is_set_back_over_an_hour_hides_no_count(
        self, store: CountStore, connection: Connection, now_us: int
    ) -> None:
        hour = now_us // HOUR_US - 1
        await click_at(connection, hour * HOUR_US, event_id="e1")
        history = CountHistory(store)
        await history.until((hour + 1) * HOUR_US + MINUTE_US)

        counts = await history.until(hour * HOUR_US + MINUTE_US)

        assert as_counter(counts) == Counter({(key("s1"), CLICK, hour): 1})

    async def test_a_customer_counts_once_per_sale_type_and_hour(
        self, store: CountStore, connection: Connection, now_us: int
    ) -> None:
        """Of many clicks in three hours three count, each from the first one of its hour on."""
        hour = now_us // HOUR_US - 3
        for number in range(3):
            for minute in (5, 6, 59):
                received_us = (hour + number) * HOUR_US + minute * MINUTE_US
                await click_at(connection, received_us, event_id=f"e{number}-{minute}")

        counts = await store.since(hour, until_us=grid_floor(now_us))

        assert as_counter(counts) == Counter(
            {(key("s1"), CLICK, hour + number): 1 for number in range(3)}
        )

    async def test_events_are_counted_from_the_grid_time_after_them(
        self, store: CountStore, connection: Connection, now_us: int
    ) -> None:
        grid_us = grid_floor(now_us) - MINUTE_US
        for customer_id, received_us in (("before", grid_us - 1), ("at", grid_us)):
            click = event("e1", at_us=received_us, customer_id=customer_id)
            await append_at(connection, [click], received_us=received_us)

        first = await store.since(0, until_us=grid_us)
        second = await store.since(0, until_us=grid_us + MINUTE_US)

        assert (int(first.counts.sum()), int(second.counts.sum())) == (1, 2)

    async def test_a_whole_hour_is_cut_at_its_end(
        self, store: CountStore, connection: Connection, now_us: int
    ) -> None:
        hour = now_us // HOUR_US
        await click_at(connection, hour * HOUR_US - 1, event_id="before")
        await click_at(connection, hour * HOUR_US, event_id="at")

        counts = await store.since(hour - 2, until_us=hour * HOUR_US)

        assert as_counter(counts) == Counter({(key("s1"), CLICK, hour - 1): 1})

    async def test_hours_before_the_first_are_left_out(
        self, store: CountStore, connection: Connection, now_us: int
    ) -> None:
        hour = now_us // HOUR_US
        for age in range(4):
            await click_at(connection, (hour - age) * HOUR_US - 1, event_id=f"e{age}")

        counts = await store.since(hour - 2, until_us=grid_floor(now_us))

        assert sorted(counts.hours.tolist()) == [hour - 2, hour - 1]

    async def test_loaded_history_is_added_to_what_came_in_live(
        self, store: CountStore, connection: Connection, now_us: int
    ) -> None:
        hour = now_us // HOUR_US
        field = key("s1").to_bytes(8, "big") + bytes([CLICK, 0, 0])
        await click_at(connection, hour * HOUR_US - 1, event_id="live")
        await store.put_history({hour - 1: {field: 40}}, now_us=now_us)

        counts = await store.since(hour - 1, until_us=grid_floor(now_us))

        assert as_counter(counts) == Counter({(key("s1"), CLICK, hour - 1): 41})

    async def test_loading_history_replaces_what_was_loaded(
        self, store: CountStore, now_us: int
    ) -> None:
        hour = now_us // HOUR_US
        field = key("s1").to_bytes(8, "big") + bytes([CLICK, 0, 0])
        await store.put_history({hour - 1: {field: 40}, hour - 2: {field: 1}}, now_us=now_us)
        for _ in range(2):
            await store.put_history({hour - 1: {field: 2}}, now_us=now_us)

        counts = await store.since(0, until_us=grid_floor(now_us))

        assert as_counter(counts) == Counter({(key("s1"), CLICK, hour - 1): 2})

    async def test_history_of_many_sales_is_put_whole(self, store: CountStore, now_us: int) -> None:
        """Lua cannot unpack more than some thousand values at once."""
        hour = now_us // HOUR_US
        history = {i.to_bytes(8, "big") + b"\x01\0\0": i + 1 for i in range(10_000)}
        await store.put_history({hour - 1: history}, now_us=now_us)

        counts = await store.since(hour - 1, until_us=grid_floor(now_us))

        assert as_counter(counts) == Counter({(i, 1, hour - 1): i + 1 for i in range(10_000)})

    @pytest.mark.parametrize("ahead_us", [MINUTE_US * 2, -3 * HOUR_US])
    async def test_a_cut_that_cannot_be_made_is_refused(
        self, store: CountStore, now_us: int, ahead_us: int
    ) -> None:
        with pytest.raises(ValueError, match="ask for the last grid time"):
            await store.since(0, until_us=grid_floor(now_us + ahead_us))

    async def test_the_first_live_event_of_a_partition_is_dated(
        self, store: CountStore, connection: Connection, now_us: int
    ) -> None:
        await click_at(connection, now_us - 7, event_id="first")
        await click_at(connection, now_us, event_id="second")

        firsts = await store.first_live_us()

        assert {p: at for p, at in enumerate(firsts) if at is not None} == {
            partition("c1"): now_us - 7
        }

    async def test_history_expires(
        self, store: CountStore, connection: Connection, now_us: int
    ) -> None:
        hour = now_us // HOUR_US
        await store.put_history({hour: {b"123456781": 1}}, now_us=now_us)

        ttl_s = await connection.execute("TTL", f"l:{{history}}:{hour}", doing="looking")

        assert isinstance(ttl_s, int)
        assert 0 < ttl_s <= 15 * 24 * 3600


class TestEmbeddedCountStore(CountStoreContract):
    @pytest.fixture
    def url(self, embedded_url: str) -> str:
        return embedded_url


@pytest.mark.redis
class TestRedisCountStore(CountStoreContract):
    @pytest.fixture
    def url(self, redis_url: str) -> str:
        return redis_url
