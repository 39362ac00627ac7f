"""Losses of a store without room: each is counted."""

from itertools import count
from typing import cast

import pytest

from app.stores.connection import Connection
from app.stores.customer import CustomerStore
from app.stores.exposure import APPEND_EXPOSURE
from app.stores.keys import COUNTED_PAIRS, counts_prefix, events_stream, exposures_stream
from app.stores.keys import partition as partition_of
from app.stores.server import Lost, StoreServer
from models.domain.event import KIND, EventType, key
from models.domain.units import HOUR_US
from tests.contract.visit import append_at, event

N_ENTRIES = 1_000
BOUND = 200
ENTRY_BYTES = 64
"""What an entry takes beside its content."""
N_STREAMS = 2 * 64
"""Of events and of answers, in each partition."""
CONTENT = bytes(36)
BOUND_BYTES = BOUND * (len(CONTENT) + ENTRY_BYTES)


def neighbour_of(customer_id: str) -> str:
    """Another customer of the same partition."""
    names = (f"neighbour-{number}" for number in count())
    return next(name for name in names if partition_of(name) == partition_of(customer_id))


class LostEntriesContract:
    """Mix in and provide ``url``, of a server that is emptied."""

    async def test_a_full_stream_counts_the_events_that_it_loses(
        self, connection: Connection
    ) -> None:
        server = StoreServer(connection)
        now_us = await server.time_us()
        batch = [
            event(f"e{number:04d}", at_us=now_us, type=EventType.IMPRESSION)
            for number in range(N_ENTRIES)
        ]
        n_bytes = len(batch[0].model_dump_json(exclude_none=True)) + ENTRY_BYTES
        store = CustomerStore(connection, stream_bytes=BOUND * n_bytes * N_STREAMS)
        for start in range(0, N_ENTRIES, 100):
            await store.append(batch[start : start + 100])

        kept = await connection.execute("XLEN", events_stream(partition_of("c1")), doing="looking")

        assert cast("int", kept) == BOUND
        assert await server.lost() == Lost(N_ENTRIES - BOUND, 0, 0)

    async def test_a_full_stream_counts_the_answers_that_it_loses(
        self, connection: Connection
    ) -> None:
        keys = [exposures_stream(3), counts_prefix(3)]
        calls = [APPEND_EXPOSURE.by_sha(keys, BOUND_BYTES, CONTENT) for _ in range(N_ENTRIES)]
        await connection.run_many(APPEND_EXPOSURE, calls, doing="appending")

        kept = await connection.execute("XLEN", exposures_stream(3), doing="looking")

        assert cast("int", kept) == BOUND
        assert await StoreServer(connection).lost() == Lost(0, N_ENTRIES - BOUND, 0)

    async def test_invented_sales_of_an_hour_are_counted_up_to_a_bound(
        self, connection: Connection
    ) -> None:
        """Sales that were counted before go on to be; each hour begins anew."""
        server = StoreServer(connection)
        received_us = await server.time_us()
        first = event("first", at_us=received_us, sale_id="real", type=EventType.IMPRESSION)
        _ = await append_at(connection, [first], received_us=received_us)
        for start in range(0, COUNTED_PAIRS + N_ENTRIES, N_ENTRIES):
            batch = [
                event(f"e{n}", at_us=received_us, sale_id=f"made-up-{n}", type=EventType.IMPRESSION)
                for n in range(start, start + N_ENTRIES)
            ]
            _ = await append_at(connection, batch, received_us=received_us)
        other = event("e", at_us=received_us, sale_id="real", type=EventType.IMPRESSION)
        same_partition = other.model_copy(update={"customer_id": neighbour_of("c1")})
        _ = await append_at(connection, [same_partition], received_us=received_us)

        hour = f"{counts_prefix(partition_of('c1'))}h{received_us // HOUR_US}"
        field = key("real").to_bytes(8, "big") + bytes([KIND[EventType.IMPRESSION], 0, 0])
        counted = await connection.execute("HGET", hour, field, doing="looking")
        n_fields = await connection.execute("HLEN", hour, doing="looking")
        assert (counted, n_fields) == (b"2", COUNTED_PAIRS)
        assert await server.lost() == Lost(0, 0, N_ENTRIES + 1)

    async def test_the_policy_of_a_full_server_is_known(self, connection: Connection) -> None:
        memory = await StoreServer(connection).memory()

        assert memory.policy == "noeviction"
        assert memory.used_bytes > 0


class TestEmbeddedLostEntries(LostEntriesContract):
    @pytest.fixture
    def url(self, embedded_url: str) -> str:
        return embedded_url


@pytest.mark.redis
class TestRedisLostEntries(LostEntriesContract):
    @pytest.fixture
    def url(self, redis_url: str) -> str:
        return redis_url
