"""What every store promises of streams that nobody exports: a loss is counted."""

from typing import cast

import pytest

from app.serving.server_port import Lost
from app.stores.connection import Connection
from app.stores.customer import RedisCustomerStore
from app.stores.exposure import APPEND_EXPOSURE
from app.stores.layout import (
    counts_prefix,
    events_stream,
    exposures_stream,
)
from app.stores.layout import partition as partition_of
from app.stores.store import RedisServer
from models.events import EventType
from tests.contract.visit import event

N_ENTRIES = 1_000
BOUND = 200
ENTRY_BYTES = 64
"""What an entry takes beside its content."""
N_STREAMS = 2 * 64
"""Of events and of answers, in each partition."""
CONTENT = bytes(36)
BOUND_BYTES = BOUND * (len(CONTENT) + ENTRY_BYTES)


class LostEntriesContract:
    """Mix in and provide ``url``, of a server that is emptied."""

    async def test_a_full_stream_counts_the_events_that_it_loses(
        self, connection: Connection
    ) -> None:
        server = RedisServer(connection)
        now_us = await server.time_us()
        batch = [
            event(f"e{number:04d}", at_us=now_us, type=EventType.IMPRESSION)
            for number in range(N_ENTRIES)
        ]
        n_bytes = len(batch[0].model_dump_json(exclude_none=True)) + ENTRY_BYTES
        store = RedisCustomerStore(connection, stream_bytes=BOUND * n_bytes * N_STREAMS)
        for start in range(0, N_ENTRIES, 100):
            await store.append(batch[start : start + 100])

        kept = await connection.execute("XLEN", events_stream(partition_of("c1")), doing="looking")

        assert cast("int", kept) == BOUND
        assert await server.lost() == Lost(N_ENTRIES - BOUND, 0)

    async def test_a_full_stream_counts_the_answers_that_it_loses(
        self, connection: Connection
    ) -> None:
        keys = [exposures_stream(3), counts_prefix(3)]
        calls = [APPEND_EXPOSURE.by_sha(keys, BOUND_BYTES, CONTENT) for _ in range(N_ENTRIES)]
        await connection.run_many(APPEND_EXPOSURE, calls, doing="appending")

        kept = await connection.execute("XLEN", exposures_stream(3), doing="looking")

        assert cast("int", kept) == BOUND
        assert await RedisServer(connection).lost() == Lost(0, N_ENTRIES - BOUND)

    async def test_the_policy_of_a_full_server_is_known(self, connection: Connection) -> None:
        assert await RedisServer(connection).eviction_policy() == "noeviction"


class TestEmbeddedLostEntries(LostEntriesContract):
    @pytest.fixture
    def url(self, embedded_url: str) -> str:
        return embedded_url


@pytest.mark.redis
class TestRedisLostEntries(LostEntriesContract):
    @pytest.fixture
    def url(self, redis_url: str) -> str:
        return redis_url
