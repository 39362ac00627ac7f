"""What customers did."""

import asyncio
from collections import Counter
from collections.abc import Sequence
from http import HTTPStatus
from typing import Annotated, Final

import orjson
from fastapi import APIRouter, Depends, Request, Response
from pydantic import BaseModel, ConfigDict, Field
from pydantic.config import JsonDict

from app.api.body import described, parsed
from app.api.dependencies import ResourcesDep
from app.api.problem import problems
from app.errors import StoreUnavailableError
from app.observability import Metrics
from app.serving.ports import EventOutcome, EventStatus
from app.serving.served import ServedCatalogue
from models.events import Event

MAX_EVENTS: Final = 1_000

router = APIRouter(prefix="/v1", tags=["events"])

_EXAMPLE: Final[JsonDict] = {
    "event_id": "e-90412",
    "customer_id": "c-1842",
    "session_id": "v-77",
    "type": "click",
    "sale_id": "s-31",
    "at": "2026-11-22T18:04:05.123456Z",
    "exposure_id": "6f0c0f7a5f1e4f0f9a53a0a5a6f3b0de",
    "position": 1,
}


class EventBatch(BaseModel):
    """Events of any customers, in any order."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", json_schema_extra={"examples": [{"events": [_EXAMPLE]}]}
    )

    events: list[Event] = Field(min_length=1, max_length=MAX_EVENTS)


class EventResult(BaseModel):
    """What became of one event."""

    model_config = ConfigDict(frozen=True)

    event_id: str
    status: EventStatus
    reason: str | None = Field(description="Why it was rejected: `future` or `too_old`.")


class EventBatchAnswer(BaseModel):
    """What became of a batch: results in the order of the events."""

    model_config = ConfigDict(
        frozen=True,
        json_schema_extra={
            "examples": [
                {
                    "accepted": 1,
                    "duplicate": 0,
                    "rejected": 0,
                    "erased": 0,
                    "unknown_sales": [],
                    "results": [{"event_id": "e-90412", "status": "accepted", "reason": None}],
                }
            ]
        },
    )

    accepted: int = Field(ge=0)
    duplicate: int = Field(ge=0)
    rejected: int = Field(ge=0)
    erased: int = Field(
        ge=0, description="Events of customers who were erased after they happened: not kept."
    )
    unknown_sales: list[str] = Field(
        description="Sales of accepted events that the catalogue does not know (yet). The events "
        "are kept: they count as soon as the sale is loaded."
    )
    results: list[EventResult]


async def read_batch(request: Request) -> EventBatch:
    """Parse the body."""
    return parsed(EventBatch, await request.body())


@router.post(
    "/events",
    response_model=EventBatchAnswer,
    openapi_extra=described(EventBatch),
    responses=problems(
        HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
        HTTPStatus.UNPROCESSABLE_ENTITY,
        HTTPStatus.SERVICE_UNAVAILABLE,
    ),
)
async def post_events(
    batch: Annotated[EventBatch, Depends(read_batch)], resources: ResourcesDep
) -> Response:
    """Accept events; the next answer of any worker sees them. Safe to repeat."""
    try:
        async with asyncio.timeout(resources.write_timeout_s):
            outcomes = await resources.customers.append(batch.events)
    except TimeoutError as exc:
        doing = "appending events"
        raise StoreUnavailableError(doing, "no answer in time; repeat the batch") from exc
    unknown = _unknown_sales(batch.events, outcomes, resources.live.served)
    _count(resources.metrics, outcomes, n_unknown=len(unknown))
    return _render(batch.events, outcomes, sorted(set(unknown)))


def _unknown_sales(
    events: Sequence[Event], outcomes: Sequence[EventOutcome], served: ServedCatalogue | None
) -> list[str]:
    return [
        event.sale_id
        for event, outcome in zip(events, outcomes, strict=True)
        if outcome.status is EventStatus.ACCEPTED
        and (served is None or served.catalogue.row_of(event.sale_id) is None)
    ]


def _count(metrics: Metrics, outcomes: Sequence[EventOutcome], *, n_unknown: int) -> None:
    for outcome, n_events in Counter(outcomes).items():
        metrics.events.labels(outcome.status, outcome.reason or "").inc(n_events)
    metrics.unknown_sales.inc(n_unknown)


def _render(
    events: Sequence[Event], outcomes: Sequence[EventOutcome], unknown_sales: list[str]
) -> Response:
    statuses = Counter(outcome.status for outcome in outcomes)
    results = [
        {"event_id": event.event_id, "status": outcome.status, "reason": outcome.reason}
        for event, outcome in zip(events, outcomes, strict=True)
    ]
    body = {
        **{status.value: statuses[status] for status in EventStatus},
        "unknown_sales": unknown_sales,
        "results": results,
    }
    return Response(orjson.dumps(body), media_type="application/json")
