"""The customer store beside its contract."""

from collections.abc import AsyncGenerator
from typing import cast

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from redis.crc import key_slot

from app.stores.connection import Connection
from app.stores.customer import CustomerStore
from app.stores.event_outcome import OUTCOMES
from app.stores.keys import CHANGES, N_PARTITIONS, PICTURES, SALES, VERSION, CustomerKeys
from app.stores.server import StoreServer
from models.domain.event import MAX_AGE_US, MAX_AHEAD_US, EventType, Refusal, accept
from tests.contract.visit import append_at, event
from tests.round_trips import CountingConnection, counted, open_channel

NOW_US = 1_795_370_746_382_841
EDGES_US = (-MAX_AGE_US, MAX_AHEAD_US, 0, -NOW_US)


@pytest.fixture
def url(embedded_url: str) -> str:
    return embedded_url


@pytest.fixture
async def counting(url: str, connection: Connection) -> AsyncGenerator[CustomerStore]:
    """A store over one connection, which is counted."""
    assert connection
    counting = counted(url)
    customers = CustomerStore(counting)
    await open_channel(customers)
    yield customers
    await counting.close()


async def test_a_read_is_one_round_trip(counting: CustomerStore) -> None:
    before = CountingConnection.n_sent

    await counting.read("c2")

    assert CountingConnection.n_sent - before == 1


async def test_many_customers_are_read_in_one_round_trip(counting: CustomerStore) -> None:
    now_us = (await counting.read("c1")).now_us
    await counting.append([event("e1", at_us=now_us, customer_id="c1")])
    await counting.read_each(["c1"])
    before = CountingConnection.n_sent

    found = await counting.read_each(["c1", "c2", "c1", "c3"])

    assert CountingConnection.n_sent - before == 1
    assert {name: len(state.window) for name, state in found.items()} == {"c1": 1, "c2": 0, "c3": 0}


async def test_a_batch_of_many_customers_is_one_round_trip(counting: CustomerStore) -> None:
    now_us = (await counting.read("c1")).now_us
    batch = [event(f"e{i}", at_us=now_us, customer_id=f"c{i % 7}") for i in range(50)]
    await counting.append(batch)
    before = CountingConnection.n_sent

    await counting.append(batch)

    assert CountingConnection.n_sent - before == 1


async def test_many_events_of_one_customer_leave_the_store_to_others_in_between(
    connection: Connection,
) -> None:
    """Each script call takes a hundred at most, and the results are in the order of the batch."""
    customers, now_us = CustomerStore(connection), await StoreServer(connection).time_us()
    kinds = (EventType.PURCHASE, EventType.REFUND)
    batch = [event(f"e{i}", at_us=now_us + i, type=kinds[i % 2]) for i in range(250)]
    await customers.append(batch[:1])
    await connection.execute("CONFIG", "RESETSTAT", doing="counting calls")

    outcomes = await customers.append([*batch, batch[7]])

    reply = await connection.execute("INFO", "commandstats", doing="counting calls")
    stats = cast("dict[str, dict[str, int]]", reply)
    assert stats["cmdstat_evalsha"]["calls"] == 3
    statuses = [one.status for one in outcomes]
    assert statuses == ["duplicate", *["accepted"] * 249, "duplicate"]
    assert {one.reason for one in outcomes} == {None}


@given(
    offsets=st.lists(
        st.builds(int.__add__, st.sampled_from(EDGES_US), st.integers(-3, 3))
        | st.integers(-(2**53), 2**53),
        min_size=1,
        max_size=20,
    )
)
@settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
async def test_the_store_accepts_exactly_what_models_accept(
    connection: Connection, offsets: list[int]
) -> None:
    """To the microsecond: offline, the same function judges what the store accepted."""
    times = [NOW_US + offset for offset in offsets]
    events = [event(f"e{at_us}", at_us=at_us) for at_us in times]

    codes = await append_at(connection, events, received_us=NOW_US)

    reasons = [OUTCOMES[code].reason for code in codes]
    assert reasons == [accept(at_us, NOW_US) for at_us in times]


def test_every_refusal_has_an_outcome() -> None:
    assert {outcome.reason for outcome in OUTCOMES} == {None, *Refusal, "no_purchase"}


def test_what_a_script_touches_lies_in_one_slot() -> None:
    """A cluster refuses a script that reaches over slots."""
    for n in range(200):
        keys = CustomerKeys.for_customer(f"customer {{{n}}} \x7f é")
        names = [keys.window, keys.profile, keys.recent, keys.events, f"{keys.counts}h497000"]
        assert len({key_slot(name.encode()) for name in names}) == 1
    assert len({key_slot(name.encode()) for name in (SALES, PICTURES, CHANGES, VERSION)}) == 1


def test_partitions_spread_over_slots() -> None:
    slots = {key_slot(f"events:{{{p}}}".encode()) for p in range(N_PARTITIONS)}

    assert len(slots) == N_PARTITIONS
