"""How routes get at what was opened at start."""

from typing import Annotated

from fastapi import Depends, Request

from app.resources import Resources


async def get_resources(request: Request) -> Resources:
    """Return the resources that the lifespan opened.

    It awaits nothing: what does not is called from another thread, which takes longer than this.
    """
    resources = request.state.resources
    assert isinstance(resources, Resources)  # noqa: S101 - the lifespan puts nothing else there
    return resources


ResourcesDep = Annotated[Resources, Depends(get_resources)]


def caller(request: Request) -> str:
    """Name who calls: the key that he showed, or else where the call came from."""
    key_id = request.scope.get("key_id")
    return f"key {key_id}" if key_id else (request.client.host if request.client else "loopback")
