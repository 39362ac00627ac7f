"""Whether the process lives, and whether it can give full answers."""

from http import HTTPStatus

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict

from app.api.dependencies import ResourcesDep
from app.api.problem import problems
from app.errors import NotReadyError
from app.resources import Resources

router = APIRouter(tags=["health"])


class Health(BaseModel):
    """An answer of the health routes."""

    model_config = ConfigDict(frozen=True, json_schema_extra={"examples": [{"status": "ok"}]})

    status: str


class Live(BaseModel):
    """The Open Inference Protocol's answer on liveness."""

    model_config = ConfigDict(frozen=True, json_schema_extra={"examples": [{"live": True}]})

    live: bool


class Ready(BaseModel):
    """The Open Inference Protocol's answer on readiness."""

    model_config = ConfigDict(frozen=True, json_schema_extra={"examples": [{"ready": True}]})

    ready: bool


@router.get("/health/live")
async def live() -> Health:
    """Answer 200 while the process lives; touches nothing."""
    return Health(status="ok")


@router.get("/health/ready", responses=problems(HTTPStatus.SERVICE_UNAVAILABLE))
async def ready(resources: ResourcesDep) -> Health:
    """Answer 503 until full answers are possible, and say what is missing."""
    await _require_ready(resources)
    return Health(status="ok")


@router.get("/v2/health/live")
async def live_v2() -> Live:
    """Answer 200 while the process lives, as the Open Inference Protocol has it."""
    return Live(live=True)


@router.get("/v2/health/ready", responses=problems(HTTPStatus.SERVICE_UNAVAILABLE))
async def ready_v2(resources: ResourcesDep) -> Ready:
    """Answer 503 until full answers are possible, as the Open Inference Protocol has it."""
    await _require_ready(resources)
    return Ready(ready=True)


async def _require_ready(resources: Resources) -> None:
    missing = await resources.readiness.missing()
    if missing:
        raise NotReadyError(missing)
