"""Memory that many customers take in a Redis of the system, with ten events each.

Nothing is kept on disk; windows are merged as `load` does it, and then profiles too. Memory is
``used_memory`` over the empty server's.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Final, cast

import numpy as np
import pytest

from app.stores.connection import Connection
from app.stores.customer import LoadedCustomer
from app.stores.store import Stores
from models.domain.customer import Window, stamps
from models.domain.event import KIND, EventType
from models.domain.profile import Profile
from models.domain.recent_impressions import NOTHING_SHOWN
from models.domain.units import SECOND_US
from tests.contract.servers import redis_binary, redis_server
from tests.proofs import Proof

SIZES: Final = (100_000, 1_000_000)
N_EVENTS: Final = 10
AT_ONCE: Final = 1_000
AIM_BYTES: Final = 600
"""Of a customer's window: 0.6 GB a million."""


def customers(first: int, *, now_us: int, profile: Profile) -> list[LoadedCustomer]:
    """A batch of customers, of keys as random as hashes are."""
    rng = np.random.default_rng(first)
    keys = rng.integers(2**63, size=(AT_ONCE, N_EVENTS, 2)).astype(np.uint64)
    at_us = now_us - np.arange(N_EVENTS) * SECOND_US
    stamp = stamps(at_us, np.full(N_EVENTS, KIND[EventType.VIEW]))
    return [
        LoadedCustomer(
            customer_id=f"customer-{first + i:08d}",
            window=Window(np.column_stack([keys[i], stamp]), NOTHING_SHOWN).latest(),
            profile=profile,
            last_us=now_us,
        )
        for i in range(AT_ONCE)
    ]


async def used_bytes(connection: Connection) -> int:
    reply = await connection.execute("INFO", "memory", doing="looking")
    return int(cast("Mapping[str, int]", reply)["used_memory"])


async def bytes_each(url: str, *, sizes: list[int]) -> dict[str, float]:
    """Bytes per customer by what is kept and of how many customers."""
    stores = Stores.open(url, timeout_s=120.0)
    now_us = await stores.server.time_us()
    full = Profile(first_us=now_us, counts=(0, N_EVENTS, 0, 0, 0, 0, 0, 0, 0, 0))
    found: dict[str, float] = {}
    for name, profile in {"windows": Profile.empty(), "with profiles": full}.items():
        # What scripts and connections take is there before the first customer is counted.
        await stores.customers.merge(customers(0, now_us=now_us, profile=profile))
        await stores.connection.execute("FLUSHALL", doing="emptying the store")
        before, n_there = await used_bytes(stores.connection), 0
        for size in sizes:
            for first in range(n_there, size, AT_ONCE):
                await stores.customers.merge(customers(first, now_us=now_us, profile=profile))
            n_there = size
            used = await used_bytes(stores.connection) - before
            found[f"{name}, {size} customers"] = round(used / size, 1)
    await stores.server.close()
    return found


@pytest.mark.prove
@pytest.mark.redis
@pytest.mark.slow
async def test_a_million_customers_take_six_hundred_megabytes(tmp_path: Path, proof: Proof) -> None:
    binary = redis_binary()
    if binary is None:
        pytest.skip("redis-server is not installed")
    sizes = [proof.scale(size) for size in SIZES]
    with redis_server(binary, tmp_path) as url:
        found = await bytes_each(url, sizes=sizes)

    proof.record("memory", {"bytes per customer": found})
    assert found[f"windows, {sizes[-1]} customers"] <= AIM_BYTES, found
