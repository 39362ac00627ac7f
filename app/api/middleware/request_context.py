"""Request context: request id, security headers, timing, and metrics of every answer.

Unexpected errors are answered here: outside of it their answer and log line would lack the id.
"""

from collections.abc import Callable
from secrets import token_hex
from time import monotonic
from typing import Final

from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from structlog.contextvars import bind_contextvars, get_contextvars, reset_contextvars

from app.api.middleware.header import header_of
from app.bounded_log import BoundedLog
from app.network.protocol import ARRIVED, GONE
from app.observability import ACCESS_LOGGER, get_logger
from app.resources import Worker
from app.tracing import TracedRequest

REQUEST_ID: Final = b"x-request-id"
TRACEPARENT: Final = b"traceparent"
MAX_REQUEST_ID: Final = 64  # chosen; UUIDs have 36 characters, trace ids of W3C 32
# Status, in the log and the metrics alone, of a request whose caller left; as nginx has it.
CALLER_GONE: Final = 499

# Answers are for one customer: no cache may keep them, and no page may embed or run them.
# Appended as ASGI sends them, as no route sets one: `MutableHeaders` would look for each.
SECURITY_HEADERS: Final = (
    (b"cache-control", b"no-store"),
    (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'"),
    (b"referrer-policy", b"no-referrer"),
    (b"x-content-type-options", b"nosniff"),
)

# In the state of a scope: headers of a page, in place of these.
OWN_HEADERS: Final = "own_headers"

_log = get_logger(__name__)
_access_log = get_logger(ACCESS_LOGGER)


class RequestContext:
    """ASGI middleware around all routes and other middlewares; `render_error` makes the 500."""

    def __init__(
        self,
        app: ASGIApp,
        worker: Worker,
        *,
        slow_s: float,
        logs_access: bool,
        render_error: Callable[[Request, Exception], Response],
    ) -> None:
        self._app = app
        self._worker = worker
        self._slow_s = slow_s
        self._logs_access = logs_access
        self._render_error = render_error
        # Under load all requests are slow, and a line each would slow them further.
        self._slow_log = BoundedLog(__name__)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, and complete its answer."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        # The worker's protocol records when the head arrived; other servers, as of tests, do not.
        started = scope.setdefault("state", {}).setdefault(ARRIVED, monotonic())
        request_id = _request_id(scope)
        status, has_begun = 500, False

        async def complete(message: Message) -> None:
            nonlocal status, has_begun
            if message["type"] == "http.response.start":
                has_begun = True
                status = int(message["status"])
                stages = scope["state"].get("stages", {})
                seconds = {name: s for name, (_, s) in stages.items()}
                seconds["total"] = monotonic() - started
                timing = ", ".join(f"{name};dur={s * 1e3:.3f}" for name, s in seconds.items())
                own = ((REQUEST_ID, request_id.encode()), (b"server-timing", timing.encode()))
                secure = scope["state"].get(OWN_HEADERS, SECURITY_HEADERS)
                headers = [*message.get("headers", ()), *own, *secure]
                if self._worker.drain.started:
                    headers.append((b"connection", b"close"))  # the next is for another process
                message["headers"] = headers
            await send(message)

        tokens = bind_contextvars(request_id=request_id)
        try:
            await self._app(scope, receive, complete)
        except ClientDisconnect:
            status = CALLER_GONE
        except Exception as exc:
            _log.exception(
                "unexpected error, a fault of this service: report it", route=_route(scope)
            )
            if has_begun:
                raise  # the server closes the connection: the caller sees that a part is lost
            await self._render_error(Request(scope), exc)(scope, receive, complete)
        finally:
            self._observe(scope, status, started, seconds=monotonic() - started)
            reset_contextvars(**tokens)

    def _observe(self, scope: Scope, status: int, started: float, *, seconds: float) -> None:
        state = scope["state"]
        status = CALLER_GONE if GONE in state else status
        seen = (state.get(name, "") for name in ("variant", "bundle", "degraded"))
        route = _route(scope)
        self._worker.metrics.requests.labels(route, str(status), *seen).observe(seconds)
        if seconds > self._slow_s:
            self._worker.metrics.slow.labels(route).inc()
            stages = {name: round(s * 1e3, 3) for name, (_, s) in state.get("stages", {}).items()}
            self._slow_log.warning(
                "slow request",
                route,
                route=route,
                status=status,
                total_ms=round(seconds * 1e3, 3),
                stages_ms=stages,
            )
        if self._logs_access or self._worker.tracer is not None:
            self._report(scope, status, started, seconds=seconds)

    def _report(self, scope: Scope, status: int, started: float, *, seconds: float) -> None:
        """Log and trace one request, as the settings ask for."""
        state, method, route = scope["state"], str(scope["method"]), _route(scope)
        seen = {name: str(state.get(name) or "") for name in ("variant", "bundle", "degraded")}
        if self._logs_access:
            key, total_ms = scope.get("key_id", ""), round(seconds * 1e3, 3)
            _access_log.info(
                "request",
                method=method,
                route=route,
                status=status,
                total_ms=total_ms,
                key=key,
                **seen,
            )
        if self._worker.tracer is not None:
            traced = TracedRequest(
                method=method,
                route=route,
                status=status,
                started_s=started,
                seconds=seconds,
                stages=state.get("stages", {}),
                attributes={f"vitrine.{name}": text for name, text in seen.items()}
                | {"vitrine.request_id": get_contextvars()["request_id"]},
            )
            self._worker.tracer.record(traced, header_of(scope, TRACEPARENT))


def _route(scope: Scope) -> str:
    # Paths that no route has would make a series each.
    return getattr(scope.get("route"), "path", "none")


def _request_id(scope: Scope) -> str:
    # A caller's id goes into log lines and headers: anything but a plain word is replaced.
    given = header_of(scope, REQUEST_ID)
    if not given:
        return token_hex(16)
    plain = given.replace("-", "").replace("_", "")
    if plain.isascii() and plain.isalnum() and len(given) <= MAX_REQUEST_ID:
        return given
    return token_hex(16)
