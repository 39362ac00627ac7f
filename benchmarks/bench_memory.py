"""How much memory many customers take in a Redis of the system, with ten events each.

Method: Redis from apt over its unix socket, nothing kept on disk, windows of ten events merged
as `load` does it, and then profiles too. Memory is ``used_memory`` over the empty server's.
``VITRINE_BENCH_CUSTOMERS`` sets how many; 100,000 unless told.

Last numbers (2 shared cores, busy; 20,000 customers): 535 B each, 743 B with profiles.
"""

import asyncio
import os
from pathlib import Path

import numpy as np
import pytest

from app.stores.customer import LoadedCustomer
from app.stores.store import RedisStores
from benchmarks.bench_store import used_memory
from models.customer import Window, stamps
from models.events import KIND, SECOND_US, EventType
from models.profile import Profile
from tests.contract.servers import redis_binary, redis_server

N_CUSTOMERS = int(os.environ.get("VITRINE_BENCH_CUSTOMERS", "100000"))
N_EVENTS = 10
AT_ONCE = 1_000


def customers(first: int, *, now_us: int, profile: Profile) -> list[LoadedCustomer]:
    """A batch of customers, of keys as random as hashes are."""
    rng = np.random.default_rng(first)
    keys = rng.integers(2**63, size=(AT_ONCE, N_EVENTS, 2)).astype(np.uint64)
    at_us = now_us - np.arange(N_EVENTS) * SECOND_US
    stamp = stamps(at_us, np.full(N_EVENTS, KIND[EventType.VIEW]))
    return [
        LoadedCustomer(
            customer_id=f"customer-{first + i:08d}",
            window=Window(np.column_stack([keys[i], stamp])).latest(),
            profile=profile,
            last_us=now_us,
        )
        for i in range(AT_ONCE)
    ]


async def measure(url: str) -> dict[str, float]:
    """Bytes per customer, without and with a profile."""
    stores = RedisStores.open(url, timeout_s=120.0)
    now_us = await stores.server.time_us()
    before = await used_memory(stores.connection)
    full = Profile(first_us=now_us, counts=(0, N_EVENTS, 0, 0, 0))
    found: dict[str, float] = {}
    for name, profile in {"windows": Profile.empty(), "with profiles": full}.items():
        for first in range(0, N_CUSTOMERS, AT_ONCE):
            await stores.customers.merge(customers(first, now_us=now_us, profile=profile))
        found[name] = (await used_memory(stores.connection) - before) / N_CUSTOMERS
        print(f"{N_CUSTOMERS:,} customers, {N_EVENTS} events, {name}: {found[name]:.0f} B each")
    await stores.server.close()
    return found


def test_memory_of_many_customers(tmp_path: Path) -> None:
    """Report bytes per customer."""
    binary = redis_binary()
    if binary is None:
        pytest.skip("redis-server is not installed")
    with redis_server(binary, tmp_path) as url:
        found = asyncio.run(measure(url))

    assert found["with profiles"] > found["windows"] > 0
