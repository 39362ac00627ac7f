"""The ASGI application (FastAPI): lifespan, middlewares and routers."""

import asyncio
import time
from collections.abc import AsyncGenerator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import replace
from functools import cache
from http import HTTPStatus
from typing import Final, TypedDict

import orjson
from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.routing import Match, Route

from app import __version__
from app.api import (
    assignments,
    bundles,
    catalogue,
    customers,
    events,
    experiments,
    health,
    metrics,
    nights,
    orders,
    pages,
    promotions,
    rank,
    recommendations,
    rules,
    sales,
    topics,
)
from app.api.direct_route import DirectRoute
from app.api.middleware.admission import RETRY_AFTER, AdmissionControl
from app.api.middleware.audit import Audit
from app.api.middleware.authentication import Authentication
from app.api.middleware.body_limit import BodyLimit
from app.api.middleware.direct_dispatch import DirectDispatch
from app.api.middleware.encoded_slashes import EncodedSlashes
from app.api.middleware.local_callers import LocalCallers
from app.api.middleware.refusals import Refusals
from app.api.middleware.request_context import RequestContext
from app.api.sales import PICTURE_STATUS
from app.api.schema.openapi import openapi_document
from app.api.schema.problem import FieldProblem, error_response, problem_response
from app.errors import ServiceError
from app.recommend.admission import Admission, AdmissionBounds
from app.resources import Resources, Worker, open_resources
from app.security.key_ring import KeyRing
from app.security.quota import Quotas
from app.settings import Settings
from app.tracing import Tracer
from app.web.routes import page_routes
from models.domain.errors import plain_message
from models.domain.units import MS_PER_S
from models.pictures.picture import PictureError

# Chosen: callers decide number and names of faults, and answers must not grow with them.
MAX_NAMED: Final = 3
MAX_LISTED: Final = 100
MAX_TEXT: Final = 300

_ROUTERS: Final = tuple(
    noun.router
    for noun in (
        recommendations,
        rank,
        pages,
        orders,
        assignments,
        experiments,
        rules,
        events,
        customers,
        catalogue,
        sales,
        topics,
        bundles,
        nights,
        promotions,
        health,
        metrics,
    )
)
_ROUTES: Final = tuple(
    route for router in _ROUTERS for route in router.routes if isinstance(route, Route)
)
_ERRORS: Final = (ServiceError, PictureError, RequestValidationError, HTTPException)
_RETRY: Final = {HTTPStatus.SERVICE_UNAVAILABLE: RETRY_AFTER}

Opener = Callable[[Settings, Worker], AbstractAsyncContextManager[Resources]]


class State(TypedDict):
    """State that the lifespan hands to requests."""

    resources: Resources


def create_app(settings: Settings, worker: Worker, *, opener: Opener = open_resources) -> FastAPI:
    """Build the application.

    Raises:
        KeyFileError: If the settings name keys that cannot be read.
    """
    if settings.keys is not None:
        worker = replace(worker, keys=KeyRing(settings.keys))
    if settings.traces_to is not None:
        tracer = Tracer(str(settings.traces_to), settings.traced_share, worker.metrics.health.spans)
        worker = replace(worker, tracer=tracer)

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncGenerator[State]:
        async with opener(settings, worker) as resources:
            yield State(resources=resources)

    app = FastAPI(
        title="Vitrine",
        summary="The ten sales that a customer is most likely to buy.",
        version=__version__,
        lifespan=lifespan,
        middleware=_middlewares(settings, worker),
        # Else FastAPI looks for a provider of traces, metrics and logs at each request.
        telemetry={"tracing": False, "metrics": False, "logs": False},
        openapi_url=None,
        docs_url=None,
        redoc_url=None,
        # A redirect would contain the Host header, which any caller can forge.
        redirect_slashes=False,
    )
    for router in _ROUTERS:
        app.include_router(router)
    # Cached: making the document takes hundreds of milliseconds, rendering it tens.
    app.openapi = cache(lambda: openapi_document(app, _ROUTERS))
    rendered = cache(lambda: orjson.dumps(app.openapi()))

    async def document(_request: Request) -> Response:
        content = await asyncio.to_thread(rendered)
        return Response(content, media_type="application/json")

    app.add_route("/openapi.json", document, include_in_schema=False)
    app.router.routes.extend(page_routes(settings))
    for error in _ERRORS:
        app.add_exception_handler(error, _problem)
    return app


def _middlewares(settings: Settings, worker: Worker) -> list[Middleware]:
    """Return the middlewares, outermost first."""
    slow_s = settings.slow_request_ms / MS_PER_S
    bounds = AdmissionBounds(
        deadline_s=settings.deadline_ms / MS_PER_S,
        max_in_flight=settings.max_in_flight,
        max_waiting=settings.max_waiting,
    )
    return [
        Middleware(
            RequestContext,
            worker=worker,
            slow_s=slow_s,
            logs_access=settings.access_log,
            render_error=_problem,
        ),
        Middleware(EncodedSlashes),
        *_callers(settings, worker),
        Middleware(Audit),  # behind the keys, which say who asks
        Middleware(
            BodyLimit,
            limit_bytes=settings.max_body_bytes,
            picture_limit_bytes=settings.max_picture_bytes,
        ),
        Middleware(AdmissionControl, admission=Admission(bounds, metrics=worker.metrics.admission)),
        Middleware(
            DirectDispatch,
            routes=[route for route in _ROUTES if isinstance(route, DirectRoute)],
            errors=_ERRORS,
            render_error=_problem,
        ),
    ]


def _callers(settings: Settings, worker: Worker) -> list[Middleware]:
    """Return the middleware that says who may call, if any."""
    refusals = Refusals(worker.metrics.refused, _ROUTES)
    if worker.keys is not None:
        authentication = Middleware(
            Authentication,
            keys=worker.keys,
            quotas=Quotas(time.monotonic),
            limit=settings.requests_per_s,
            refusals=refusals,
        )
        return [authentication]
    return [] if settings.open_to_network else [Middleware(LocalCallers, refusals=refusals)]


def _problem(request: Request, exc: Exception) -> Response:
    """Render any error as problem details, RFC 9457."""
    match exc:
        case ServiceError():
            return error_response(exc, _RETRY.get(exc.status))
        case PictureError():
            return problem_response(PICTURE_STATUS[exc.code], exc.code, detail=str(exc))
        case RequestValidationError():
            errors = tuple(
                FieldProblem(
                    location=".".join(map(str, error["loc"]))[:MAX_TEXT],
                    detail=plain_message(error["msg"]),
                )
                for error in exc.errors()[:MAX_LISTED]
            )
            detail = "; ".join(f"{error.location}: {error.detail}" for error in errors[:MAX_NAMED])
            status = HTTPStatus.UNPROCESSABLE_ENTITY
            return problem_response(status, "malformed", detail=detail, errors=errors)
        case HTTPException():
            status = HTTPStatus(exc.status_code)
            code = status.name.lower()
            headers = exc.headers
            if status is HTTPStatus.METHOD_NOT_ALLOWED:
                headers = {"Allow": ", ".join(allowed_methods(request))}
            return problem_response(status, code, detail=str(exc.detail), headers=headers)
        case _:
            status = HTTPStatus.INTERNAL_SERVER_ERROR
            detail = "an unexpected error, which is in the log with this answer's request id"
            return problem_response(status, "internal", detail=detail)


def allowed_methods(request: Request) -> list[str]:
    """Return the methods of all routes of a path; Starlette names those of the first alone."""
    own = [route for route in request.app.router.routes if isinstance(route, Route)]
    known = [*_ROUTES, *own]
    found = [route for route in known if route.matches(request.scope)[0] is not Match.NONE]
    # A literal path is no name: /v1/experiments/audit is not the experiment "audit".
    found = [route for route in found if route.path == request.url.path] or found
    return sorted({method for route in found for method in route.methods or ()})
