"""Cost of a page of rows beside one list.

Question: `POST /v1/pages` with three and six rows of ten sales, beside `GET /v1/recommendations`
with ten and with sixty sales, of about 100 open ones, by one caller of one worker; the embedded
store, everything on this machine.

Method: one keep-alive connection; blocks of requests of each kind take turns in the same run, so
that what else the machine does meets all alike. Processor time of the service and its store a
request, over all blocks, and the medians of its latency.

Last numbers: see docs/website.md, and results/benchmarks/pages.json after `make bench`.
"""

import asyncio
import time
from collections.abc import Generator, Sequence
from urllib.parse import urlsplit

import numpy as np
import orjson
import pytest

from benchmarks.bench_load import cpu_s
from benchmarks.results import write_result
from tests.end_to_end.service import Service, serving
from tests.worlds import train_bundle, write_world

N_BLOCKS = 12
N_REQUESTS = 200
N_CUSTOMERS = 200
LIST = "list of 10"

_ROWS = (
    {"name": "for-you"},
    {"name": "because", "kind": "because_you_looked"},
    {"name": "new", "kind": "opening_now", "hours": 48},
    {"name": "last", "kind": "closing_soon", "hours": 48},
    {"name": "cheap", "filter": "price < 300"},
    {"name": "bought", "kind": "like_what_you_bought"},
)


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Generator[Service]:
    """Serve the catalogue that a small bundle brings along."""
    folder = tmp_path_factory.mktemp("pages")
    data = write_world(folder / "data", seed=3)
    bundle = train_bundle(data, folder / "bundles", cache=folder / "cache")
    names = {"VITRINE_BUNDLES": str(bundle.parent), "VITRINE_BUNDLE": bundle.name}
    with serving(folder, **names) as running:
        running.wait_until("/health/ready", status=200)
        yield running


def got(host: str, limit: int) -> list[bytes]:
    """Return requests for lists."""
    path = "/v1/recommendations?limit=%d&customer_id=c%d"
    return [
        f"GET {path % (limit, n % N_CUSTOMERS)} HTTP/1.1\r\nHost: {host}\r\n\r\n".encode()
        for n in range(N_REQUESTS)
    ]


def posted(host: str, n_rows: int) -> list[bytes]:
    """Return requests for pages."""
    found: list[bytes] = []
    for n in range(N_REQUESTS):
        body = orjson.dumps({"customer_id": f"c{n % N_CUSTOMERS}", "rows": _ROWS[:n_rows]})
        head = (
            f"POST /v1/pages HTTP/1.1\r\nHost: {host}\r\nContent-Type: application/json\r\n"
            f"Content-Length: {len(body)}\r\n\r\n"
        )
        found.append(head.encode() + body)
    return found


async def ask(url: str, requests: Sequence[bytes]) -> list[float]:
    """Send requests one after the other over one connection; return milliseconds."""
    parts = urlsplit(url)
    reader, writer = await asyncio.open_connection(parts.hostname, parts.port)
    times: list[float] = []
    for request in requests:
        started = time.perf_counter()
        writer.write(request)
        head = await reader.readuntil(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 200"), head
        length = int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
        await reader.readexactly(length)
        times.append((time.perf_counter() - started) * 1_000)
    writer.close()
    await writer.wait_closed()
    return times


def test_pages_beside_lists(service: Service) -> None:
    """Measure all kinds in turns."""
    host = urlsplit(service.url).netloc
    kinds = {
        LIST: got(host, 10),
        "list of 60": got(host, 60),
        "page of 3 rows": posted(host, 3),
        "page of 6 rows": posted(host, 6),
    }
    times: dict[str, list[float]] = {name: [] for name in kinds}
    spent_s = dict.fromkeys(kinds, 0.0)
    for _ in range(N_BLOCKS):
        for name, requests in kinds.items():
            before_s = cpu_s(service.process.pid)
            times[name] += asyncio.run(ask(service.url, requests))
            spent_s[name] += cpu_s(service.process.pid) - before_s
    figures = {
        name: {
            "processor_ms": round(1_000 * spent_s[name] / len(taken), 3),
            "of_a_list": round(spent_s[name] / spent_s[LIST], 3),
            "p50_ms": round(float(np.median(taken)), 3),
        }
        for name, taken in times.items()
    }
    write_result("pages", figures)
