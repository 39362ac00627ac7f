"""Authentication, authorisation by scope, and quota of API keys."""

import re
from collections.abc import Collection
from typing import Final

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.api.middleware.header import header_of
from app.api.middleware.refusals import Refusals
from app.errors import ForbiddenError, RateLimitedError, UnauthenticatedError
from app.security.key import Scope as KeyScope
from app.security.key_ring import KeyRing
from app.security.quota import Quotas

KEY_HEADER: Final = "X-API-Key"
_KEY_HEADER: Final = KEY_HEADER.lower().encode()
BEARER: Final = "bearer "

# Paths without secrets; orchestrators call them without a key.
PUBLIC: Final = frozenset(
    {
        "/",
        "/demo",
        "/docs",
        "/insight",
        "/openapi.json",
        "/web",
        "/v2",
        "/v2/health/live",
        "/v2/health/ready",
    }
)
PUBLIC_BELOW: Final = ("/demo/pictures/", "/health/", "/web/", "/v2/models/")

_SAFE: Final = ("GET", "HEAD", "OPTIONS")

# The first that fits counts. A website needs `read` and `events`, which open neither margins and
# stocks nor customers' histories.
_OPENED: Final[tuple[tuple[KeyScope, tuple[str, ...], re.Pattern[str]], ...]] = (
    (KeyScope.READ, _SAFE, re.compile(r"/v1/(recommendations|assignments|sales/[^/]+/similar)")),
    (KeyScope.READ, ("POST",), re.compile(r"/v1/(rank|pages|recommendations/batch)")),
    (KeyScope.EVENTS, ("POST",), re.compile(r"/v1/events")),
    (KeyScope.SALES, (*_SAFE, "POST", "PUT", "DELETE"), re.compile(r"/v1/sales(/.*)?")),
    (KeyScope.CUSTOMERS, (*_SAFE, "POST", "DELETE"), re.compile(r"/v1/customers/.*")),
    (KeyScope.CUSTOMERS, _SAFE, re.compile(r"/demo/customers")),
    (KeyScope.METRICS, _SAFE, re.compile(r"/metrics")),
    (KeyScope.RULES, (*_SAFE, "PUT"), re.compile(r"/v1/rules")),
    (
        KeyScope.INSPECT,
        _SAFE,
        re.compile(r"/v1/(orders|topics|plan|experiments|bundles|nights|promotions)(/.*)?"),
    ),
)
"""Scope, methods and whole path."""

# What the pages of /insight read.
_OF_INSIGHT: Final = frozenset(
    {KeyScope.SALES, KeyScope.CUSTOMERS, KeyScope.METRICS, KeyScope.RULES, KeyScope.INSPECT}
)


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


def is_opened(method: str, needed: KeyScope, *, scopes: Collection[KeyScope]) -> bool:
    """Tell whether a key of these scopes may send a request that needs one of them."""
    if needed in scopes:
        return True
    return KeyScope.INSIGHT in scopes and method in _SAFE and needed in _OF_INSIGHT


class Authentication:
    """ASGI middleware in front of all routes of a service with keys."""

    def __init__(
        self,
        app: ASGIApp,
        keys: KeyRing,
        *,
        quotas: Quotas,
        limit: int,
        refusals: Refusals,
    ) -> None:
        self._app = app
        self._keys = keys
        self._quotas = quotas
        self._limit = limit
        self._refusals = refusals

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, or answer 401, 403 or 429 before any of it is read."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        needed = required_scope(scope["method"], scope["path"])
        if needed is None:
            await self._app(scope, receive, send)
            return
        entry = self._keys.recognise(_given_key(scope))
        if entry is None:
            headers = {"WWW-Authenticate": 'Bearer realm="vitrine"'}
            answer = self._refusals.answer(scope, UnauthenticatedError(), headers=headers)
            await answer(scope, receive, send)
            return
        # Forbidden calls count as well: a wrong key cannot try routes without a limit.
        grant = self._quotas.take(entry.key_id, entry.per_second or self._limit)
        if grant.is_granted and is_opened(scope["method"], needed, scopes=entry.scopes):
            scope["key_id"], scope["key_scopes"] = entry.key_id, entry.scopes

            async def send_with_quota(message: Message) -> None:
                if message["type"] == "http.response.start":
                    granted = ((k.lower().encode(), v.encode()) for k, v in grant.headers.items())
                    message["headers"] = [*message.get("headers", ()), *granted]
                await send(message)

            await self._app(scope, receive, send_with_quota)
            return
        refusal, headers = ForbiddenError(needed), grant.headers
        if not grant.is_granted:
            refusal = RateLimitedError(grant.limit)
            headers = {**headers, "Retry-After": str(grant.wait_s)}
        answer = self._refusals.answer(scope, refusal, key_id=entry.key_id, headers=headers)
        await answer(scope, receive, send)


def _given_key(scope: Scope) -> str:
    given = header_of(scope, _KEY_HEADER)
    if given is not None:
        return given
    authorization = header_of(scope, b"authorization") or ""
    is_bearer = authorization[: len(BEARER)].lower() == BEARER
    return authorization[len(BEARER) :].strip() if is_bearer else ""
