"""Health checks: liveness, readiness, and whether answers are degraded."""

from typing import Annotated, Final

from fastapi import APIRouter, Path
from pydantic import BaseModel, Field

from app import __version__
from app.api.dependencies import ResourcesDep
from app.api.middleware.encoded_slashes import PathIdentifier
from app.api.schema.body import example
from app.api.schema.problem import problems
from app.errors import NotInFullError, NotLiveError, NotReadyError, UnknownModelError
from app.resources import Resources

MODEL: Final = "vitrine"

router = APIRouter(tags=["health"])


class Health(BaseModel):
    """An answer of the health routes."""

    model_config = example({"status": "ok"})

    status: str


class Live(BaseModel):
    """The Open Inference Protocol's answer on liveness."""

    model_config = example({"live": True})

    live: bool


class Ready(BaseModel):
    """The Open Inference Protocol's answer on readiness."""

    model_config = example({"ready": True})

    ready: bool


class ServerMetadata(BaseModel):
    """The Open Inference Protocol's answer on the server."""

    model_config = example({"name": "vitrine", "version": "0.1.0", "extensions": []})

    name: str
    version: str
    extensions: list[str] = Field(
        description="None: health is by this protocol, predictions are by /v1."
    )


class ModelReady(BaseModel):
    """The Open Inference Protocol's answer on one model."""

    model_config = example({"name": "vitrine", "ready": True})

    name: str
    ready: bool


ModelName = Annotated[PathIdentifier, Path(description="The model.", examples=["vitrine"])]


@router.head("/health/live", include_in_schema=False)
@router.get("/health/live", responses=problems(503))
async def live(resources: ResourcesDep) -> Health:
    """Answer 200 while the process and its background tasks live; touches nothing but memory."""
    _require_live(resources)
    return Health(status="ok")


@router.head("/health/ready", include_in_schema=False)
@router.get("/health/ready", responses=problems(503))
async def ready(resources: ResourcesDep) -> Health:
    """Answer 503 until this process can answer, and say what is missing; the store may be away."""
    _require_ready(resources)
    return Health(status="ok")


@router.head("/health/full", include_in_schema=False)
@router.get("/health/full", responses=problems(503))
async def full(resources: ResourcesDep) -> Health:
    """Answer 503 while answers have to do without something, and say what; no probe for pods."""
    missing = await resources.readiness.missing_in_full()
    if missing:
        raise NotInFullError(tuple(map(str, missing)))
    return Health(status="ok")


@router.head("/v2/health/live", include_in_schema=False)
@router.get("/v2/health/live", responses=problems(503))
async def live_v2(resources: ResourcesDep) -> Live:
    """Answer 200 while the process lives, as the Open Inference Protocol has it."""
    _require_live(resources)
    return Live(live=True)


@router.head("/v2/health/ready", include_in_schema=False)
@router.get("/v2/health/ready", responses=problems(503))
async def ready_v2(resources: ResourcesDep) -> Ready:
    """Answer 503 until this process can answer, as the Open Inference Protocol has it."""
    _require_ready(resources)
    return Ready(ready=True)


@router.get("/v2")
async def server_metadata() -> ServerMetadata:
    """Say what serves here, as the Open Inference Protocol has it."""
    return ServerMetadata(name=MODEL, version=__version__, extensions=[])


@router.get(
    "/v2/models/{name}/ready",
    responses=problems(404, 422, 503),
)
async def model_ready(name: ModelName, resources: ResourcesDep) -> ModelReady:
    """Answer 503 until the model can be asked, by `vitrine` or by the served bundle's id."""
    bundle_id = resources.live.model.bundle_id
    if name not in {MODEL, bundle_id}:
        raise UnknownModelError(name, (MODEL, bundle_id) if bundle_id else (MODEL,))
    _require_ready(resources)
    return ModelReady(name=name, ready=True)


def _require_live(resources: Resources) -> None:
    sick = resources.readiness.tasks.sick()
    if sick:
        raise NotLiveError(sick)


def _require_ready(resources: Resources) -> None:
    missing = resources.readiness.missing()
    if missing:
        raise NotReadyError(tuple(map(str, missing)))
