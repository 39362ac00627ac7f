"""What every store promises of streams that nobody exports: a loss is counted."""

from typing import cast

import pytest

from app.serving.server_port import Lost
from app.stores.connection import Connection
from app.stores.customer import APPEND_EVENTS, APPEND_LIMITS, append_keys, event_arguments
from app.stores.exposure import APPEND_EXPOSURE
from app.stores.layout import (
    STREAM_ENTRIES,
    CustomerKeys,
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


class LostEntriesContract:
    """Mix in and provide ``url``, of a server that is emptied."""

    async def test_a_full_stream_counts_the_events_that_it_loses(
        self, connection: Connection
    ) -> None:
        server = RedisServer(connection)
        now_us = await server.time_us()
        limits = [BOUND if limit == STREAM_ENTRIES else limit for limit in APPEND_LIMITS]
        for start in range(0, N_ENTRIES, 100):
            batch = [
                event(f"e{start + i}", at_us=now_us, type=EventType.IMPRESSION) for i in range(100)
            ]
            arguments = [argument for one in batch for argument in event_arguments(one)]
            keys = append_keys(CustomerKeys.of("c1"))
            await connection.run(APPEND_EVENTS, keys, *limits, *arguments, doing="appending")

        kept = await connection.execute("XLEN", events_stream(partition_of("c1")), doing="looking")

        assert cast("int", kept) < N_ENTRIES
        assert await server.lost() == Lost(N_ENTRIES - cast("int", kept), 0)

    async def test_a_full_stream_counts_the_answers_that_it_loses(
        self, connection: Connection
    ) -> None:
        keys = [exposures_stream(3), counts_prefix(3)]
        calls = [APPEND_EXPOSURE.by_sha(keys, BOUND, "{}") for _ in range(N_ENTRIES)]
        await connection.run_many(APPEND_EXPOSURE, calls, doing="appending")

        kept = await connection.execute("XLEN", exposures_stream(3), doing="looking")

        assert cast("int", kept) < N_ENTRIES
        assert await RedisServer(connection).lost() == Lost(0, N_ENTRIES - cast("int", kept))

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
