"""`GET /v1/orders`: what each recommender would show, beside the meta-model."""

import asyncio
from typing import Annotated, Final

from fastapi import APIRouter, Query
from pydantic import BaseModel, ConfigDict, Field
from pydantic.config import JsonDict

from app.api.dependencies import ResourcesDep
from app.api.parameters import DIGITS, EACH_ONCE
from app.api.schema.body import example
from app.api.schema.problem import problems
from app.api.schema.recommendation import EXPLANATION_EXAMPLE, Contribution, SaleExplanation
from app.recommend.explanation import MAX_EXPLAINED
from app.recommend.orders import orders_of
from app.recommend.request import RankingRequest, RecommendationRequest
from app.stores.customer_state import CustomerState
from app.stores.deadline import answered_within
from models.domain.customer import Window
from models.domain.event import Identifier, Market
from models.domain.profile import Profile
from models.ranker.explanation import Explanation

# Chosen: what fits beside each other on a screen.
MAX_LIMIT: Final = 50

router = APIRouter(prefix="/v1", tags=["recommendations"])

_ITEM: Final[JsonDict] = {"sale_id": "s-31", "purchase_probability": 0.0183}
_ORDER: Final[JsonDict] = {"name": "images", "items": [_ITEM]}


class OrdersQuery(BaseModel):
    """The customer, and how many sales of each order are wanted."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    customer_id: Identifier | None = Field(
        default=None, description="Unset or unknown: as for a new customer.", examples=["c-1842"]
    )
    market: Market | None = Field(
        default=None, description="Only sales of this market; unset: of any.", examples=["fr"]
    )
    device: Identifier | None = Field(default=None, examples=["mobile"])
    explain: bool = Field(default=False, description="Explain the first sales of the meta-model.")
    limit: Annotated[int, Field(ge=1, le=MAX_LIMIT), DIGITS] = Field(
        default=10, description="Number of sales of each order."
    )


class OrderedSaleAnswer(BaseModel):
    """A sale at its place in one order."""

    model_config = example(_ITEM)

    sale_id: str
    purchase_probability: float = Field(ge=0, le=1, description="By the meta-model.")


class OrderAnswer(BaseModel):
    """One order of the bundle."""

    model_config = example(_ORDER)

    name: str = Field(description="`order_by` of a policy: the meta-model or a recommender.")
    items: list[OrderedSaleAnswer] = Field(
        description="Its first sales; empty if the recommender knows nothing of the customer."
    )


class OrdersAnswer(BaseModel):
    """All orders of the active bundle."""

    model_config = example(
        {
            "bundle": "20261101T000000-5b1f0c9d3a77",
            "orders": [_ORDER],
            "explanations": {"s-31": EXPLANATION_EXAMPLE},
        }
    )

    bundle: str | None = Field(description="Null without a model; there are no orders then.")
    orders: list[OrderAnswer] = Field(description="The meta-model first.")
    explanations: dict[str, SaleExplanation] = Field(
        description=f"With `explain`: by sale, of the first {MAX_EXPLAINED} of the meta-model."
    )


@router.get("/orders", dependencies=[EACH_ONCE], responses=problems(422, 503))
async def get_orders(
    query: Annotated[OrdersQuery, Query()], resources: ResourcesDep
) -> OrdersAnswer:
    """Rank by each recommender, without rules and exploration; nothing is shown or logged."""
    pipeline, live = resources.pipeline, resources.live
    await live.catch_up()
    state = CustomerState(pipeline.clock.now_us(), Window.empty(), Profile.empty())
    if query.customer_id is not None:
        within_s = resources.write_timeout_s
        async with answered_within(within_s, "reading a customer", then="ask again"):
            state = await pipeline.customers.read(query.customer_id, within_s=within_s)
    request = RecommendationRequest(
        customer_id=query.customer_id, market=query.market, device=query.device, limit=query.limit
    )
    served = live.served
    # Ten rankings: other answers need not wait for them.
    asked = RankingRequest(request, state, served)
    found = await asyncio.to_thread(orders_of, asked)
    shown = [item.sale_id for item in found[0].items] if found and query.explain else []
    explained = await resources.explainer.explain(asked, shown)
    return OrdersAnswer(
        bundle=(served.bundle_id or None) if served else None,
        orders=[
            OrderAnswer(
                name=one.name,
                items=[
                    OrderedSaleAnswer(
                        sale_id=item.sale_id, purchase_probability=item.purchase_probability
                    )
                    for item in one.items
                ],
            )
            for one in found
        ],
        explanations={one.sale_id: _explanation(one) for one in explained},
    )


def _explanation(explained: Explanation) -> SaleExplanation:
    return SaleExplanation(
        sentence=explained.sentence,
        log_odds=explained.log_odds,
        base=explained.base,
        contributions=[
            Contribution(group=group, log_odds=log_odds)
            for group, log_odds in explained.groups.items()
        ],
    )
