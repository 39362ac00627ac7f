"""`GET /v1/recommendations`: the slate of a customer."""

from typing import Annotated, Final

from fastapi import APIRouter, Query, Request, Response
from pydantic import Field

from app.api.dependencies import ResourcesDep
from app.api.direct_route import DirectRoute
from app.api.middleware.admission import turn_of
from app.api.parameters import DIGITS
from app.api.schema.problem import problems
from app.api.schema.recommendation import SlateAnswer, answered
from app.api.schema.visit import VisitFields
from models.domain.event import Identifier
from models.query.candidates import CallerChoice

MAX_LIMIT: Final = 100
MAX_EXCLUDED: Final = 500

router = APIRouter(prefix="/v1", tags=["recommendations"], route_class=DirectRoute)


class RecommendationQuery(VisitFields):
    """Parameters of a recommendation."""

    limit: Annotated[int, Field(ge=1, le=MAX_LIMIT), DIGITS] = Field(
        default=10, description="Number of sales wanted."
    )
    exclude: tuple[Identifier, ...] = Field(
        default=(), max_length=MAX_EXCLUDED, description="Sales not to show; repeat per sale."
    )
    explain: bool = Field(default=False, description="Explain the first sales; takes longer.")


@router.get(
    "/recommendations",
    response_model=SlateAnswer,
    responses=problems(404, 409, 422, 503),
)
async def recommend(
    query: Annotated[RecommendationQuery, Query()], request: Request, resources: ResourcesDep
) -> Response:
    """Return the sales that the customer is most likely to buy, best first."""
    recommendation = await resources.pipeline.recommend(
        query.to_request(limit=query.limit, choice=CallerChoice(exclude=query.exclude)),
        ends_s=turn_of(request).ends_s,
    )
    return await answered(
        request, recommendation, resources=resources, is_explained=query.explain, extra={}
    )
