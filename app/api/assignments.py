"""`GET /v1/assignments`: the experiment variants of a visit, without a slate."""

from typing import Annotated

from fastapi import APIRouter, Query
from pydantic import BaseModel, Field

from app.api.dependencies import ResourcesDep
from app.api.parameters import EACH_ONCE
from app.api.schema.forced import ForcedPairs, forced
from app.api.schema.problem import problems
from app.recommend.request import RecommendationRequest
from models.domain.event import Identifier, Market
from models.experiments.plan.experiment import Unit

router = APIRouter(prefix="/v1", tags=["experiments"])


class AssignmentQuery(BaseModel, frozen=True, extra="forbid"):
    """Ids of the units of a visit, and its market and device for audiences."""

    customer_id: Identifier | None = Field(default=None, examples=["c-1842"])
    session_id: Identifier | None = Field(default=None, examples=["v-77"])
    device_id: Identifier | None = Field(default=None, examples=["d-4f1"])
    market: Market | None = Field(default=None, examples=["fr"])
    device: Identifier | None = Field(default=None, examples=["mobile"])
    variant: ForcedPairs = ()


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
    query: Annotated[AssignmentQuery, Query()], resources: ResourcesDep
) -> AssignmentList:
    """Return the variants that a visit is in; nothing is logged as shown."""
    routing = await resources.recommender.assign(
        RecommendationRequest(
            customer_id=query.customer_id,
            session_id=query.session_id,
            device_id=query.device_id,
            market=query.market,
            device=query.device,
            forced=forced(query.variant),
        )
    )
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
