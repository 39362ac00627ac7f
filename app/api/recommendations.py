"""`GET /v1/recommendations`: the slate of a customer; a batch is of several customers."""

from typing import Annotated, Final

import orjson
from fastapi import APIRouter, Query, Request, Response
from pydantic import BaseModel, Field
from pydantic.config import JsonDict

from app.api.dependencies import ResourcesDep
from app.api.direct_route import DirectRoute
from app.api.middleware.admission import turn_of
from app.api.parameters import DIGITS
from app.api.schema.body import body_of, described, example
from app.api.schema.cursor import CURSOR_FIELD, NEXT_FIELD, Cursor, read_cursor
from app.api.schema.problem import problems
from app.api.schema.recommendation import (
    FIELDS_EXAMPLE,
    SLATE_EXAMPLE,
    SaleFields,
    SlateAnswer,
    answered,
    next_page,
    slate_fields,
)
from app.api.schema.request_filter import FILTER_FIELD, UnreadFilter, require_rights
from app.api.schema.visit import ListFields
from app.errors import ExclusiveVariantsError, MalformedFilterError, ServiceError
from app.recommend.request import RecommendationRequest
from models.domain.event import WHOLE
from models.query.candidates import CallerChoice
from models.rules.expression import ExpressionError
from models.rules.rule import request_filter

MAX_LIMIT: Final = 100
MAX_BATCH: Final = 50

router = APIRouter(prefix="/v1", tags=["recommendations"], route_class=DirectRoute)

_VISIT: Final[JsonDict] = {"customer_id": "c-1842", "market": "fr", "limit": 3}
_BATCH: Final[JsonDict] = {"items": [_VISIT], "fields": FIELDS_EXAMPLE}
_ITEM: Final[JsonDict] = {"customer_id": "c-1842", "answer": SLATE_EXAMPLE, "error": None}
_ERROR: Final[JsonDict] = {
    "code": "unknown_market",
    "detail": "no sale is of market 'atlantis': sales are of 'de', 'fr'",
}


class RecommendationQuery(ListFields):
    """Parameters of a recommendation."""

    limit: Annotated[int, Field(ge=1, le=MAX_LIMIT), DIGITS] = Field(
        default=10, description="Number of sales wanted."
    )
    cursor: Cursor | None = CURSOR_FIELD
    fields: SaleFields = ()
    explain: bool = Field(default=False, description="Explain the first sales; takes longer.")


class ListAnswer(SlateAnswer):
    """A slate, and the way to the next page."""

    model_config = example({**SLATE_EXAMPLE, "next": None})

    next: str | None = NEXT_FIELD


class BatchVisit(ListFields):
    """A customer of a batch, and what is wanted for them; a wrong filter is an error of theirs."""

    model_config = example(_VISIT, extra="forbid")

    limit: Annotated[int, Field(ge=1, le=MAX_LIMIT), WHOLE] = Field(
        default=10, description="Number of sales wanted."
    )
    filter: UnreadFilter | None = FILTER_FIELD

    def asked(self) -> RecommendationRequest | ServiceError:
        """Return the request, or why there can be none."""
        choice = CallerChoice(exclude=self.exclude)
        try:
            if self.filter is not None:
                _ = request_filter(self.filter)
            return self.to_request(limit=self.limit, choice=choice, filter_text=self.filter)
        except ExpressionError as exc:
            return MalformedFilterError(f"filter: {exc}")
        except ExclusiveVariantsError as exc:
            return exc


class BatchBody(BaseModel):
    """Visits whose slates are wanted."""

    model_config = example(_BATCH, extra="forbid")

    items: tuple[BatchVisit, ...] = Field(min_length=1, max_length=MAX_BATCH)
    fields: SaleFields = ()


class BatchError(BaseModel):
    """Why there is no answer for one visit; `code` as in other errors."""

    model_config = example(_ERROR)

    code: str
    detail: str


class BatchItem(BaseModel):
    """The answer for one visit, or why there is none."""

    model_config = example(_ITEM)

    customer_id: str | None
    answer: SlateAnswer | None
    error: BatchError | None = Field(description="Null where there is an answer.")


class BatchAnswer(BaseModel):
    """An item a visit, in the order of the request."""

    model_config = example({"items": [_ITEM]})

    items: list[BatchItem]


@router.get(
    "/recommendations",
    response_model=ListAnswer,
    responses=problems(404, 409, 422, 503),
)
async def recommend(
    query: Annotated[RecommendationQuery, Query()], request: Request, resources: ResourcesDep
) -> Response:
    """Return the sales that the customer is most likely to buy, best first."""
    if query.filter is not None:
        require_rights(request, query.filter)
    seen = () if query.cursor is None else read_cursor(query.cursor)
    recommendation = await resources.pipeline.recommend(
        query.to_request(
            limit=query.limit,
            choice=CallerChoice(exclude=query.exclude, seen=seen),
            filter_text=query.filter,
        ),
        ends_s=turn_of(request).ends_s,
    )
    return await answered(
        request,
        recommendation,
        resources=resources,
        is_explained=query.explain,
        fields=query.fields,
        extra={"next": None if query.cursor is None else next_page(recommendation)},
    )


@router.post(
    "/recommendations/batch",
    response_model=BatchAnswer,
    openapi_extra=described(BatchBody),
    responses=problems(409, 422, 503),
)
async def recommend_batch(
    body: Annotated[BatchBody, body_of(BatchBody)], request: Request, resources: ResourcesDep
) -> Response:
    """Return the slates of several customers, as for a newsletter, in one call."""
    asked = [one.asked() for one in body.items]
    requests = [one for one in asked if not isinstance(one, ServiceError)]
    require_rights(request, *(one.filter for one in requests))
    turn = turn_of(request)
    turn.n_answers = len(body.items)
    made = iter(await resources.pipeline.recommend_each(requests, ends_s=turn.ends_s))
    answers = [one if isinstance(one, ServiceError) else next(made) for one in asked]
    items = [
        {
            "customer_id": visit.customer_id,
            "answer": None
            if isinstance(one, ServiceError)
            else slate_fields(one, explanations=(), fields=body.fields),
            "error": {"code": one.code, "detail": str(one)}
            if isinstance(one, ServiceError)
            else None,
        }
        for visit, one in zip(body.items, answers, strict=True)
    ]
    content = orjson.dumps({"items": items}, option=orjson.OPT_UTC_Z)
    return Response(content, media_type="application/json")
