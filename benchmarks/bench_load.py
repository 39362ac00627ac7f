"""How many full answers a second one worker gives, however many callers ask at once.

Question: full answers, cheap ones and refusals a second, and how long `/health/live` takes beside
them, with 8, 32, 128 and 512 callers of `GET /v1/recommendations`; a fifth of the requests
posts an event in the second half of the runs.

Method: closed loop: every caller has a keep-alive connection of a bare asyncio client in this
process and asks again as soon as it was answered. A fixed time each after a warm-up, in turns, the
median of three. `deadline_ms` is ten times the default: a machine that others use as well would
otherwise answer nobody in time. The ratio to the best number of callers is what counts.

Last numbers: see results/benchmarks/load.json after `make bench`, and decision 0035.
"""

import asyncio
import random
import statistics
import time
from collections import Counter
from collections.abc import Generator
from contextlib import suppress
from dataclasses import dataclass, field
from urllib.parse import urlsplit

import numpy as np
import polars as pl
import pytest

from benchmarks.results import write_result
from tests.end_to_end.service import Service, run, serving
from tests.worlds import END_US, train_bundle
from training.simulator.creation import create_world
from training.simulator.parameters import WORLDS
from training.simulator.period import Period

CALLERS = (8, 32, 128, 512)
EVENT_SHARES = (0.0, 0.2)
N_RUNS = 3
RUN_S = 4.0
WARM_UP_S = 2.0
HEALTH_EVERY_S = 0.05


@dataclass(frozen=True)
class Shop:
    """A running service and its customers."""

    service: Service
    customers: list[str]


@dataclass
class Seen:
    """What callers were answered.

    Attributes:
        answers: By ``full``, the rung, ``events``, or the status.
        took_ms: Milliseconds of each answer.
        health_ms: Milliseconds of each `/health/live`.
    """

    answers: Counter[str] = field(default_factory=Counter[str])
    took_ms: list[float] = field(default_factory=list[float])
    health_ms: list[float] = field(default_factory=list[float])


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Generator[Shop]:
    """Serve a simulated shop."""
    folder = tmp_path_factory.mktemp("load")
    data = folder / "data"
    create_world(
        data, WORLDS["standard"], period=Period.ending(END_US, 10), n_customers=600, seed=1
    )
    bundle = train_bundle(data, folder / "bundles", cache=folder / "cache")
    arguments = ["--data", str(data), "--bundle", str(bundle)]
    loaded = run("app", "load", *arguments, VITRINE_STATE_DIR=str(folder / "state"))
    assert loaded.returncode == 0, loaded.stderr
    customers: list[str] = pl.read_parquet(data / "customers.parquet")["customer_id"].to_list()
    limits = {"VITRINE_DEADLINE_MS": "500", "VITRINE_READ_TIMEOUT_MS": "300"}
    with serving(folder, "--bundle", str(bundle), **limits) as running:
        running.wait_until("/health/ready", status=200)
        yield Shop(running, customers)


def recommendation(customer_id: str) -> bytes:
    """Return a request for a slate."""
    path = f"/v1/recommendations?customer_id={customer_id}&limit=10"
    return f"GET {path} HTTP/1.1\r\nHost: vitrine\r\n\r\n".encode()


def event(customer_id: str) -> bytes:
    """Return a request that posts one click."""
    at = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    body = (
        f'{{"events": [{{"event_id": "{random.random()}", "customer_id": "{customer_id}",'
        f' "type": "click", "sale_id": "s1", "at": "{at}"}}]}}'
    )
    head = f"POST /v1/events HTTP/1.1\r\nHost: vitrine\r\nContent-Length: {len(body)}\r\n"
    return f"{head}Content-Type: application/json\r\n\r\n{body}".encode()


async def exchange(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, request: bytes
) -> tuple[bytes, bytes]:
    """Send a request; return the status and the body of its answer."""
    writer.write(request)
    head = await reader.readuntil(b"\r\n\r\n")
    length = int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
    return head[9:12], await reader.readexactly(length)


async def call(address: tuple[str, int], shop: Shop, *, event_share: float, seen: Seen) -> None:
    """Ask again and again, until cancelled."""
    reader, writer = await asyncio.open_connection(*address)
    try:
        while True:
            customer_id, posts = random.choice(shop.customers), random.random() < event_share
            request = event(customer_id) if posts else recommendation(customer_id)
            started = time.perf_counter()
            status, body = await exchange(reader, writer, request)
            seen.took_ms.append((time.perf_counter() - started) * 1_000)
            seen.answers[kind_of(status, body)] += 1
    finally:
        writer.close()


def kind_of(status: bytes, body: bytes) -> str:
    """Say what an answer is."""
    if status != b"200":
        return status.decode()
    _, found, rest = body.partition(b'"degraded":')
    if not found:
        return "events"
    return "full" if rest.startswith(b"null") else rest.split(b'"')[1].decode()


async def watch(address: tuple[str, int], seen: Seen) -> None:
    """Ask whether the service lives, over a new connection each time, until cancelled."""
    while True:
        started = time.perf_counter()
        reader, writer = await asyncio.open_connection(*address)
        await exchange(reader, writer, b"GET /health/live HTTP/1.1\r\nHost: vitrine\r\n\r\n")
        seen.health_ms.append((time.perf_counter() - started) * 1_000)
        writer.close()
        await asyncio.sleep(HEALTH_EVERY_S)


async def measure(shop: Shop, n_callers: int, *, event_share: float) -> dict[str, float]:
    """Have callers ask for a while, and return what a second of it gave."""
    parts = urlsplit(shop.service.url)
    address = (parts.hostname or "", parts.port or 0)
    seen = Seen()
    tasks = [
        asyncio.create_task(call(address, shop, event_share=event_share, seen=seen))
        for _ in range(n_callers)
    ]
    await asyncio.sleep(WARM_UP_S)
    seen.answers.clear()
    seen.took_ms.clear()
    tasks.append(asyncio.create_task(watch(address, seen)))
    await asyncio.sleep(RUN_S)
    for task in tasks:
        task.cancel()
    for task in tasks:
        with suppress(asyncio.CancelledError):
            await task
    p50, p99 = np.percentile(seen.took_ms, [50, 99])
    figures = {f"{kind}_per_s": n / RUN_S for kind, n in seen.answers.items()}
    times = {"p50_ms": float(p50), "p99_ms": float(p99), "live_max_ms": max(seen.health_ms)}
    return {"full_per_s": 0.0, **figures, **times}


def median(runs: list[dict[str, float]]) -> dict[str, float]:
    """Take the median of each figure; what a run did not see is 0."""
    names = sorted({name for one in runs for name in one})
    return {name: round(statistics.median(one.get(name, 0.0) for one in runs), 1) for name in names}


def test_load(shop: Shop) -> None:
    """Measure each number of callers, without and with events."""
    figures: dict[str, object] = {}
    for event_share in EVENT_SHARES:
        runs: dict[int, list[dict[str, float]]] = {n: [] for n in CALLERS}
        for _ in range(N_RUNS):
            for n_callers, of_callers in runs.items():
                of_callers.append(asyncio.run(measure(shop, n_callers, event_share=event_share)))
        medians = {n: median(of_callers) for n, of_callers in runs.items()}
        best = max(one["full_per_s"] for one in medians.values())
        figures[f"{event_share:.0%} events"] = {
            f"{n}_callers": {**one, "full_of_best": round(one["full_per_s"] / best, 2)}
            for n, one in medians.items()
        }
    write_result("load", figures)
