"""How routes get at what was opened at start."""

from typing import Annotated

from fastapi import Depends, Request

from app.resources import Resources


def get_resources(request: Request) -> Resources:
    """Return the resources that the lifespan opened."""
    resources = request.state.resources
    assert isinstance(resources, Resources)  # noqa: S101 - the lifespan puts nothing else there
    return resources


ResourcesDep = Annotated[Resources, Depends(get_resources)]
