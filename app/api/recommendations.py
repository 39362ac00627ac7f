"""The slate of a customer."""

from http import HTTPStatus
from typing import Annotated

import orjson
from fastapi import APIRouter, Query, Request, Response
from pydantic import BaseModel, ConfigDict, Field

from app.api.dependencies import ResourcesDep
from app.api.problem import problems
from app.serving.fallback import Rung
from app.serving.pipeline import Recommendation
from app.serving.question import RecommendationRequest
from models.events import Identifier

MAX_LIMIT = 100
MAX_EXCLUDED = 500

router = APIRouter(prefix="/v1", tags=["recommendations"])


class RecommendationQuery(BaseModel):
    """Parameters of a slate."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    customer_id: Identifier = Field(
        description="Who looks at the page; an unknown one gets the anonymous order.",
        examples=["c-1842"],
    )
    session_id: Identifier | None = Field(default=None, description="The visit, for the log.")
    market: Identifier | None = Field(
        default=None, description="Only sales of this market; unset: of any.", examples=["fr"]
    )
    device: Identifier | None = Field(default=None, examples=["mobile"])
    limit: int = Field(default=10, ge=1, le=MAX_LIMIT, description="Number of sales wanted.")
    exclude: list[Identifier] = Field(
        default=[], max_length=MAX_EXCLUDED, description="Sales not to show; repeat per sale."
    )


class RecommendedSale(BaseModel):
    """One sale of a slate."""

    model_config = ConfigDict(frozen=True)

    sale_id: str
    rank: int = Field(ge=1, description="Position on the page, from 1.")
    purchase_probability: float | None = Field(
        ge=0,
        le=1,
        description="Probability that the customer buys within 24 hours if shown first; "
        "null where no model scored.",
    )


class RecommendationAnswer(BaseModel):
    """A slate: the sales in the order of the page."""

    model_config = ConfigDict(
        frozen=True,
        json_schema_extra={
            "examples": [
                {
                    "recommendation_id": "6f0c0f7a5f1e4f0f9a53a0a5a6f3b0de",
                    "bundle": "20261101T000000-5b1f0c9d3a77",
                    "variant": "meta",
                    "degraded": None,
                    "items": [{"sale_id": "s-31", "rank": 1, "purchase_probability": 0.0183}],
                }
            ]
        },
    )

    recommendation_id: str = Field(description="Send it back as `exposure_id` of events.")
    bundle: str | None = Field(description="The bundle that scored; null without a model.")
    variant: str = Field(description="The experiment's variant that the customer is in.")
    degraded: Rung | None = Field(description="What the answer had to do without; null: nothing.")
    items: list[RecommendedSale]


@router.get(
    "/recommendations",
    response_model=RecommendationAnswer,
    responses=problems(HTTPStatus.UNPROCESSABLE_ENTITY),
)
async def recommend(
    query: Annotated[RecommendationQuery, Query()], request: Request, resources: ResourcesDep
) -> Response:
    """Return the sales that the customer is most likely to buy, best first."""
    recommendation = await resources.recommender.recommend(
        RecommendationRequest(
            customer_id=query.customer_id,
            session_id=query.session_id,
            market=query.market,
            device=query.device,
            limit=query.limit,
            exclude=tuple(query.exclude),
        )
    )
    request.state.variant = recommendation.record.variant
    request.state.rung = recommendation.record.degraded or ""
    return _render(recommendation)


def _render(recommendation: Recommendation) -> Response:
    record = recommendation.record
    body = {
        "recommendation_id": record.recommendation_id,
        "bundle": record.bundle_id or None,
        "variant": record.variant,
        "degraded": record.degraded,
        "items": [
            {
                "sale_id": shown.sale_id,
                "rank": shown.rank,
                "purchase_probability": shown.purchase_probability,
            }
            for shown in record.slate
        ],
    }
    timing = (
        f"read;dur={recommendation.read_s * 1e3:.3f}, rank;dur={recommendation.rank_s * 1e3:.3f}"
    )
    return Response(
        orjson.dumps(body), headers={"Server-Timing": timing}, media_type="application/json"
    )
