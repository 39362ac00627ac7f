"""Routes of the pages that the settings turn on."""

from collections.abc import Awaitable, Callable

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.routing import Route

from app import __version__
from app.pages.page_file import POLICY, SWAGGER_POLICY, page_files
from app.settings import Settings

Endpoint = Callable[[Request], Awaitable[Response]]


def page_routes(settings: Settings) -> list[Route]:
    """Return the routes of all pages that the settings turn on, and of `/`."""
    pages = ["/docs"] if settings.has_pages else []
    routes = [Route("/", _front(pages))]
    if settings.has_pages:
        routes.append(Route("/docs", _page("docs.html", SWAGGER_POLICY)))
    if pages:
        routes.append(Route("/pages/{path:path}", _static))
    return routes


def _page(name: str, policy: str = POLICY) -> Endpoint:
    file = page_files()[name]

    async def page(request: Request) -> Response:
        return file.answer(request, policy)

    return page


async def _static(request: Request) -> Response:
    file = page_files().get(request.path_params["path"])
    if file is None:
        raise HTTPException(404)
    return file.answer(request)


def _front(pages: list[str]) -> Endpoint:
    """Say what is served here, and lead people to the shop window."""

    async def front(_request: Request) -> Response:
        if "/demo" in pages:
            return RedirectResponse("/demo")
        links = {"pages": pages, "openapi": "/openapi.json", "health": "/health/ready"}
        return JSONResponse({"service": "vitrine", "version": __version__, **links})

    return front
