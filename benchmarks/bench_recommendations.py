"""Throughput and latency of recommendations of one worker.

Question: `GET /v1/recommendations?limit=10` with about 300 open sales and customers who
have a window; one worker, the embedded store on its unix socket, everything on this machine.

Method: keep-alive connections of a bare asyncio client in this process; 1 and 8 at a time;
a fixed number of requests after a warm-up; three runs, the median of each figure. The bare
loop over `/health/live`, which touches nothing, is measured beside it in the same run: the
ratio says what the recommendation costs over the web server itself.

Last numbers: see results/benchmarks/recommendations.json after `make bench`.
"""

import asyncio
import statistics
import time
from collections.abc import Generator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
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

N_REQUESTS = 2_000
N_WARM_UP = 200
N_RUNS = 3
CONNECTIONS = (1, 8)

# So many a day, each open for some days, leave about 300 open at once.
SALES_PER_DAY = 55.0


@dataclass(frozen=True)
class Shop:
    """A running service, its customers, and how many sales are open."""

    service: Service
    customers: list[str]
    n_open: int


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Generator[Shop]:
    """Serve a simulated shop with about 300 open sales."""
    folder = tmp_path_factory.mktemp("recommendations")
    parameters = replace(WORLDS["standard"], sales_per_day=SALES_PER_DAY)
    data = folder / "data"
    create_world(data, parameters, period=Period.ending(END_US, 10), n_customers=600, seed=1)
    bundle = train_bundle(data, folder / "bundles", cache=folder / "cache")
    arguments = ["--data", str(data), "--bundle", str(bundle)]
    loaded = run("app", "load", *arguments, VITRINE_STATE_DIR=str(folder / "state"))
    assert loaded.returncode == 0, loaded.stderr
    customers: list[str] = pl.read_parquet(data / "customers.parquet")["customer_id"].to_list()
    with serving(folder, "--bundle", str(bundle), VITRINE_DEADLINE_MS="10000") as running:
        running.wait_until("/health/ready", status=200)
        yield Shop(running, customers, n_open(data))


def n_open(data: Path) -> int:
    """Count the sales of a dataset that are open now."""
    now = datetime.now(UTC)
    ends = pl.min_horizontal("closes_at", "sold_out_at")
    sales = pl.read_parquet(data / "sales.parquet")
    return sales.filter((pl.col("opens_at") <= now) & (ends > now)).height


async def ask(url: str, paths: list[str]) -> list[float]:
    """Ask for paths one after the other over one connection; return milliseconds."""
    parts = urlsplit(url)
    reader, writer = await asyncio.open_connection(parts.hostname, parts.port)
    times: list[float] = []
    for path in paths:
        started = time.perf_counter()
        writer.write(f"GET {path} HTTP/1.1\r\nHost: {parts.netloc}\r\n\r\n".encode())
        head = await reader.readuntil(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 200"), head
        length = int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
        await reader.readexactly(length)
        times.append((time.perf_counter() - started) * 1_000)
    writer.close()
    await writer.wait_closed()
    return times


async def measure(url: str, paths: list[str], *, connections: int) -> dict[str, float]:
    """Share paths among connections that ask at the same time."""
    await ask(url, paths[:N_WARM_UP])
    started = time.perf_counter()
    shares = [ask(url, paths[part::connections]) for part in range(connections)]
    times = [ms for part in await asyncio.gather(*shares) for ms in part]
    elapsed_s = time.perf_counter() - started
    p50, p99 = np.percentile(times, [50, 99])
    return {"per_second": len(times) / elapsed_s, "p50_ms": float(p50), "p99_ms": float(p99)}


def median(runs: list[dict[str, float]]) -> dict[str, float]:
    """Take the median of each figure."""
    return {name: round(statistics.median(r[name] for r in runs), 3) for name in runs[0]}


def test_recommendations(shop: Shop) -> None:
    """Measure one and eight connections, beside a route that does nothing."""
    rng = np.random.default_rng(0)
    asked = [str(rng.choice(shop.customers)) for _ in range(N_REQUESTS)]
    paths = {
        "recommendations": [f"/v1/recommendations?customer_id={c}&limit=10" for c in asked],
        "live": ["/health/live"] * N_REQUESTS,
    }
    figures: dict[str, object] = {"sales_open": shop.n_open}
    for connections in CONNECTIONS:
        measured = {
            name: median(
                [
                    asyncio.run(measure(shop.service.url, wanted, connections=connections))
                    for _ in range(N_RUNS)
                ]
            )
            for name, wanted in paths.items()
        }
        ratio = measured["live"]["per_second"] / measured["recommendations"]["per_second"]
        figures[f"{connections}_connections"] = {**measured, "times_live": round(ratio, 2)}
    write_result("recommendations", figures)
