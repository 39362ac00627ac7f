"""The contract of merges of guests into customers, on the embedded server and on Redis."""

import asyncio
import uuid
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from app.errors import MergeRefusedError
from app.stores.connection import Connection
from app.stores.customer import CustomerStore, LoadedCustomer
from app.stores.event_outcome import EventOutcome, EventStatus
from app.stores.keys import CustomerKeys, partition
from app.stores.merge import MOST_GUESTS, MergeStore
from app.stores.server import StoreServer
from models.domain.customer import Window
from models.domain.event import Event, EventType
from models.domain.profile import Profile
from models.domain.units import SECOND_US
from tests.contract.visit import DAY_US, event, visits, window_of

ACCEPTED = EventOutcome(EventStatus.ACCEPTED)
DUPLICATE = EventOutcome(EventStatus.DUPLICATE)
ERASED = EventOutcome(EventStatus.ERASED)


def renamed(events: list[Event], customer_id: str) -> list[Event]:
    """The same events as those of another id."""
    return [one.model_copy(update={"customer_id": customer_id}) for one in events]


def counting(n_clicks: int, first_us: int, **attributes: str) -> Profile:
    """A profile of so many clicks, half of them of the last month."""
    counts = (0, 0, n_clicks, 0, 0, 0, 0, 0, 0, 0)
    return Profile(first_us, counts, b"", attributes, tuple(n // 2 for n in counts))


def with_profile(customer_id: str, profile: Profile, now_us: int) -> LoadedCustomer:
    return LoadedCustomer(customer_id, Window.empty(), profile, now_us)


class MergeStoreContract:
    """Mix in and provide ``url``, of a server that is emptied."""

    @pytest.fixture
    def customers(self, connection: Connection) -> CustomerStore:
        return CustomerStore(connection)

    @pytest.fixture
    def merges(self, connection: Connection) -> MergeStore:
        return MergeStore(connection)

    @pytest.fixture
    async def now_us(self, connection: Connection) -> int:
        return await StoreServer(connection).time_us()

    def test_guest_and_customer_of_this_suite_are_in_two_partitions(self) -> None:
        """In a cluster they are on different nodes: no script may touch both."""
        assert len({partition(one) for one in ("v1", "v2", "c1", "c2")}) == 4

    async def test_both_ids_have_the_union_of_both_windows(
        self, customers: CustomerStore, merges: MergeStore, now_us: int
    ) -> None:
        seen, clicked = event("e1", at_us=now_us - 2, customer_id="v1"), event("e2", at_us=now_us)
        shown = event("e3", at_us=now_us, customer_id="v1", type=EventType.IMPRESSION, position=4)
        await customers.append([seen, clicked, shown])

        merge = await merges.merge("v1", "c1")

        assert merge.customer_id == "c1"
        assert merge.merged_us >= now_us
        for one in ("v1", "c1"):
            state = await customers.read(one)
            assert state.window.pack() == window_of([seen, clicked, shown]).pack()
            assert state.merges is not None
            assert state.merges.customer_id == "c1"
        each = await customers.read_each(["v1", "c1", "c2"])
        assert [len(each[one].window) for one in ("v1", "c1", "c2")] == [2, 2, 0]

    @given(
        seed=st.integers(0, 2**32 - 1),
        n=st.integers(0, 150),
        n_merges=st.integers(2, 6),
        n_repeated=st.integers(0, 30),
    )
    @settings(
        max_examples=25,
        deadline=None,
        suppress_health_check=[HealthCheck.function_scoped_fixture],
        derandomize=True,
    )
    async def test_windows_are_the_union_in_any_order_repeated_and_late(
        self,
        connection: Connection,
        now_us: int,
        seed: int,
        n: int,
        n_merges: int,
        n_repeated: int,
    ) -> None:
        """Events and merges in any order, under any of the ids, some sent again under another."""
        customers, merges = CustomerStore(connection), MergeStore(connection)
        rng, run = np.random.default_rng(seed), uuid.uuid4().hex
        ids = [f"{run}-{name}" for name in ("c", "v", "w")]
        events = visits(rng, n, customer_id=ids[0], now_us=now_us)
        places = [int(rng.integers(n)) for _ in range(n_repeated if n else 0)]
        again = [events[place] for place in places]
        steps: list[list[Event] | str] = [
            renamed([one], ids[int(rng.integers(3))]) for one in [*events, *again]
        ]
        steps += [ids[1 + int(rng.integers(2))] for _ in range(n_merges)]
        order: list[int] = rng.permutation(len(steps)).tolist()
        for step in [*map(steps.__getitem__, order), *ids[1:]]:
            if isinstance(step, str):
                await merges.merge(step, ids[0])
            else:
                await customers.append(step)

        repeated = await customers.append(renamed(events, ids[1]))

        for one in ids:
            state = await customers.read(one)
            assert state.window.pack() == window_of(events).pack()
        assert repeated == [DUPLICATE] * n

    async def test_events_sent_again_under_the_other_id_count_once(
        self, customers: CustomerStore, merges: MergeStore, connection: Connection, now_us: int
    ) -> None:
        """Impressions too, which no window holds by event."""
        kinds = (EventType.CLICK, EventType.IMPRESSION)
        of_guest = [event(k, at_us=now_us, customer_id="v1", type=k) for k in kinds]
        await customers.append(of_guest)
        await merges.merge("v1", "c1")

        again = await customers.append([*renamed(of_guest, "c1"), *of_guest])
        later = await customers.append([event("e9", at_us=now_us, customer_id="v1")])

        assert again == [DUPLICATE] * 4
        assert later == [ACCEPTED]
        stream = CustomerKeys.for_customer("c1").events
        assert await connection.execute("XLEN", stream, doing="counting") == 1

    async def test_profiles_add_up_until_the_night_counts_both(
        self, customers: CustomerStore, merges: MergeStore, now_us: int
    ) -> None:
        own, of_guest = counting(6, now_us - DAY_US, tier="gold"), counting(4, now_us - 9 * DAY_US)
        attributed = replace(of_guest, attributes={"tier": "none", "source": "ad"})
        await customers.merge(
            [with_profile("c1", own, now_us), with_profile("v1", attributed, now_us)]
        )

        await merges.merge("v1", "c1")
        await merges.merge("v1", "c1")

        both = replace(counting(10, now_us - 9 * DAY_US, tier="gold", source="ad"))
        assert (await customers.read("v1")).profile == both
        of_night = counting(11, now_us - 9 * DAY_US)
        await customers.merge([replace(with_profile("c1", of_night, now_us), guests=("v1",))])
        await customers.merge([with_profile("v1", of_guest, now_us)])
        assert (await customers.read("c1")).profile == of_night

    async def test_experiments_know_whoever_was_there_first(
        self, customers: CustomerStore, merges: MergeStore, now_us: int
    ) -> None:
        old, new = now_us - 5 * SECOND_US, now_us - SECOND_US
        await customers.append(
            [
                event("e1", at_us=new, customer_id="c1"),
                event("e2", at_us=old, customer_id="v1"),
                event("e3", at_us=old, customer_id="c2"),
                event("e4", at_us=new, customer_id="v2"),
            ]
        )

        await merges.merge("v1", "c1")
        await merges.merge("v2", "c2")
        await merges.merge("v3", "c3")

        firsts: list[str] = []
        for one in ("c1", "c2", "c3"):
            merged = (await customers.read(one)).merges
            assert merged is not None
            firsts.append(merged.first_id)
        assert firsts == ["v1", "c2", "c3"]

    @pytest.mark.parametrize("asked", ["c1", "v1"])
    async def test_erasing_either_erases_both(
        self,
        customers: CustomerStore,
        merges: MergeStore,
        connection: Connection,
        now_us: int,
        asked: str,
    ) -> None:
        ids = ("c1", "v1", "v2")
        events = [event(f"of {one}", at_us=now_us, customer_id=one) for one in ids]
        await customers.append(events)
        await merges.merge("v1", "c1")
        await merges.merge("v2", "c1")

        erasure = await customers.erase(asked)

        assert {asked, *erasure.others} == set(ids)
        assert erasure.n_events == 3
        assert await customers.append(events) == [ERASED] * 3
        for one in ids:
            state = await customers.read(one)
            assert (len(state.window), state.merges) == (0, None)
            stream = CustomerKeys.for_customer(one).erasures
            assert await connection.execute("XLEN", stream, doing="counting") == 1

    async def test_a_merge_does_not_undo_an_erasure_of_the_guest(
        self, customers: CustomerStore, merges: MergeStore, now_us: int
    ) -> None:
        erased = event("e1", at_us=now_us, customer_id="v1")
        erasure = await customers.erase("v1")
        later = event("e2", at_us=erasure.erased_us + 1, customer_id="v1")
        await merges.merge("v1", "c1")

        outcomes = await customers.append([erased, later])

        assert outcomes == [ERASED, ACCEPTED]
        assert (await customers.read("c1")).window.pack() == window_of([later]).pack()

    async def test_an_erasure_of_before_a_merge_that_is_applied_again_leaves_the_merge(
        self, customers: CustomerStore, merges: MergeStore, now_us: int
    ) -> None:
        await customers.append([event("e1", at_us=now_us, customer_id="v1")])
        merge = await merges.merge("v1", "c1")

        await customers.erase_again([("v1", now_us - 1), ("c1", now_us - 1)])
        assert len((await customers.read("v1")).window) == 1

        both = [("v1", merge.merged_us), ("c1", merge.merged_us)]
        await customers.erase_again(both)
        state = await customers.read("v1")
        assert (len(state.window), state.merges) == (0, None)

    async def test_a_profile_of_before_an_erasure_goes_when_it_is_applied_again(
        self, customers: CustomerStore, now_us: int
    ) -> None:
        await customers.merge([with_profile("c1", counting(2, now_us - DAY_US), now_us)])

        await customers.erase_again([("c1", now_us - 2 * DAY_US)])
        assert (await customers.read("c1")).profile != Profile.empty()

        await customers.erase_again([("c1", now_us)])
        assert (await customers.read("c1")).profile == Profile.empty()

    async def test_a_guest_of_one_customer_is_not_merged_into_another(
        self, customers: CustomerStore, merges: MergeStore, now_us: int
    ) -> None:
        """Two persons at one device: their histories stay apart."""
        await customers.append([event("e1", at_us=now_us, customer_id="v1")])
        await merges.merge("v1", "c1")

        with pytest.raises(MergeRefusedError, match="belongs to another customer"):
            await merges.merge("v1", "c2")
        with pytest.raises(MergeRefusedError, match="guests were merged into this one"):
            await merges.merge("c1", "c2")
        with pytest.raises(MergeRefusedError, match="the guest is the customer"):
            await merges.merge("c1", "c1")

        assert (await customers.read("c2")).merges is None
        assert len((await customers.read("c1")).window) == 1

    async def test_a_merge_into_a_guest_is_one_into_their_customer(
        self, customers: CustomerStore, merges: MergeStore, now_us: int
    ) -> None:
        await customers.append([event("e1", at_us=now_us, customer_id="v2")])
        first = await merges.merge("v1", "c1")

        assert (await merges.merge("v2", "v1")).customer_id == "c1"
        assert len((await customers.read("v1")).window) == 1
        assert await merges.merge("c1", "v1") == first

    async def test_a_merge_of_two_unknown_ids_expires_too(
        self, customers: CustomerStore, merges: MergeStore, now_us: int
    ) -> None:
        await merges.merge("v1", "c1")

        expires_us = (await customers.describe("c1")).expires_us

        assert expires_us is not None
        assert expires_us > now_us

    async def test_a_customer_has_no_more_guests_than_are_allowed(
        self, customers: CustomerStore, merges: MergeStore
    ) -> None:
        for number in range(MOST_GUESTS):
            await merges.merge(f"w{number}", "c1")

        with pytest.raises(MergeRefusedError, match="too many guests"):
            await merges.merge("one more", "c1")

        assert (await customers.read("one more")).merges is None

    async def test_merges_of_each_into_the_other_at_once_end_as_one_customer_or_refused(
        self, customers: CustomerStore, merges: MergeStore, now_us: int
    ) -> None:
        """No order of the steps may let two ids point to each other."""
        for number in range(20):
            a, b = f"a{number}", f"b{number}"
            await customers.append(renamed([event("e1", at_us=now_us)], a))
            await customers.append(renamed([event("e2", at_us=now_us)], b))

            await asyncio.gather(merges.merge(a, b), merges.merge(b, a), return_exceptions=True)

            windows = [(await customers.read(one)).window for one in (a, b)]
            assert sorted(map(len, windows)) in ([1, 1], [2, 2])


class TestEmbeddedMergeStore(MergeStoreContract):
    @pytest.fixture
    def url(self, embedded_url: str) -> str:
        return embedded_url


@pytest.mark.redis
class TestRedisMergeStore(MergeStoreContract):
    @pytest.fixture
    def url(self, redis_url: str) -> str:
        return redis_url
