"""Protection of a service without keys from web pages in a browser of its machine.

Such a page reaches loopback too: it posts from its own origin, or has its own name resolve to
127.0.0.1 (DNS rebinding).
"""

from functools import lru_cache
from typing import Final
from urllib.parse import urlsplit

from starlette.types import ASGIApp, Receive, Scope, Send

from app.api.middleware.authentication import required_scope
from app.api.middleware.header import header_of
from app.api.middleware.refusals import Refusals
from app.errors import ForeignHostError, ForeignOriginError
from app.settings import is_loopback

# Chosen: a machine has few names for itself, and callers choose how long a Host is.
KEPT_HOSTS: Final = 16


class LocalCallers:
    """ASGI middleware in front of all routes of a service that only its machine may call."""

    def __init__(self, app: ASGIApp, refusals: Refusals) -> None:
        self._app = app
        self._refusals = refusals

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, or answer 403 where its Host or its Origin is another machine's."""
        app = self._app
        # Paths that need no key hold no secrets and change nothing: probes call them by any name.
        if scope["type"] == "http" and required_scope(scope["method"], scope["path"]) is not None:
            refusal = _refusal(scope)
            app = app if refusal is None else self._refusals.answer(scope, refusal)
        await app(scope, receive, send)


def _refusal(scope: Scope) -> ForeignHostError | ForeignOriginError | None:
    # Every browser sends a Host; HTTP/1.0 does not need one.
    host, origin = header_of(scope, b"host"), header_of(scope, b"origin")
    if host is not None and not _names_loopback(host):
        return ForeignHostError(host)
    if origin is not None and origin.partition("://")[2] != host:
        return ForeignOriginError(origin)
    return None


@lru_cache(KEPT_HOSTS)
def _names_loopback(host: str) -> bool:
    try:
        return is_loopback(urlsplit(f"//{host}").hostname or "")
    except ValueError:  # brackets without an address
        return False
