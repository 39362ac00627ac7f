"""Page route: one whose path is named in metrics, as FastAPI's are."""

from collections.abc import Awaitable, Callable

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Match, Route
from starlette.types import Scope

Endpoint = Callable[[Request], Awaitable[Response]]


class PageRoute(Route):
    """Route of a page or of what it shows, for reading; not part of the API's document."""

    def __init__(self, path: str, endpoint: Endpoint) -> None:
        super().__init__(path, endpoint, include_in_schema=False)

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        """Match a path, and leave the route in the scope."""
        match, child = super().matches(scope)
        return match, {**child, "route": self}
