"""Traces: spans of requests and of their stages, as a collector receives them."""

import asyncio
import json
import random
import time
from collections.abc import Generator
from contextlib import contextmanager
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import httpx
import pytest
from prometheus_client import Counter

from app.observability import Metrics
from app.resources import Worker
from app.settings import Settings
from app.tracing import MAX_WAITING, TracedRequest, Tracer
from tests.served import served

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
CALLER = "00f067aa0ba902b7"
TRACED = TracedRequest(
    method="GET",
    route="/v1/sales",
    status=503,
    started_s=time.monotonic(),
    seconds=0.25,
    stages={"read": (time.monotonic(), 0.125)},
    attributes={"vitrine.variant": "home:b", "vitrine.degraded": ""},
)


class Collector:
    """Takes traces as a collector does, and keeps them."""

    def __init__(self, status: int = 200) -> None:
        self.received: list[tuple[str, str, dict[str, Any]]] = []
        received, answered = self.received, status

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                received.append((self.path, self.headers["Content-Type"], json.loads(body)))
                self.send_response(answered)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - its name there
                """Say nothing."""

        self._server = HTTPServer(("127.0.0.1", 0), Handler)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}/v1/traces"

    def spans(self) -> list[dict[str, Any]]:
        return [
            span
            for _, _, document in self.received
            for resource in document["resourceSpans"]
            for scope in resource["scopeSpans"]
            for span in scope["spans"]
        ]

    @contextmanager
    def running(self) -> Generator["Collector"]:
        with served(self._server):
            yield self


def counted(outcomes: Counter) -> dict[str, float]:
    (spans,) = outcomes.collect()
    return {s.labels["outcome"]: s.value for s in spans.samples if s.name.endswith("_total")}


async def test_a_collector_gets_the_request_and_its_stages_below_the_callers_span() -> None:
    with Collector().running() as collector:
        tracer = Tracer(collector.url, 0.0, Metrics().health.spans)
        began_ns = time.time_ns() - round((time.monotonic() - TRACED.started_s) * 1e9)
        tracer.record(TRACED, f"00-{TRACE}-{CALLER}-01")
        await tracer.send()

    ((path, media_type, document),) = collector.received
    assert (path, media_type) == ("/v1/traces", "application/json")
    (resource,) = document["resourceSpans"]
    assert {"key": "service.name", "value": {"stringValue": "vitrine"}} in resource["resource"][
        "attributes"
    ]
    request, read = collector.spans()
    assert {span["traceId"] for span in (request, read)} == {TRACE}
    assert (request["parentSpanId"], read["parentSpanId"]) == (CALLER, request["spanId"])
    assert (request["name"], request["kind"]) == ("GET /v1/sales", 2)
    assert (read["name"], read["kind"]) == ("read", 1)
    assert request["status"] == {"code": 2}
    lengths = [
        int(one["endTimeUnixNano"]) - int(one["startTimeUnixNano"]) for one in (request, read)
    ]
    assert lengths == [250_000_000, 125_000_000]
    assert abs(int(request["startTimeUnixNano"]) - began_ns) < 1_000_000_000
    values = {one["key"]: one["value"] for one in request["attributes"]}
    assert values == {
        "http.request.method": {"stringValue": "GET"},
        "http.route": {"stringValue": "/v1/sales"},
        "http.response.status_code": {"intValue": "503"},
        "vitrine.variant": {"stringValue": "home:b"},
    }
    assert counted(tracer.outcomes) == {"sent": 2.0}


@pytest.mark.parametrize(
    ("traceparent", "share", "is_traced"),
    [
        (f"00-{TRACE}-{CALLER}-00", 1.0, False),
        (f"00-{TRACE}-{CALLER}-01", 0.0, True),
        (f"01-{TRACE}-{CALLER}-03-later", 0.0, True),
        (None, 0.0, False),
        (None, 1.0, True),
        (f"ff-{TRACE}-{CALLER}-01", 0.0, False),
        (f"00-{'0' * 32}-{CALLER}-01", 0.0, False),
        (f"00-{TRACE.upper()}-{CALLER}-01", 0.0, False),
        ("00-1-1-01\r\n", 0.0, False),
    ],
)
async def test_the_caller_decides_and_otherwise_the_share(
    traceparent: str | None, share: float, is_traced: bool
) -> None:
    with Collector().running() as collector:
        tracer = Tracer(collector.url, share, Metrics().health.spans)
        tracer.record(TRACED, traceparent)
        await tracer.send()

    assert bool(collector.spans()) == is_traced


async def test_a_share_of_requests_is_traced() -> None:
    random.seed(20)
    with Collector().running() as collector:
        tracer = Tracer(collector.url, 0.1, Metrics().health.spans)
        for _ in range(2_000):
            tracer.record(TRACED, None)
        await tracer.send()

    # Two spans each; five standard errors of a binomial of 2,000 and 0.1 are 67.
    assert abs(len(collector.spans()) / 2 - 200) < 67


@pytest.mark.parametrize("is_there", [True, False])
async def test_what_the_collector_does_not_take_is_dropped_and_counted(*, is_there: bool) -> None:
    with Collector(status=503).running() as collector:
        url = collector.url if is_there else "http://127.0.0.1:9/v1/traces"
        tracer = Tracer(url, 1.0, Metrics().health.spans)
        tracer.record(TRACED, None)
        await tracer.send()

    assert counted(tracer.outcomes) == {"dropped": 2.0}


def test_spans_that_wait_are_bounded() -> None:
    tracer = Tracer("http://127.0.0.1:9", 1.0, Metrics().health.spans)
    for _ in range(MAX_WAITING // 2 + 3):
        tracer.record(TRACED, None)

    assert counted(tracer.outcomes) == {"dropped": 6.0}


@pytest.fixture
def collector() -> Generator[Collector]:
    with Collector().running() as collector:
        yield collector


@pytest.fixture
def settings(settings: Settings, collector: Collector) -> Settings:
    return settings.model_copy(update={"traces_to": collector.url, "traced_share": 0.0})


async def test_answers_and_events_are_traced_without_their_customers(
    client: httpx.AsyncClient, worker: Worker, collector: Collector
) -> None:
    headers = {"traceparent": f"00-{TRACE}-{CALLER}-01", "X-Request-Id": "r-1"}
    event = {
        "event_id": "e-1",
        "customer_id": "visitor",
        "type": "search",
        "at": datetime.now(UTC).isoformat(),
    }
    await client.get("/v1/recommendations?customer_id=visitor&explain=true", headers=headers)
    await client.post("/v1/events", json={"events": [event]}, headers=headers)
    await client.get("/v1/recommendations?customer_id=visitor")
    deadline = time.monotonic() + 30.0
    while len(spans := collector.spans()) < 6:
        assert time.monotonic() < deadline, spans
        await asyncio.sleep(0.05)

    by_id = {span["spanId"]: span["name"] for span in spans}
    assert [(span["name"], by_id.get(span["parentSpanId"], "caller")) for span in spans] == [
        ("GET /v1/recommendations", "caller"),
        ("read", "GET /v1/recommendations"),
        ("rank", "GET /v1/recommendations"),
        ("explain", "GET /v1/recommendations"),
        ("POST /v1/events", "caller"),
        ("write", "POST /v1/events"),
    ]
    starts = [int(span["startTimeUnixNano"]) for span in spans]
    ends = [int(span["endTimeUnixNano"]) for span in spans]
    assert starts[:4] == sorted(starts[:4])
    assert all(ends[0] >= one for one in ends[1:4])
    text = json.dumps(spans)
    assert "visitor" not in text
    assert '"vitrine.request_id", "value": {"stringValue": "r-1"}' in text
    assert worker.tasks.sick() == ()
