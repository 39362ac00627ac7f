"""What answers take in the store, measured in its own memory; docs/store.md has the figures."""

import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import cast

import pytest

from app.serving.exposure import PackedExposure
from app.stores.connection import Connection
from app.stores.exposure import RedisExposureLog
from tests.contract.servers import redis_binary, redis_server
from tests.contract.test_exposure_log import RECORD

ENTRY_BYTES = 64
"""See ``stream.lua``."""
N_ANSWERS = 2_000
WINDOW_BYTES = 128 * 24


async def used_bytes(connection: Connection) -> int:
    reply = await connection.execute("INFO", "memory", doing="looking")
    return int(cast("Mapping[str, int]", reply)["used_memory"])


@pytest.mark.redis
@pytest.mark.parametrize("n_bytes", [0, WINDOW_BYTES])
async def test_an_answer_takes_about_as_much_memory_as_it_is_counted_with(
    tmp_path: Path, n_bytes: int
) -> None:
    """Within a third: allocators round up, and nodes of streams are not full."""
    binary = redis_binary()
    if binary is None:
        pytest.skip("redis-server is not installed")
    # A window of random bytes is larger than any real one.
    packed = [
        PackedExposure.of(
            replace(RECORD, recommendation_id=os.urandom(16).hex(), window=os.urandom(n_bytes))
        )
        for _ in range(N_ANSWERS)
    ]
    with redis_server(binary, tmp_path) as url:
        connection = Connection.open(url, timeout_s=30.0)
        log = RedisExposureLog(connection)
        await log.append(packed[:1])
        before = await used_bytes(connection)
        await log.append(packed[1:])
        used = await used_bytes(connection) - before
        await connection.close()

    counted = sum(len(one.content) + ENTRY_BYTES for one in packed[1:])
    assert counted * 2 / 3 < used < counted * 4 / 3, (used / N_ANSWERS, counted / N_ANSWERS)
