"""The contract of the customer store, on the embedded server and on Redis."""

import asyncio
import uuid
from collections import Counter
from dataclasses import replace
from hashlib import blake2b
from typing import cast

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from app.errors import StoreUnavailableError
from app.stores.connection import Connection
from app.stores.customer import CustomerStore, LoadedCustomer
from app.stores.customer_list import ListStore
from app.stores.event_outcome import OUTCOMES, EventOutcome, EventStatus
from app.stores.keys import (
    CUSTOMER_TTL_S,
    HOUR_TTL_S,
    LIST_TTL_S,
    MINUTE_TTL_S,
    RECENT_TTL_S,
    CustomerKeys,
    partition,
)
from models.catalogue.event_counts import N_KINDS
from models.domain.customer import WINDOW_EVENTS, Window
from models.domain.customer_list import CustomerList
from models.domain.event import Event, EventType, key, to_us
from models.domain.profile import Profile
from models.domain.recent_impressions import SHOWN_SALES
from models.domain.sale import AttributeValues
from models.domain.units import SECOND_US
from tests.contract.visit import DAY_US, MINUTE_US, append_at, event, visits, window_of

ACCEPTED = EventOutcome(EventStatus.ACCEPTED)
DUPLICATE = EventOutcome(EventStatus.DUPLICATE)
ERASED = EventOutcome(EventStatus.ERASED)
C1 = CustomerKeys.for_customer("c1")


async def streamed(connection: Connection, stream: str = C1.events) -> list[tuple[Event, int]]:
    """The events of a stream and when the store received them."""
    reply = await connection.execute("XRANGE", stream, "-", "+", doing="reading a stream")
    entries = cast("list[tuple[bytes, dict[bytes, bytes]]]", reply)
    return [(Event.model_validate_json(f[b"e"]), int(f[b"r"])) for _, f in entries]


async def counted(connection: Connection, *, unit: str, at: int) -> Counter[bytes]:
    """The counter hash of one hour or minute of the partition of ``c1``."""
    reply = await connection.execute("HGETALL", f"{C1.counts}{unit}{at}", doing="counting")
    return Counter({field: int(n) for field, n in cast("dict[bytes, bytes]", reply).items()})


def only_attributes(attributes: AttributeValues, *, now_us: int) -> LoadedCustomer:
    """Customer ``c1`` of files that hold no events of them."""
    profile = replace(Profile.empty(), attributes=attributes)
    return LoadedCustomer("c1", Window.empty(), profile, now_us, keeps_totals=True)


class CustomerStoreContract:
    """Mix in and provide ``url``, of a server that is emptied."""

    @pytest.fixture
    def store(self, connection: Connection) -> CustomerStore:
        return CustomerStore(connection)

    @pytest.fixture
    async def now_us(self, store: CustomerStore) -> int:
        return (await store.read("nobody")).now_us

    async def test_an_unknown_customer_is_empty(self, store: CustomerStore) -> None:
        state = await store.read("c1")

        assert len(state.window) == 0
        assert state.profile == Profile.empty()

    async def test_what_another_form_left_of_a_customer_is_not_read(
        self, store: CustomerStore, connection: Connection, now_us: int
    ) -> None:
        """Earlier versions had other members, stamps and profiles, under keys without a form."""
        window, shown, profile = (f"{kind}:{{{partition('c1')}}}:c1" for kind in "cdp")
        earlier = [
            ("ZADD", window, now_us, bytes(20)),
            ("ZADD", shown, now_us // SECOND_US, bytes(8)),
            ("SET", profile, bytes(48)),
        ]
        await connection.execute_many(earlier, doing="putting an earlier form")
        click = event("e1", at_us=now_us)

        unknown = await store.describe("c1")
        await store.append([click])

        assert (len(unknown.window), unknown.profile) == (0, Profile.empty())
        assert (await store.read("c1")).window.pack() == window_of([click]).pack()

    async def test_an_acknowledged_event_is_in_the_next_window(
        self, store: CustomerStore, now_us: int
    ) -> None:
        """Read your writes: no worker may answer from before an acknowledged event."""
        click = event("e1", at_us=now_us)
        await store.append([click])

        state = await store.read("c1")

        assert state.window.pack() == window_of([click]).pack()

    async def test_an_event_is_never_later_than_the_next_read(
        self, store: CustomerStore, connection: Connection, now_us: int
    ) -> None:
        await store.append([event("e1", at_us=now_us)])

        state = await store.read("c1")

        [(_, received_us)] = await streamed(connection)
        assert now_us <= received_us <= state.now_us

    async def test_outcomes_stand_in_the_order_of_the_events(
        self, store: CustomerStore, now_us: int
    ) -> None:
        outcomes = await store.append(
            [
                event("e1", at_us=now_us, customer_id="c1"),
                event("e2", at_us=now_us + DAY_US, customer_id="c2"),
                event("e1", at_us=now_us, customer_id="c1"),
                event("e3", at_us=now_us - 91 * DAY_US, customer_id="c2"),
                event("e4", at_us=now_us, customer_id="c2"),
            ]
        )

        assert outcomes == [
            ACCEPTED,
            EventOutcome(EventStatus.REJECTED, "future"),
            DUPLICATE,
            EventOutcome(EventStatus.REJECTED, "too_old"),
            ACCEPTED,
        ]

    async def test_no_events_are_no_outcomes(self, store: CustomerStore) -> None:
        assert await store.append([]) == []

    async def test_a_time_before_1970_is_too_old(self, store: CustomerStore) -> None:
        [outcome] = await store.append([event("e1", at_us=-1)])

        assert outcome == EventOutcome(EventStatus.REJECTED, "too_old")

    async def test_a_refused_event_leaves_nothing(
        self, store: CustomerStore, connection: Connection, now_us: int
    ) -> None:
        await store.append([event("e1", at_us=now_us + 6 * MINUTE_US)])

        assert await connection.execute("DBSIZE", doing="looking") == 0

    async def test_a_fast_clock_is_stored_as_given(self, store: CustomerStore, now_us: int) -> None:
        ahead = event("e1", at_us=now_us + 4 * MINUTE_US)
        await store.append([ahead])

        assert (await store.read("c1")).window.at_us.tolist() == [to_us(ahead.at)]

    @given(
        seed=st.integers(0, 2**32 - 1),
        n=st.integers(0, 180),
        n_repeated=st.integers(0, 30),
        batch=st.integers(1, 60),
    )
    @settings(
        max_examples=40,
        deadline=None,
        # A customer of its own for every example; the suite runs on several servers by intent.
        suppress_health_check=[
            HealthCheck.function_scoped_fixture,
            HealthCheck.differing_executors,
        ],
    )
    async def test_any_order_repetition_split_and_concurrency_gives_the_same_bytes(
        self, store: CustomerStore, *, seed: int, n: int, n_repeated: int, batch: int
    ) -> None:
        rng = np.random.default_rng(seed)
        customer_id = uuid.UUID(int=seed << 64 | n << 32 | n_repeated << 16 | batch).hex
        now_us = (await store.read(customer_id)).now_us
        events = visits(rng, n, customer_id=customer_id, now_us=now_us)
        repetition = rng.integers(max(n, 1), size=n_repeated if n else 0)
        order = rng.permutation(np.concatenate([np.arange(n), repetition]))
        posts = [events[int(i)] for i in order]

        batches = [posts[i : i + batch] for i in range(0, len(posts), batch)]
        await asyncio.gather(*map(store.append, batches))

        assert (await store.read(customer_id)).window.pack() == window_of(events).pack()

    async def test_a_window_is_bounded(self, store: CustomerStore, now_us: int) -> None:
        events = [event(f"e{i}", at_us=now_us - i) for i in range(3 * WINDOW_EVENTS)]
        await store.append(events)

        assert len((await store.read("c1")).window) == WINDOW_EVENTS

    async def test_the_last_sales_that_he_was_shown_are_known_whatever_the_order(
        self, store: CustomerStore, now_us: int, rng: np.random.Generator
    ) -> None:
        """Three times as many as are kept, some shown twice, some at the same second."""
        impressions = [
            event(
                f"i{i}",
                at_us=now_us - int(rng.integers(200)) * 1_000_000,
                sale_id=f"s{rng.integers(3 * SHOWN_SALES)}",
                type=EventType.IMPRESSION,
                position=1 + i % 1_500 if i % 7 else None,
            )
            for i in range(1_000)
        ]
        await asyncio.gather(*(store.append(impressions[i : i + 50]) for i in range(0, 1_000, 50)))

        window = (await store.read("c1")).window

        assert window.pack() == window_of(impressions).pack()
        assert len(window.shown) == SHOWN_SALES

    async def test_a_duplicate_changes_nothing(
        self, store: CustomerStore, connection: Connection, now_us: int
    ) -> None:
        events = [event(f"e{i}", at_us=now_us, type=t) for i, t in enumerate(EventType)]
        await store.append(events)
        before = (await store.read("c1")).window.pack(), await streamed(connection)

        outcomes = await store.append(events[::-1])

        assert outcomes == [DUPLICATE] * len(events)
        assert ((await store.read("c1")).window.pack(), await streamed(connection)) == before

    async def test_events_are_streamed_and_counted_once_each(
        self, store: CustomerStore, connection: Connection, now_us: int
    ) -> None:
        events = visits(np.random.default_rng(3), 60, customer_id="c1", now_us=now_us)
        await asyncio.gather(*(store.append(events[i : i + 20]) for i in (0, 10, 20, 30, 40)))

        entries = await streamed(connection)
        fields = {
            blake2b(str(e.sale_id).encode(), digest_size=8).digest() + bytes([kind, 0, 0])
            for e in events
            if (kind := list(EventType).index(e.type)) < N_KINDS
        }
        received = {at // (60 * MINUTE_US) for _, at in entries}
        minutes = {at // MINUTE_US for _, at in entries}
        hourly: Counter[bytes] = Counter()
        for hour in received:
            hourly += await counted(connection, unit="h", at=hour)
        by_minute: Counter[bytes] = Counter()
        for minute in minutes:
            by_minute += await counted(connection, unit="m", at=minute)
        assert sorted(e.event_id for e, _ in entries) == sorted(e.event_id for e in events)
        assert hourly == by_minute
        assert hourly == Counter(fields), "once per sale and type"

    async def test_an_event_older_than_a_full_window_is_counted_once(
        self, store: CustomerStore, connection: Connection, now_us: int
    ) -> None:
        """The window forgets it at once, so something else has to remember it."""
        await store.append([event(f"e{i}", at_us=now_us - i) for i in range(WINDOW_EVENTS)])
        late = event("late", at_us=now_us - DAY_US)

        outcomes = await store.append([late, late])

        assert outcomes == [ACCEPTED, DUPLICATE]
        assert len(await streamed(connection)) == WINDOW_EVENTS + 1

    @pytest.mark.parametrize("kind", [EventType.IMPRESSION, EventType.CLICK])
    async def test_any_number_of_events_of_a_day_is_counted_once(
        self,
        store: CustomerStore,
        connection: Connection,
        rng: np.random.Generator,
        *,
        now_us: int,
        kind: EventType,
    ) -> None:
        """Far more than a window holds, sent again in another order and other batches."""
        n = 5 * WINDOW_EVENTS
        events = [
            event(f"e{i}", at_us=now_us - i, sale_id=f"s{i % 9}", type=kind) for i in range(n)
        ]
        await store.append(events)
        before = (await store.read("c1")).window.pack(), await streamed(connection)

        again = [events[int(i)] for i in rng.permutation(n)]
        outcomes = [one for i in range(0, n, 70) for one in await store.append(again[i : i + 70])]

        assert outcomes == [DUPLICATE] * n
        assert ((await store.read("c1")).window.pack(), await streamed(connection)) == before

    @pytest.mark.parametrize("kind", [EventType.IMPRESSION, EventType.CLICK])
    async def test_of_events_with_one_id_the_first_counts_whatever_the_others_say(
        self, store: CustomerStore, connection: Connection, now_us: int, kind: EventType
    ) -> None:
        first = event("e1", at_us=now_us - MINUTE_US, type=kind)
        later = event("e1", at_us=now_us, type=kind)
        other = event("e1", at_us=now_us, sale_id="s2", type=EventType.PURCHASE)

        outcomes = await store.append([first, later, other])

        assert outcomes == [ACCEPTED, DUPLICATE, DUPLICATE]
        assert (await store.read("c1")).window.pack() == window_of([first]).pack()
        assert [e for e, _ in await streamed(connection)] == [first]

    async def test_an_id_is_that_of_its_customer(self, store: CustomerStore, now_us: int) -> None:
        """Two browsers that both count their events from 1 do not take each other's."""
        own, other = (event("1", at_us=now_us, customer_id=c) for c in ("c1", "c2"))

        outcomes = await store.append([own, other])

        assert outcomes == [ACCEPTED, ACCEPTED]
        assert (await store.read("c2")).window.pack() == window_of([other]).pack()

    @pytest.mark.parametrize("kind", [EventType.IMPRESSION, EventType.CLICK])
    @pytest.mark.parametrize("after_us", [-MINUTE_US, 0, 1, DAY_US, RECENT_TTL_S * 1_000_000])
    async def test_an_event_is_remembered_for_two_days_whatever_the_hour(
        self, connection: Connection, *, now_us: int, kind: EventType, after_us: int
    ) -> None:
        """Also by a store that took over and whose clock is a minute behind."""
        midnight = now_us // DAY_US * DAY_US
        first = event("e1", at_us=midnight - MINUTE_US, type=kind)
        again = event("e1", at_us=midnight, type=kind)

        codes = [
            (await append_at(connection, [one], received_us=received_us))[0]
            for received_us, one in ((midnight, first), (midnight + after_us, again))
        ]

        assert [OUTCOMES[code] for code in codes] == [ACCEPTED, DUPLICATE]

    async def test_everything_of_a_customer_expires(
        self, store: CustomerStore, connection: Connection, now_us: int
    ) -> None:
        await connection.execute("SET", C1.profile, Profile.empty().pack(), doing="setting up")
        await store.append(
            [
                event("e1", at_us=now_us),
                event("e2", at_us=now_us, type=EventType.IMPRESSION),
            ]
        )

        [(_, received_us), _] = await streamed(connection)
        expected = {
            C1.window: CUSTOMER_TTL_S,
            C1.shown: CUSTOMER_TTL_S,
            C1.profile: CUSTOMER_TTL_S,
            f"{C1.recent}:{received_us // DAY_US}": RECENT_TTL_S,
            f"{C1.counts}m{received_us // MINUTE_US}": MINUTE_TTL_S,
            f"{C1.counts}h{received_us // (60 * MINUTE_US)}": HOUR_TTL_S,
        }
        ttls = {key: await connection.execute("TTL", key, doing="looking") for key in expected}
        assert ttls == pytest.approx(expected, abs=10)

    async def test_a_profile_is_read_with_the_window(
        self, store: CustomerStore, connection: Connection
    ) -> None:
        profile = Profile(17, (9, 8, 7, 6, 5, 0, 0, 0, 0, 0), attributes={"tier": "gold"})
        await connection.execute("SET", C1.profile, profile.pack(), doing="setting up")

        assert (await store.read("c1")).profile == profile

    async def test_attributes_of_a_customer_without_events_are_erased_and_stay_so(
        self, store: CustomerStore, now_us: int
    ) -> None:
        loaded = only_attributes({"age": 41.0}, now_us=now_us)
        await store.merge([loaded])
        before = await store.read("c1")

        erasure = await store.erase("c1")
        await store.merge([loaded])

        assert (before.profile, erasure.n_profiles) == (loaded.profile, 1)
        assert (await store.read("c1")).profile == Profile.empty()

    async def test_attributes_alone_replace_the_attributes_of_a_profile_and_nothing_else(
        self, store: CustomerStore, connection: Connection, now_us: int
    ) -> None:
        profile = Profile(17, (9, 0, 0, 1, 0, 0, 0, 0, 0, 0), bytes(14), {"tier": "gold"})
        await connection.execute("SET", C1.profile, profile.pack(), "EX", 1_000, doing="setting up")

        await store.merge([only_attributes({"age": 41.0}, now_us=now_us)])

        lives_s = await connection.execute("TTL", C1.profile, doing="looking")
        assert (await store.read("c1")).profile == replace(profile, attributes={"age": 41.0})
        assert lives_s == pytest.approx(1_000, abs=10)

    async def test_attributes_alone_leave_a_customer_who_came_back_after_an_erasure_as_stored(
        self, store: CustomerStore, now_us: int
    ) -> None:
        await store.erase("c1")
        profile = Profile(now_us + DAY_US, (1, 0, 0, 0, 0, 0, 0, 0, 0, 0))
        await store.merge([LoadedCustomer("c1", Window.empty(), profile, now_us)])

        await store.merge([only_attributes({"age": 41.0}, now_us=now_us)])

        assert (await store.read("c1")).profile == profile

    async def test_later_attributes_replace_earlier_ones_of_a_customer_without_events(
        self, store: CustomerStore, now_us: int
    ) -> None:
        await store.merge([only_attributes({"age": 41.0, "tier": "gold"}, now_us=now_us)])

        await store.merge([only_attributes({"age": 42.0}, now_us=now_us)])

        found = (await store.read("c1")).profile
        assert found == replace(Profile.empty(), attributes={"age": 42.0})

    async def test_scripts_survive_a_store_that_forgot_them(
        self, store: CustomerStore, connection: Connection, now_us: int
    ) -> None:
        for i in range(2):
            await connection.execute("SCRIPT FLUSH", doing="forgetting scripts")
            batch = [event(f"e{i}", at_us=now_us, customer_id=f"c{c}") for c in range(3)]
            assert await store.append(batch) == [ACCEPTED] * 3
            await connection.execute("SCRIPT FLUSH", doing="forgetting scripts")
            assert len((await store.read("c1")).window) == i + 1

    async def test_a_cancelled_read_does_not_poison_the_pool(self, url: str, now_us: int) -> None:
        """An answer left unread on a connection would be given to the next customer."""
        connection = Connection.open(url, timeout_s=10.0, max_connections=2)
        store = CustomerStore(connection)
        customers = [f"c{i}" for i in range(10)]
        await store.append([event(f"e-{c}", at_us=now_us, customer_id=c) for c in customers])

        for n_steps in range(30):
            reads = [asyncio.ensure_future(store.read(c)) for c in customers]
            for _ in range(n_steps):
                await asyncio.sleep(0)
            for read in reads[::2]:
                read.cancel()
            await asyncio.gather(*reads, return_exceptions=True)
        states = await asyncio.gather(*map(store.read, customers))

        await connection.close()
        expected = [window_of([event(f"e-{c}", at_us=now_us)]).pack() for c in customers]
        assert [state.window.pack() for state in states] == expected

    async def test_a_store_that_refuses_is_unavailable(
        self, store: CustomerStore, connection: Connection, now_us: int
    ) -> None:
        await connection.execute("SET", C1.window, "no window", doing="setting up")

        with pytest.raises(StoreUnavailableError, match=r"reading a customer: .*WRONGTYPE"):
            await store.read("c1")
        with pytest.raises(StoreUnavailableError, match=r"appending events: .*WRONGTYPE"):
            await store.append([event("e1", at_us=now_us)])

    async def test_what_is_kept_of_a_customer_is_described(
        self, store: CustomerStore, connection: Connection, now_us: int
    ) -> None:
        click = event("e1", at_us=now_us)
        profile = Profile(first_us=17, counts=(9, 8, 7, 6, 5, 0, 0, 0, 0, 0))
        await connection.execute("SET", C1.profile, profile.pack(), doing="setting up")
        shown = event("e2", at_us=now_us, type=EventType.IMPRESSION)
        await store.append([click, shown])

        known = await store.describe("c1")

        assert known.window.pack() == window_of([click, shown]).pack()
        assert (known.profile, known.n_remembered) == (profile, 2)
        assert known.expires_us == pytest.approx(now_us + CUSTOMER_TTL_S * 1_000_000, abs=10e6)

    async def test_nothing_is_kept_of_an_unknown_customer(self, store: CustomerStore) -> None:
        known = await store.describe("c1")

        assert (len(known.window), known.profile, known.n_remembered, known.expires_us) == (
            0,
            Profile.empty(),
            0,
            None,
        )

    async def test_an_erasure_leaves_nothing_but_a_tombstone_without_the_id(
        self, store: CustomerStore, connection: Connection, now_us: int
    ) -> None:
        """The streams hold the customer until the next export, which erases them from its files."""
        await connection.execute("SET", C1.profile, Profile.empty().pack(), doing="setting up")
        impression = event("e3", at_us=now_us, type=EventType.IMPRESSION)
        await store.append([event("e1", at_us=now_us), event("e2", at_us=now_us), impression])

        erasure = await store.erase("c1")

        keys = cast("list[bytes]", await connection.execute("KEYS", "*", doing="looking"))
        left = {key.decode() for key in keys if not key.startswith(b"n:")}
        [tombstone] = left - {C1.events, C1.erasures, f"{C1.erased}secret"}
        ttl_s = await connection.execute("TTL", tombstone, doing="looking")
        assert (erasure.n_events, erasure.n_shown) == (2, 1)
        assert (erasure.n_profiles, erasure.n_remembered) == (1, 3)
        assert erasure.erased_us >= now_us
        assert tombstone.startswith(C1.erased)
        assert ttl_s == pytest.approx(100 * 24 * 3600, abs=10)

    async def test_an_erasure_is_logged(self, store: CustomerStore, connection: Connection) -> None:
        erasure = await store.erase("c1")

        reply = await connection.execute("XRANGE", C1.erasures, "-", "+", doing="reading a stream")
        [(_, fields)] = cast("list[tuple[bytes, dict[bytes, bytes]]]", reply)
        assert fields == {b"c": b"c1", b"r": str(erasure.erased_us).encode()}

    async def test_events_up_to_an_erasure_do_not_bring_him_back_and_later_ones_start_anew(
        self, store: CustomerStore, connection: Connection, now_us: int
    ) -> None:
        early = event("e1", at_us=now_us)
        await store.append([early])
        erased_us = (await store.erase("c1")).erased_us
        late = event("e2", at_us=erased_us)
        next_one = event("e3", at_us=erased_us + 1)
        neighbour = event("e4", at_us=erased_us, customer_id="c2")

        outcomes = await store.append([early, late, next_one, neighbour])

        assert outcomes == [ERASED, ERASED, ACCEPTED, ACCEPTED]
        assert (await store.read("c1")).window.pack() == window_of([next_one]).pack()
        assert [e.event_id for e, _ in await streamed(connection)] == ["e1", "e3"]

    async def test_a_second_erasure_covers_what_came_since(
        self, store: CustomerStore, now_us: int
    ) -> None:
        await store.erase("c1")
        await store.append([event("e1", at_us=now_us + MINUTE_US)])

        erasure = await store.erase("c1")

        assert erasure.n_events == 1
        assert len((await store.read("c1")).window) == 0

    async def test_a_restored_customer_is_erased_again_as_of_then(
        self, store: CustomerStore, now_us: int
    ) -> None:
        early, later = event("e1", at_us=now_us - MINUTE_US), event("e2", at_us=now_us)
        await store.append([early, later])

        gone = await store.erase_again([("c1", now_us - 1_000)])

        assert gone == [(1, 0, 0)]
        assert (await store.read("c1")).window.pack() == window_of([later]).pack()

    async def test_a_list_is_read_with_the_customer_and_goes_with_them(
        self, store: CustomerStore, connection: Connection, now_us: int
    ) -> None:
        lists = ListStore(connection)
        listed = CustomerList.from_sales(now_us, ["s2", "s1"])

        n_kept = await lists.put({"c1": listed, "c2": CustomerList.from_sales(now_us, ["s3"])})

        assert n_kept == 2
        assert (await store.read("c1")).listed.pack() == listed.pack()
        known = await store.describe("c1")
        assert known.listed.pack() == listed.pack()
        assert known.expires_us == pytest.approx(now_us + LIST_TTL_S * SECOND_US, abs=MINUTE_US)
        await store.erase("c1")
        assert len((await store.read("c1")).listed) == 0
        assert len((await store.read("c2")).listed) == 1

    async def test_a_list_from_before_an_erasure_is_not_kept(
        self, store: CustomerStore, connection: Connection
    ) -> None:
        lists = ListStore(connection)
        erased_us = (await store.erase("c1")).erased_us

        before = await lists.put({"c1": CustomerList.from_sales(erased_us, ["s1"])})
        after = await lists.put({"c1": CustomerList.from_sales(erased_us + 1, ["s2"])})

        assert (before, after) == (0, 1)
        assert (await store.read("c1")).listed.sale_keys.tolist() == [key("s2")]

    async def test_an_erasure_that_is_applied_again_takes_the_list(
        self, store: CustomerStore, connection: Connection, now_us: int
    ) -> None:
        await ListStore(connection).put({"c1": CustomerList.from_sales(now_us, ["s1"])})

        await store.erase_again([("c1", now_us - MINUTE_US)])

        assert len((await store.read("c1")).listed) == 0

    async def test_a_damaged_list_is_none(
        self, store: CustomerStore, connection: Connection
    ) -> None:
        await connection.execute("SET", C1.listed, b"not a list", doing="setting up")

        assert len((await store.read("c1")).listed) == 0


class TestEmbeddedCustomerStore(CustomerStoreContract):
    @pytest.fixture
    def url(self, embedded_url: str) -> str:
        return embedded_url

    async def test_what_is_kept_of_a_busy_customer_stays_packed(
        self, store: CustomerStore, connection: Connection, now_us: int
    ) -> None:
        """A sorted set that once held more than 128 members keeps taking three times as much."""
        for kind in (EventType.VIEW, EventType.IMPRESSION):
            events = [
                event(f"{kind}{i}", at_us=now_us - i * 1_000_000, sale_id=f"s{i}", type=kind)
                for i in range(256)
            ]
            await store.append(events[::2])
            await store.merge([LoadedCustomer("c1", window_of(events), Profile.empty(), now_us)])
            await store.append(events[1::2])

        forms = {
            name: await connection.execute("OBJECT", "ENCODING", name, doing="looking")
            for name in (C1.window, C1.shown, f"{C1.recent}:{now_us // DAY_US}")
        }
        assert list(forms.values()) == [b"listpack", b"listpack", b"intset"], forms


@pytest.mark.redis
class TestRedisCustomerStore(CustomerStoreContract):
    @pytest.fixture
    def url(self, redis_url: str) -> str:
        return redis_url
