"""`POST /v1/rank`: re-ranking of the caller's own candidates for a customer."""

from collections import Counter
from typing import Annotated, Final

from fastapi import APIRouter, Request, Response
from pydantic import BaseModel, Field, field_validator
from pydantic.config import JsonDict

from app.api.dependencies import ResourcesDep
from app.api.direct_route import DirectRoute
from app.api.middleware.admission import turn_of
from app.api.schema.body import body_of, described, example
from app.api.schema.problem import problems
from app.api.schema.recommendation import SLATE_EXAMPLE, SaleFields, SlateAnswer, answered
from app.api.schema.visit import VisitFields
from app.recommend.candidates import Obstacle
from models.domain.event import WHOLE, Identifier
from models.query.candidates import CallerChoice

MAX_CANDIDATES: Final = 1_000

router = APIRouter(prefix="/v1", tags=["recommendations"], route_class=DirectRoute)

_BODY: Final[JsonDict] = {
    "customer_id": "c-1842",
    "market": "fr",
    "candidates": ["s-31", "s-7", "s-12"],
    "ordered": True,
}
_LEFT_OUT: Final[JsonDict] = {"sale_id": "s-7", "reason": "sold_out"}
_ANSWER: Final[JsonDict] = {**SLATE_EXAMPLE, "left_out": [_LEFT_OUT]}


class RankBody(VisitFields):
    """The sales to rank, and the customer."""

    model_config = example(_BODY, extra="forbid")

    candidates: tuple[Identifier, ...] = Field(
        min_length=1,
        max_length=MAX_CANDIDATES,
        description="Ids of the sales to rank, each once.",
        json_schema_extra={"uniqueItems": True},
    )
    ordered: bool = Field(
        default=False,
        description="Whether their order carries meaning: it is then a feature of the model, "
        "decides between equal scores, and is the answer's where no model can score.",
    )
    limit: Annotated[int, Field(ge=1, le=MAX_CANDIDATES), WHOLE] = Field(
        default=MAX_CANDIDATES, description="Number of sales wanted."
    )
    fields: SaleFields = ()
    explain: bool = Field(default=False, description="Explain the first sales; takes longer.")

    @field_validator("candidates")
    @classmethod
    def _each_once(cls, candidates: tuple[str, ...]) -> tuple[str, ...]:
        sale_id, n_times = Counter(candidates).most_common(1)[0]
        if n_times > 1:
            msg = f"{sale_id!r} is named {n_times} times: name each candidate once"
            raise ValueError(msg)
        return candidates


class LeftOutAnswer(BaseModel):
    """A candidate that may not be shown."""

    model_config = example(_LEFT_OUT)

    sale_id: str
    reason: Obstacle = Field(description="Why not.")


class RankAnswer(SlateAnswer):
    """The candidates that may be shown, best first, and those that may not."""

    model_config = example(_ANSWER)

    left_out: list[LeftOutAnswer] = Field(
        description="Candidates that may not be shown, in the order given."
    )


@router.post(
    "/rank",
    response_model=RankAnswer,
    openapi_extra=described(RankBody),
    responses=problems(404, 409, 422, 503),
)
async def rank(
    body: Annotated[RankBody, body_of(RankBody)], request: Request, resources: ResourcesDep
) -> Response:
    """Rank the caller's own candidates; those that may not be shown are named with the reason."""
    recommendation = await resources.pipeline.recommend(
        body.to_request(
            limit=body.limit,
            choice=CallerChoice(sale_ids=body.candidates, is_ordered=body.ordered),
        ),
        ends_s=turn_of(request).ends_s,
    )
    left_out = [{"sale_id": one.sale_id, "reason": one.reason} for one in recommendation.left_out]
    return await answered(
        request,
        recommendation,
        resources=resources,
        is_explained=body.explain,
        fields=body.fields,
        extra={"left_out": left_out},
    )
