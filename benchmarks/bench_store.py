"""Memory of a customer in the store, and latency of a read and of an append.

Method: the embedded Valkey over its unix socket, append-only file on, one connection, one
call at a time, from one process on the same machine. Memory is the growth of
``used_memory`` per customer over 2,000 customers, loaded with members in random order.

Last numbers (2 shared cores, busy): 308 B for 1 event, 371 for 3, 629 for 10, 1,349 for 30 and
4,872 for 128; of as many sales shown 120 to 236 for up to 10, 553 for 30 and 2,118 for 128; 112
for a profile. With the client a read takes 0.3 to 0.45 ms (p50) and an append 0.4 to 0.6.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import cast

import numpy as np
import pytest

from app.stores.connection import Connection
from app.stores.customer import LoadedCustomer
from app.stores.embedded import embedded_server
from app.stores.keys import CustomerKeys
from app.stores.store import Stores
from models.domain.customer import Window, pack_member
from models.domain.event import Event, EventType, from_us
from models.domain.profile import Profile
from models.domain.recent_impressions import RecentImpressions
from models.domain.units import SECOND_US

N_CUSTOMERS = 2_000
N_CALLS = 2_000


async def used_memory(connection: Connection) -> int:
    """`used_memory` of the server, in bytes."""
    reply = await connection.execute("INFO", "memory", doing="measuring")
    return cast("dict[str, int]", reply)["used_memory"]


async def percentiles_ms(call: Callable[[int], Awaitable[object]]) -> str:
    """Times of calls, one after the other."""
    times: list[float] = []
    for i in range(N_CALLS):
        started = time.perf_counter()
        await call(i)
        times.append((time.perf_counter() - started) * 1_000)
    return " ".join(f"p{q}={np.percentile(times, q):.3f}" for q in (50, 95, 99)) + " ms"


def customer(c: int, n_events: int, *, now_us: int) -> LoadedCustomer:
    """A customer with so many events, of keys as random as hashes are."""
    keys = np.random.default_rng(c).integers(2**63, size=(n_events, 2)).tolist()
    at_us = now_us - np.arange(n_events) * SECOND_US
    members = [
        pack_member(event, sale, at_us=now_us - i * SECOND_US, event_type=EventType.VIEW)
        for i, (event, sale) in enumerate(keys)
    ]
    return LoadedCustomer(
        customer_id=f"customer-{c:08d}",
        window=Window.from_members(
            members,
            RecentImpressions.from_events(
                np.array(keys, dtype=np.uint64)[:, 1],
                at_us,
                positions=np.arange(1, n_events + 1),
            ),
        ),
        profile=Profile(first_us=now_us, counts=(0, n_events, 0, 0, 0, 0, 0, 0, 0, 0)),
        last_us=now_us,
    )


async def bytes_per_customer(url: str, n_events: int) -> list[float]:
    """Bytes that a customer takes: events alone, with recent impressions, and the profile."""
    stores = Stores.open(url, timeout_s=30.0)
    now_us = await stores.server.time_us()
    before = await used_memory(stores.connection)
    customers = [customer(c, n_events, now_us=now_us) for c in range(N_CUSTOMERS)]
    for start in range(0, N_CUSTOMERS, 100):
        await stores.customers.merge(customers[start : start + 100])
    used = [await used_memory(stores.connection)]
    keys = [CustomerKeys.for_customer(each.customer_id) for each in customers]
    for names in ([one.profile for one in keys], [one.shown for one in keys]):
        for name in names:
            await stores.connection.execute("DEL", name, doing="measuring")
        used.append(await used_memory(stores.connection))
    await stores.server.close()
    return [(one - before) / N_CUSTOMERS for one in reversed(used)]


@pytest.mark.parametrize("n_events", [1, 3, 10, 30, 128])
def test_bytes_per_customer(tmp_path: Path, n_events: int) -> None:
    """Report the memory of customers with so many events, who were shown as many sales."""
    with embedded_server(tmp_path) as url:
        events, shown, profile = asyncio.run(bytes_per_customer(url, n_events))

    print(
        f"\n{n_events:4d} events: {events:.0f} B, {shown:.0f} B with what was shown, "
        f"{profile:.0f} B with the profile, too"
    )


def clicks(i: int, n: int, *, at_us: int) -> list[Event]:
    """New events of one customer in a hundred."""
    return [
        Event(
            event_id=f"e{i}-{n}-{j}",
            customer_id=f"c{i % 100}",
            type=EventType.CLICK,
            sale_id=f"s{j % 7}",
            at=from_us(at_us),
        )
        for j in range(n)
    ]


async def report_times(url: str) -> None:
    """Print a line per call."""
    stores = Stores.open(url)
    at_us = await stores.server.time_us()
    customers = stores.customers
    calls: dict[str, Callable[[int], Awaitable[object]]] = {
        "ping": lambda _: stores.server.ping(),
        "append 1": lambda i: customers.append(clicks(i, 1, at_us=at_us)),
        "append 10": lambda i: customers.append(clicks(i, 10, at_us=at_us)),
        "read 128": lambda i: customers.read(f"c{i % 100}"),
        "read unknown": lambda i: customers.read(f"x{i}"),
    }
    for name, call in calls.items():
        print(f"{name:13}", await percentiles_ms(call))
    await stores.server.close()


def test_time_of_reads_and_appends(tmp_path: Path) -> None:
    """Report the times of the service's calls."""
    print()
    with embedded_server(tmp_path) as url:
        asyncio.run(report_times(url))
