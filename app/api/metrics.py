"""`GET /metrics`: the metrics in the text format of Prometheus."""

import asyncio

from fastapi import APIRouter, Response
from prometheus_client import CONTENT_TYPE_LATEST

from app.api.dependencies import ResourcesDep

router = APIRouter(tags=["metrics"])


@router.get(
    "/metrics",
    response_class=Response,
    responses={200: {"content": {"text/plain": {"schema": {"type": "string"}}}}},
)
async def metrics(resources: ResourcesDep) -> Response:
    """Return the metrics of all workers of this service on this machine."""
    exposition = await asyncio.to_thread(resources.metrics.exposition, resources.metrics_dir)
    return Response(exposition, media_type=CONTENT_TYPE_LATEST)
