"""Night routes: how the last nightly runs ended, and why."""

import asyncio

from fastapi import APIRouter

from app.api.dependencies import ResourcesDep
from app.api.schema.problem import problems
from models.scoring.night_record import NightRecords

router = APIRouter(prefix="/v1", tags=["bundles"])


@router.get("/nights", responses=problems(503))
async def list_nights(resources: ResourcesDep) -> NightRecords:
    """Return the last nightly runs, the latest first: verdicts, reasons, published bundles."""
    return await asyncio.to_thread(resources.active_bundle.repository.nights)
