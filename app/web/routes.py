"""Routes of the pages that the settings turn on."""

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response

from app import __version__
from app.settings import Settings
from app.web.page_file import POLICY, SWAGGER_POLICY, page_files
from app.web.page_route import Endpoint, PageRoute
from app.web.shop_window import ShopWindow


def page_routes(settings: Settings) -> list[PageRoute]:
    """Return the routes of all pages that the settings turn on, and of `/`."""
    pages: dict[str, Endpoint] = {}
    if settings.has_web_pages:
        pages["/docs"] = _page("docs.html", SWAGGER_POLICY)
        pages["/insight"] = _page("insight.html")
    if settings.demo is not None:
        pages["/demo"] = _page("demo.html")
    listed = _listed([*pages])
    routes = [PageRoute("/", _to_shop_window if "/demo" in pages else listed)]
    if pages:
        routes += [PageRoute("/web", listed), PageRoute("/web/{path:path}", _static)]
    routes += [PageRoute(path, page) for path, page in pages.items()]
    if settings.demo is not None:
        routes += ShopWindow(settings.demo).routes()
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


async def _to_shop_window(_request: Request) -> Response:
    return RedirectResponse("/demo")


def _listed(pages: list[str]) -> Endpoint:
    """Say what is served here."""

    async def listed(_request: Request) -> Response:
        links = {"pages": pages, "openapi": "/openapi.json", "health": "/health/ready"}
        return JSONResponse({"service": "vitrine", "version": __version__, **links})

    return listed
