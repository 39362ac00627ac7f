"""FastAPI dependencies of routes: the resources of the worker, and the name of the caller."""

from typing import Annotated

from fastapi import Depends, Request

from app.resources import Resources


async def get_resources(request: Request) -> Resources:
    """Return the resources that the lifespan opened.

    It is a coroutine that awaits nothing: FastAPI calls plain functions in a thread, which takes
    longer than this.
    """
    resources = request.state.resources
    assert isinstance(resources, Resources)  # noqa: S101 - the lifespan puts nothing else there
    return resources


ResourcesDep = Annotated[Resources, Depends(get_resources)]


def caller(request: Request) -> str:
    """Return the name of the caller: the id of the key, or else the address."""
    key_id = request.scope.get("key_id")
    return f"key {key_id}" if key_id else (request.client.host if request.client else "loopback")
