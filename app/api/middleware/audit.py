"""Audit log: a line for every request that changes something, refused ones too."""

from typing import Final

from starlette.requests import ClientDisconnect, Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.api.dependencies import caller
from app.api.middleware.encoded_slashes import SLASH
from app.api.middleware.request_context import CALLER_GONE
from app.observability import audit_log

UNCHANGING: Final = frozenset({"GET", "HEAD", "OPTIONS"})
# Posts that change nothing that an operator is responsible for; events are in the metrics.
NO_CHANGES: Final = frozenset({"/v1/events", "/v1/rank", "/v1/pages", "/v1/recommendations/batch"})
# No log line names a customer: logs are kept longer than erased customers may be.
NOT_LOGGED: Final = frozenset({"customer_id"})


class Audit:
    """ASGI middleware behind authentication: records the change and the id of the key.

    A route adds what its path does not show with `changed`.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, and log it once it is answered."""
        if not (scope["type"] == "http" and is_change(scope)):
            await self._app(scope, receive, send)
            return
        status = 500  # where an exception leaves the application before an answer begins

        async def seen(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = int(message["status"])
            await send(message)

        try:
            await self._app(scope, receive, seen)
        except ClientDisconnect:
            status = CALLER_GONE
            raise
        finally:
            params = scope.get("path_params", {})
            audit_log().info(
                "change",
                method=scope["method"],
                route=getattr(scope.get("route"), "path", "none"),
                status=status,
                caller=caller(Request(scope)),
                **{
                    name: str(value).replace(SLASH, "/")
                    for name, value in params.items()
                    if name not in NOT_LOGGED
                },
                **scope.get("state", {}).get("changed", {}),
            )


def is_change(scope: Scope) -> bool:
    """Tell whether a request changes something, if it is not refused."""
    return scope["method"] not in UNCHANGING and scope["path"] not in NO_CHANGES


def changed(request: Request, **what: object) -> None:
    """Add to the audit line of a request what its path does not show."""
    request.state.changed = what
