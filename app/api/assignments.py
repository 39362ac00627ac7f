"""`GET /v1/assignments`: the experiment variants of a visit, without a slate."""

from typing import Annotated

from fastapi import APIRouter, Query
from pydantic import BaseModel, Field

from app.api.dependencies import ResourcesDep
from app.api.parameters import EACH_ONCE
from app.api.schema.problem import problems
from app.api.schema.visit import VisitFields
from models.experiments.plan.experiment import Unit

router = APIRouter(prefix="/v1", tags=["experiments"])


class AssignmentAnswer(BaseModel, frozen=True):
    """A unit's variant in one experiment."""

    experiment: str
    variant: str
    unit: Unit
    unit_id: str | None
    share_bp: int = Field(description="The variant's share of units, in basis points.")
    forced: bool


class AssignmentList(BaseModel, frozen=True):
    """The variants of a visit."""

    version: int = Field(description="Of the plan that decided.")
    items: list[AssignmentAnswer]


@router.get(
    "/assignments",
    dependencies=[EACH_ONCE],
    responses=problems(404, 409, 422),
)
async def assignments(
    query: Annotated[VisitFields, Query()], resources: ResourcesDep
) -> AssignmentList:
    """Return the variants that a visit is in; nothing is logged as shown."""
    routing = await resources.pipeline.assign(query.to_request())
    return AssignmentList(
        version=routing.stored.version,
        items=[
            AssignmentAnswer(
                experiment=one.experiment,
                variant=one.variant,
                unit=one.unit,
                unit_id=one.unit_id,
                share_bp=one.share_bp,
                forced=one.is_forced,
            )
            for one in routing.route.assignments
        ],
    )
