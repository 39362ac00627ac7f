"""`GET /v1/recommendations`: the slate of a customer."""

from typing import Annotated, Final

from fastapi import APIRouter, Query, Request, Response
from pydantic import BaseModel, Field

from app.api.dependencies import ResourcesDep
from app.api.middleware.admission import turn_of
from app.api.parameters import DIGITS, EACH_ONCE
from app.api.schema.forced import ForcedPairs, forced
from app.api.schema.problem import problems
from app.api.schema.recommendation import SlateAnswer, answered
from app.recommend.request import RecommendationRequest
from models.domain.event import Identifier, Market
from models.query.candidates import CallerChoice

MAX_LIMIT: Final = 100
MAX_EXCLUDED: Final = 500

router = APIRouter(prefix="/v1", tags=["recommendations"])


class RecommendationQuery(BaseModel, frozen=True, extra="forbid"):
    """Parameters of a recommendation."""

    customer_id: Identifier | None = Field(
        default=None,
        description="The customer; unset or unknown: ranked as for a new customer.",
        examples=["c-1842"],
    )
    session_id: Identifier | None = Field(
        default=None,
        description="The visit, for the log and for experiments by visit.",
        examples=["v-77"],
    )
    device_id: Identifier | None = Field(
        default=None,
        description="The device, for the log and for experiments by device.",
        examples=["d-4f1"],
    )
    market: Market | None = Field(
        default=None, description="Only sales of this market; unset: of any.", examples=["fr"]
    )
    device: Identifier | None = Field(default=None, examples=["mobile"])
    limit: Annotated[int, Field(ge=1, le=MAX_LIMIT), DIGITS] = Field(
        default=10, description="Number of sales wanted."
    )
    exclude: list[Identifier] = Field(
        default=[], max_length=MAX_EXCLUDED, description="Sales not to show; repeat per sale."
    )
    variant: ForcedPairs = ()
    explain: bool = Field(default=False, description="Explain the first sales; takes longer.")


@router.get(
    "/recommendations",
    dependencies=[EACH_ONCE],
    response_model=SlateAnswer,
    responses=problems(404, 409, 422, 503),
)
async def recommend(
    query: Annotated[RecommendationQuery, Query()], request: Request, resources: ResourcesDep
) -> Response:
    """Return the sales that the customer is most likely to buy, best first."""
    recommendation = await resources.recommender.recommend(
        RecommendationRequest(
            customer_id=query.customer_id,
            session_id=query.session_id,
            device_id=query.device_id,
            market=query.market,
            device=query.device,
            limit=query.limit,
            forced=forced(query.variant),
            choice=CallerChoice(exclude=tuple(query.exclude)),
        ),
        ends_s=turn_of(request).ends_s,
    )
    return await answered(
        request, recommendation, resources=resources, is_explained=query.explain, extra={}
    )
