"""OpenTelemetry traces: spans of requests and their stages, sent by OTLP over HTTP as JSON.

Nothing of this runs where the settings name no collector.
"""

import asyncio
import os
import random
import re
import time
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from socket import gethostname
from typing import Any, Final
from urllib.parse import urlsplit

import orjson
from prometheus_client import Counter

from app import __version__
from app.observability import get_logger

# Of a second of 2,000 sampled requests; some 2 MB.
MAX_WAITING: Final = 8_192
BATCH: Final = 2_048
TIMEOUT_S: Final = 5.0
WARN_EVERY_S: Final = 10.0

_TRACEPARENT: Final = re.compile(
    r"(?!ff)[0-9a-f]{2}-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(?:-.*)?"
)
_SAMPLED: Final = 1
_INTERNAL, _SERVER = 1, 2
_ERROR: Final = 2
_FIRST_FAULT: Final = 500
_ID_BYTES: Final = 8
_NS_PER_S: Final = 1_000_000_000

_log = get_logger(__name__)

Span = dict[str, Any]


@dataclass(frozen=True, slots=True)
class TraceParent:
    """Trace that a request belongs to, and the caller's span; see W3C Trace Context."""

    trace_id: str
    span_id: str


@dataclass(frozen=True, slots=True)
class TracedRequest:
    """A request that was answered.

    Attributes:
        started_s: When its head arrived, by `time.monotonic`.
        seconds: Time to the end of its answer.
        stages: Start by the same clock and seconds, by name.
        attributes: Further texts; empty ones are left out.
    """

    method: str
    route: str
    status: int
    started_s: float
    seconds: float
    stages: Mapping[str, tuple[float, float]]
    attributes: Mapping[str, str]


@dataclass(slots=True)
class Tracer:
    """Keeps spans until they are sent; a background task sends them.

    Attributes:
        url: Where the collector takes traces, usually with the path ``/v1/traces``.
        share: Share of requests traced of those whose caller does not decide.
        outcomes: Counts spans, sent or dropped.
    """

    url: str
    share: float
    outcomes: Counter
    _waiting: deque[Span] = field(default_factory=deque[Span])
    _warned_s: float = -WARN_EVERY_S

    def record(self, request: TracedRequest, traceparent: str | None) -> None:
        """Keep the spans of a request, if its caller or the share says so."""
        found = _TRACEPARENT.fullmatch(traceparent or "")
        if found is not None and int(found[1], 16) and int(found[2], 16):
            parent: TraceParent | None = TraceParent(found[1], found[2])
            is_traced = bool(int(found[3], 16) & _SAMPLED)
        else:
            parent, is_traced = None, random.random() < self.share  # noqa: S311 - a sample, no secret
        if not is_traced:
            return
        spans = _spans(request, parent)
        if len(self._waiting) + len(spans) > MAX_WAITING:
            self.outcomes.labels("dropped").inc(len(spans))
            return
        self._waiting.extend(spans)

    async def send(self) -> None:
        """Send what waits; spans that the collector does not take are dropped, and counted."""
        while self._waiting:
            batch = [self._waiting.popleft() for _ in range(min(BATCH, len(self._waiting)))]
            try:
                await asyncio.to_thread(self._post, orjson.dumps(_document(batch)))
            except (OSError, HTTPException) as exc:
                self.outcomes.labels("dropped").inc(len(batch))
                self._warn(str(exc), len(batch))
                return
            self.outcomes.labels("sent").inc(len(batch))

    def _post(self, body: bytes) -> None:
        parts = urlsplit(self.url)
        connection_type = HTTPSConnection if parts.scheme == "https" else HTTPConnection
        connection = connection_type(parts.netloc, timeout=TIMEOUT_S)
        try:
            path = parts.path + (f"?{parts.query}" if parts.query else "")
            connection.request("POST", path, body, {"Content-Type": "application/json"})
            answer = connection.getresponse()
            answer.read()
        finally:
            connection.close()
        if answer.status != HTTPStatus.OK:
            msg = f"the collector answered {answer.status}"
            raise OSError(msg)

    def _warn(self, reason: str, n_spans: int) -> None:
        if time.monotonic() - self._warned_s > WARN_EVERY_S:
            self._warned_s = time.monotonic()
            _log.warning("spans were dropped", reason=reason, spans=n_spans)


def _spans(request: TracedRequest, parent: TraceParent | None) -> list[Span]:
    """Return the span of a request and one of each stage."""
    trace_id = parent.trace_id if parent else random.randbytes(2 * _ID_BYTES).hex()  # noqa: S311 - no secret
    wall_ns = time.time_ns() - int(time.monotonic() * _NS_PER_S)

    def span(name: str, *, kind: int, started_s: float, seconds: float) -> Span:
        start_ns = wall_ns + int(started_s * _NS_PER_S)
        return {
            "traceId": trace_id,
            "spanId": random.randbytes(_ID_BYTES).hex(),  # noqa: S311 - no secret
            "name": name,
            "kind": kind,
            "startTimeUnixNano": str(start_ns),
            "endTimeUnixNano": str(start_ns + int(seconds * _NS_PER_S)),
        }

    name = f"{request.method} {request.route}"
    root = span(name, kind=_SERVER, started_s=request.started_s, seconds=request.seconds)
    texts = {"http.request.method": request.method, "http.route": request.route}
    root["attributes"] = [
        *_texts({**texts, **request.attributes}),
        {"key": "http.response.status_code", "value": {"intValue": str(request.status)}},
    ]
    if parent is not None:
        root["parentSpanId"] = parent.span_id
    if request.status >= _FIRST_FAULT:
        root["status"] = {"code": _ERROR}
    stages = [
        span(stage, kind=_INTERNAL, started_s=start_s, seconds=seconds)
        | {"parentSpanId": root["spanId"]}
        for stage, (start_s, seconds) in request.stages.items()
    ]
    return [root, *stages]


def _texts(values: Mapping[str, str]) -> list[dict[str, object]]:
    return [{"key": key, "value": {"stringValue": text}} for key, text in values.items() if text]


def _document(spans: list[Span]) -> dict[str, object]:
    resource = {
        "service.name": "vitrine",
        "service.version": __version__,
        "service.instance.id": f"{gethostname()}-{os.getpid()}",
    }
    scope = {"name": "vitrine", "version": __version__}
    return {
        "resourceSpans": [
            {
                "resource": {"attributes": _texts(resource)},
                "scopeSpans": [{"scope": scope, "spans": spans}],
            }
        ]
    }
