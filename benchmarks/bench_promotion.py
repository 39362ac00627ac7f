"""Latency that a bundle in shadow adds to the answers of customers.

Question: `GET /v1/recommendations?limit=10` with about 100 open sales, with and without another
bundle in shadow; one worker, the embedded store, everything on this machine.

Method: one keep-alive connection, which asks on and on, as loud a load as one caller makes;
blocks of requests with and without the shadow take turns in the same run, so that what else the
machine does meets both alike. Percentiles over all blocks of a kind, the ratio of medians block
by block with the smallest and largest, and how many answers the shadow ranked and dropped.

Last numbers: see docs/experiments.md, and results/benchmarks/promotion.json after `make bench`.
"""

import asyncio
import re
import time
from collections.abc import Generator
from dataclasses import dataclass
from urllib.parse import urlsplit

import httpx
import numpy as np
import pytest

from benchmarks.results import write_result
from tests.bundles import recalibrated
from tests.end_to_end.service import Service, serving
from tests.worlds import train_bundle, write_world

N_BLOCKS = 10
N_REQUESTS = 300
N_CUSTOMERS = 200


@dataclass(frozen=True)
class Shop:
    """A running service, and the bundle that is to be its shadow."""

    service: Service
    candidate: str


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Generator[Shop]:
    """Serve the catalogue that a small bundle brings along."""
    folder = tmp_path_factory.mktemp("promotion")
    data = write_world(folder / "data", seed=3)
    bundle = train_bundle(data, folder / "bundles", cache=folder / "cache")
    candidate = recalibrated(bundle, bundle.parent, shift=0.1)
    names = {"VITRINE_BUNDLES": str(bundle.parent), "VITRINE_BUNDLE": bundle.name}
    with serving(folder, **names) as running:
        running.wait_until("/health/ready", status=200)
        yield Shop(running, candidate.name)


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


def shadowed(shop: Shop, *, is_on: bool) -> None:
    """Put the candidate into the shadow of the only worker, or take it out."""
    method, body = ("PUT", {"bundle": shop.candidate}) if is_on else ("DELETE", None)
    url = f"{shop.service.url}/v1/bundles/shadow"
    assert httpx.request(method, url, json=body, timeout=60.0).status_code == 200


def outcomes(shop: Shop) -> dict[str, float]:
    """Count answers by outcome while there was a shadow."""
    metrics = httpx.get(f"{shop.service.url}/metrics", timeout=60.0).text
    found = re.findall(r'shadow_answers_total\{outcome="(\w+)"\} ([\d.]+)', metrics)
    return {name: float(n) for name, n in found}


def figures(times: list[list[float]]) -> dict[str, float]:
    """Return percentiles of milliseconds over all blocks of a kind."""
    p50, p95, p99 = np.percentile(np.concatenate(times), [50, 95, 99])
    return {"p50_ms": round(p50, 3), "p95_ms": round(p95, 3), "p99_ms": round(p99, 3)}


def test_a_shadow_beside_answers(shop: Shop) -> None:
    """Measure both kinds of blocks in turns; the shadow must have worked, and dropped the rest."""
    paths = [f"/v1/recommendations?customer_id=c{n % N_CUSTOMERS}" for n in range(N_REQUESTS)]
    times: dict[bool, list[list[float]]] = {False: [], True: []}
    for number in range(2 * N_BLOCKS):
        is_on = number % 4 in {1, 2}  # off, on, on, off: neither kind is always the later one
        shadowed(shop, is_on=is_on)
        times[is_on].append(asyncio.run(ask(shop.service.url, paths)))
    shadowed(shop, is_on=False)
    medians = {kind: [float(np.median(block)) for block in times[kind]] for kind in times}
    ratios = [on / off for on, off in zip(medians[True], medians[False], strict=True)]
    counted = outcomes(shop)
    answers = N_BLOCKS * N_REQUESTS
    # The last one of each block may not be counted yet as the metrics are read.
    assert answers - 1 <= counted["scored"] + counted["dropped"] <= answers
    assert counted["scored"] > 0
    write_result(
        "promotion",
        {
            "without": figures(times[False]),
            "with_shadow": figures(times[True]),
            "ratio_of_medians": {
                "smallest": round(min(ratios), 3),
                "median": round(float(np.median(ratios)), 3),
                "largest": round(max(ratios), 3),
            },
            "shadow": counted,
        },
    )
