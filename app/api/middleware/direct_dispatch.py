"""Direct dispatch of the routes that answer most requests."""

from collections.abc import Callable, Sequence

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from app.api.direct_route import DirectRoute


class DirectDispatch:
    """Innermost ASGI middleware: answers each `DirectRoute`, and passes all other requests on."""

    def __init__(
        self,
        app: ASGIApp,
        routes: Sequence[DirectRoute],
        *,
        errors: tuple[type[Exception], ...],
        render_error: Callable[[Request, Exception], Response],
    ) -> None:
        self._app = app
        self._errors = errors
        self._render_error = render_error
        self._routes = {
            (method, route.path): (route, route.get_route_handler())
            for route in routes
            for method in route.methods or ()
        }

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request whose method and path are those of a direct route."""
        found = self._routes.get((scope["method"], scope["path"])) if "method" in scope else None
        if found is None:
            await self._app(scope, receive, send)
            return
        scope["route"], handle = found
        request = Request(scope, receive, send)
        try:
            response = await handle(request)
        except self._errors as exc:
            response = self._render_error(request, exc)
        await response(scope, receive, send)
