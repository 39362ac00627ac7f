"""`GET /v1/topics`: topics of the pictures, and what customers did with their sales."""

import asyncio
from dataclasses import asdict
from typing import Annotated, Final

from fastapi import APIRouter, Query
from pydantic import BaseModel, ConfigDict, Field
from pydantic.config import JsonDict

from app.api.dependencies import ResourcesDep
from app.api.parameters import EACH_ONCE
from app.api.schema.body import example
from app.api.schema.problem import problems
from app.catalogue.topic_totals import N_EXAMPLES, topic_totals
from models.domain.event import Market

router = APIRouter(prefix="/v1", tags=["sales"])

_TOPIC: Final[JsonDict] = {
    "name": "Ski resort – Ski slope – Mountain",
    "n_sales": 14,
    "examples": ["s-31", "s-7"],
    "n_impressions": 41_209,
    "n_clicks": 3_120,
    "n_purchases": 211,
}


class TopicsQuery(BaseModel):
    """The market."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    market: Market | None = Field(
        default=None, description="Whose open sales are counted; unset: any.", examples=["fr"]
    )


class TopicTotalsAnswer(BaseModel):
    """A topic, and what customers did with its sales in the last 14 days, in all markets."""

    model_config = example(_TOPIC)

    name: str = Field(description="Named by its top labels.")
    n_sales: int = Field(ge=0, description="Open sales of the market; each in its largest topic.")
    examples: list[str] = Field(
        description=f"At most {N_EXAMPLES} of them, whose pictures show it most."
    )
    n_impressions: int = Field(description="Of all its sales, closed ones included.")
    n_clicks: int
    n_purchases: int = Field(description="Refunded purchases are subtracted.")


class TopicsAnswer(BaseModel):
    """All topics, that of most purchases first."""

    model_config = example({"items": [_TOPIC]})

    items: list[TopicTotalsAnswer] = Field(description="Empty without a model that has topics.")


@router.get("/topics", dependencies=[EACH_ONCE], responses=problems(422, 503))
async def get_topics(
    query: Annotated[TopicsQuery, Query()], resources: ResourcesDep
) -> TopicsAnswer:
    """Return the topics of the pictures with their sales, impressions, clicks and purchases."""
    await resources.live.catch_up()
    served = resources.live.served
    if served is None:
        return TopicsAnswer(items=[])
    now_us = resources.pipeline.clock.now_us()
    # At 100,000 sales this takes milliseconds, in which no answer may wait.
    found = await asyncio.to_thread(topic_totals, served, query.market, now_us=now_us)
    return TopicsAnswer(items=[TopicTotalsAnswer.model_validate(asdict(one)) for one in found])
