"""A slate as an answer, whoever named the candidates."""

from collections.abc import Mapping
from typing import Final

import orjson
from fastapi import Request, Response
from pydantic import BaseModel, ConfigDict, Field
from pydantic.config import JsonDict

from app.serving.exposure import ExposureRecord
from app.serving.fallback import Rung
from app.serving.pipeline import Recommendation

SALE_EXAMPLE: Final[JsonDict] = {"sale_id": "s-31", "rank": 1, "purchase_probability": 0.0183}
SLATE_EXAMPLE: Final[JsonDict] = {
    "recommendation_id": "6f0c0f7a5f1e4f0f9a53a0a5a6f3b0de",
    "bundle": "20261101T000000-5b1f0c9d3a77",
    "variant": "meta",
    "degraded": None,
    "items": [SALE_EXAMPLE],
}


class RecommendedSale(BaseModel):
    """One sale of a slate."""

    model_config = ConfigDict(frozen=True, json_schema_extra={"examples": [SALE_EXAMPLE]})

    sale_id: str
    rank: int = Field(ge=1, description="Position on the page, from 1.")
    purchase_probability: float | None = Field(
        ge=0,
        le=1,
        description="Probability that the customer buys within 24 hours if shown first; "
        "null where no model scored.",
    )


class SlateAnswer(BaseModel):
    """A slate: the sales in the order of the page."""

    model_config = ConfigDict(frozen=True, json_schema_extra={"examples": [SLATE_EXAMPLE]})

    recommendation_id: str = Field(description="Send it back as `exposure_id` of events.")
    bundle: str | None = Field(description="The bundle that scored; null without a model.")
    variant: str = Field(description="The experiment's variant that the customer is in.")
    degraded: Rung | None = Field(description="What the answer had to do without; null: nothing.")
    items: list[RecommendedSale]


def slate_body(record: ExposureRecord) -> dict[str, object]:
    """Return the fields of `SlateAnswer`."""
    return {
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


def answered(
    request: Request, recommendation: Recommendation, *, body: Mapping[str, object]
) -> Response:
    """Render an answer, timed, and labelled for the metrics."""
    request.state.variant = recommendation.record.variant
    request.state.rung = recommendation.record.degraded or ""
    timing = (
        f"read;dur={recommendation.read_s * 1e3:.3f}, rank;dur={recommendation.rank_s * 1e3:.3f}"
    )
    return Response(
        orjson.dumps(body), headers={"Server-Timing": timing}, media_type="application/json"
    )
