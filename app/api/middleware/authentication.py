"""Authentication, authorisation by scope, and quota of API keys."""

import re
from typing import Final

from prometheus_client import Counter
from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.api.schema.problem import problem_response
from app.bounded_log import BoundedLog
from app.errors import ForbiddenError, RateLimitedError, ServiceError, UnauthenticatedError
from app.security.key import KeyEntry
from app.security.key import Scope as KeyScope
from app.security.key_ring import KeyRing
from app.security.quota import Grant, Quotas

KEY_HEADER: Final = "X-API-Key"
BEARER: Final = "bearer "

PUBLIC: Final = frozenset({"/openapi.json", "/v2", "/v2/health/live", "/v2/health/ready"})
PUBLIC_BELOW: Final = ("/health/", "/v2/models/")
"""Paths without secrets; orchestrators call them without a key."""

_SAFE: Final = ("GET", "HEAD", "OPTIONS")

_OPENED: Final[tuple[tuple[KeyScope, tuple[str, ...], re.Pattern[str]], ...]] = (
    (KeyScope.READ, _SAFE, re.compile(r"/v1/(recommendations|assignments|sales/[^/]+/similar)")),
    (KeyScope.READ, ("POST",), re.compile(r"/v1/rank")),
    (KeyScope.EVENTS, ("POST",), re.compile(r"/v1/events")),
    (KeyScope.SALES, (*_SAFE, "POST", "PUT", "DELETE"), re.compile(r"/v1/sales(/.*)?")),
    (KeyScope.CUSTOMERS, (*_SAFE, "DELETE"), re.compile(r"/v1/customers/.*")),
    (KeyScope.METRICS, _SAFE, re.compile(r"/metrics")),
    (KeyScope.INSPECT, _SAFE, re.compile(r"/v1/(plan|experiments|bundles|promotions)(/.*)?")),
)
"""Scope, methods and whole path; the first that fits counts. A website needs ``read`` and
``events``, which open neither margins and stocks nor customers' histories."""


def required_scope(method: str, path: str) -> KeyScope | None:
    """Return the scope that a request needs; None for none.

    A path that is not listed needs ``admin``: a new route is closed until it is listed.
    """
    if path in PUBLIC or path.startswith(PUBLIC_BELOW):
        return None
    for scope, methods, paths in _OPENED:
        if method in methods and paths.fullmatch(path):
            return scope
    return KeyScope.ADMIN


class Authentication:
    """ASGI middleware in front of all routes of a service with keys."""

    def __init__(
        self, app: ASGIApp, keys: KeyRing, *, quotas: Quotas, limit: int, refused: Counter
    ) -> None:
        self._app = app
        self._keys = keys
        self._quotas = quotas
        self._limit = limit
        self._refused = refused
        self._log = BoundedLog(__name__)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, or answer 401, 403 or 429 before any of it is read."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        needed = required_scope(scope["method"], scope["path"])
        if needed is None:
            await self._app(scope, receive, send)
            return
        entry = self._keys.recognise(_given_key(Headers(scope=scope)))
        grant = self._quotas.take(entry.key_id, entry.per_second or self._limit) if entry else None
        refusal = _refusal(entry, grant, needed=needed)
        if refusal is None:
            scope["key_id"] = entry.key_id if entry else ""
            await self._app(scope, receive, _telling(grant, send))
            return
        self._report(refusal, key_id=entry.key_id if entry else "")
        answer = problem_response(
            refusal.status, refusal.code, detail=str(refusal), headers=_headers(refusal, grant)
        )
        await answer(scope, receive, send)

    def _report(self, refusal: ServiceError, *, key_id: str) -> None:
        self._refused.labels(refusal.code, key_id).inc()
        self._log.warning(
            "a request was refused",
            refusal.code,
            key_id,
            code=refusal.code,
            key=key_id,
            reason=str(refusal),
        )


def _given_key(headers: Headers) -> str:
    given = headers.get(KEY_HEADER)
    if given is not None:
        return given
    authorization = headers.get("Authorization", "")
    is_bearer = authorization[: len(BEARER)].lower() == BEARER
    return authorization[len(BEARER) :].strip() if is_bearer else ""


def _refusal(
    entry: KeyEntry | None, grant: Grant | None, *, needed: KeyScope
) -> ServiceError | None:
    if entry is None or grant is None:
        return UnauthenticatedError()
    if not grant.is_granted:
        return RateLimitedError(grant.limit)
    return None if needed in entry.scopes else ForbiddenError(needed)


def _headers(refusal: ServiceError, grant: Grant | None) -> dict[str, str]:
    if grant is None:
        return {"WWW-Authenticate": 'Bearer realm="vitrine"'}
    retry = {"Retry-After": str(grant.wait_s)} if isinstance(refusal, RateLimitedError) else {}
    return {**grant.headers, **retry}


def _telling(grant: Grant | None, send: Send) -> Send:
    async def send_with_quota(message: Message) -> None:
        if grant is not None and message["type"] == "http.response.start":
            MutableHeaders(scope=message).update(grant.headers)
        await send(message)

    return send_with_quota
