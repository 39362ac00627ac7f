"""`POST /v1/events`: events of customers, in batches."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from time import monotonic
from typing import Annotated, Final, cast

import orjson
from fastapi import APIRouter, Request, Response
from pydantic import (
    BaseModel,
    Field,
    TypeAdapter,
    ValidationError,
    ValidatorFunctionWrapHandler,
    WrapValidator,
)
from pydantic.config import JsonDict

from app.api.dependencies import ResourcesDep
from app.api.direct_route import DirectRoute
from app.api.schema.body import body_of, described, example
from app.api.schema.problem import problems
from app.bounded_log import BoundedLog
from app.errors import MAX_NAMED
from app.stores.deadline import answered_within
from app.stores.event_outcome import EventOutcome, EventStatus
from models.domain.errors import plain_message
from models.domain.event import MAX_AGE_US, MAX_AHEAD_US, Event, Identifier
from models.domain.units import SECOND_US

MAX_EVENTS: Final = 1_000  # of a batch; chosen, not measured
MALFORMED: Final = "malformed"

_MINUTE_US: Final = 60 * SECOND_US
_DAY_US: Final = 24 * 60 * _MINUTE_US
_DETAILS: Final = {
    "future": f"at: more than {MAX_AHEAD_US // _MINUTE_US} minutes after the store's clock",
    "too_old": f"at: more than {MAX_AGE_US // _DAY_US} days before the store's clock",
}

# Callers decide names and number of fields: an answer must not grow with them. Chosen.
_MAX_DETAIL_CHARS: Final = 400
_MAX_FIELD_CHARS: Final = 40
_ID: Final = TypeAdapter(Identifier)
_LOG: Final = BoundedLog(__name__)

router = APIRouter(prefix="/v1", tags=["events"], route_class=DirectRoute)

_EXAMPLE: Final[JsonDict] = {
    "event_id": "e-90412",
    "customer_id": "c-1842",
    "session_id": "v-77",
    "type": "click",
    "sale_id": "s-31",
    "at": "2026-11-22T18:04:05.123456Z",
    "exposure_id": "6f0c0f7a5f1e4f0f9a53a0a5a6f3b0de",
    "position": 1,
    "cover": 2,
}


@dataclass(frozen=True, slots=True)
class MalformedEvent:
    """A malformed event of a batch, beside others that are valid."""

    event_id: str | None
    detail: str


def _event_or_fault(value: object, validate: ValidatorFunctionWrapHandler) -> object:
    fields: dict[str, object] = cast("dict[str, object]", value) if isinstance(value, dict) else {}
    # Each further field would be a fault of its own, and a body has room for a million.
    if len(fields) > len(Event.model_fields):
        detail = f"has {len(fields)} fields, and an event has {len(Event.model_fields)} at most"
        return MalformedEvent(_readable_id(fields), detail)
    try:
        return validate(value)
    except ValidationError as exc:
        errors = exc.errors(include_url=False, include_context=False, include_input=False)
    faults = [
        f"{'.'.join(map(str, error['loc']))[:_MAX_FIELD_CHARS] or 'event'}: "
        + plain_message(error["msg"])
        for error in errors[:MAX_NAMED]
    ]
    if len(errors) > MAX_NAMED:
        faults.append(f"and {len(errors) - MAX_NAMED} more")
    return MalformedEvent(
        _readable_id(fields),
        "; ".join(faults)[:_MAX_DETAIL_CHARS],
    )


def _readable_id(fields: dict[str, object]) -> str | None:
    try:
        return _ID.validate_python(fields.get("event_id"), strict=True)
    except ValidationError:
        return None


def _detail(outcome: EventOutcome) -> str | None:
    if outcome.status is EventStatus.UNAVAILABLE:
        return f"{outcome.detail}; send the event again"
    return _DETAILS.get(outcome.reason or "")


class EventResult(BaseModel, frozen=True):
    """The result of one event."""

    index: int = Field(ge=0, description="Place of the event in the batch, from 0.")
    event_id: str | None = Field(description="Null where it cannot be read.")
    status: EventStatus
    reason: str | None = Field(
        description="Why it was rejected: `future`, `too_old` or `malformed`. To send the same "
        "event again changes nothing. Of an accepted refund: `no_purchase` if the customer's "
        "latest 128 events have no purchase of the sale that it could refund. Of an unavailable "
        "event: `store_unavailable`; send it again."
    )
    detail: str | None = Field(
        description="What is wrong with a rejected event: its time, or which fields and how; why "
        "one was not taken, and what to do."
    )


class EventBatch(BaseModel):
    """Events of any customers, in any order; a malformed one is rejected beside the others."""

    model_config = example({"events": [_EXAMPLE]}, extra="forbid")

    events: list[Annotated[Event, WrapValidator(_event_or_fault)]] = Field(
        min_length=1, max_length=MAX_EVENTS
    )

    @property
    def entries(self) -> Sequence[Event | MalformedEvent]:
        """The entries of the batch, in its order."""
        return cast("Sequence[Event | MalformedEvent]", self.events)

    def results(self, outcomes: Sequence[EventOutcome]) -> list[EventResult]:
        """Match the outcomes, which only valid events have, with the entries of the batch."""
        remaining = iter(outcomes)
        results: list[EventResult] = []
        for index, entry in enumerate(self.entries):
            is_event = isinstance(entry, Event)
            outcome = next(remaining) if is_event else EventOutcome(EventStatus.REJECTED, MALFORMED)
            results.append(
                # Made here and valid: nothing is gained by a validation of each.
                EventResult.model_construct(
                    index=index,
                    event_id=entry.event_id,
                    status=outcome.status,
                    reason=outcome.reason,
                    detail=_detail(outcome) if is_event else entry.detail,
                )
            )
        return results


_ACCEPTED_ONE: Final[JsonDict] = {
    "index": 0,
    "event_id": "e-90412",
    "status": "accepted",
    "reason": None,
    "detail": None,
}
_REJECTED_ONE: Final[JsonDict] = {
    "index": 1,
    "event_id": "e-90413",
    "status": "rejected",
    "reason": MALFORMED,
    "detail": "type: Input should be 'impression', 'view', 'click', 'cart', 'purchase', "
    "'favourite', 'refund', 'dislike', 'search' or 'email_open'",
}


class EventBatchAnswer(BaseModel):
    """The results of a batch, in the order of its events."""

    model_config = example(
        {
            "accepted": 1,
            "duplicate": 0,
            "rejected": 1,
            "erased": 0,
            "unavailable": 0,
            "unknown_sales": [],
            "results": [_ACCEPTED_ONE, _REJECTED_ONE],
        }
    )

    accepted: int = Field(ge=0)
    duplicate: int = Field(ge=0)
    rejected: int = Field(ge=0)
    erased: int = Field(
        ge=0, description="Events of customers who were erased after they happened: not kept."
    )
    unavailable: int = Field(
        ge=0,
        description="Events whose customers' part of the store is away or damaged: not kept; send "
        "again.",
    )
    unknown_sales: list[str] = Field(
        description="Sales of accepted events that the catalogue does not know (yet). The events "
        "are kept: they count as soon as the sale is loaded."
    )
    results: list[EventResult]


@router.post(
    "/events",
    response_model=EventBatchAnswer,
    openapi_extra=described(EventBatch),
    responses=problems(422, 503),
)
async def post_events(
    request: Request,
    batch: Annotated[EventBatch, body_of(EventBatch, judges_parts=True)],
    resources: ResourcesDep,
) -> Response:
    """Accept events; the next answer of any worker sees them. Safe to repeat.

    Where a part of the store is away, events of its customers are `unavailable`, to be sent again.
    """
    events = [entry for entry in batch.entries if isinstance(entry, Event)]
    started = monotonic()
    async with answered_within(
        resources.write_timeout_s, "appending events", then="repeat the batch"
    ):
        outcomes = await resources.customers.append(events)
    request.state.stages = {"write": (started, monotonic() - started)}
    served, metrics = resources.live.served, resources.metrics
    unknown = [
        event.sale_id
        for event, outcome in zip(events, outcomes, strict=True)
        if outcome.status is EventStatus.ACCEPTED
        and event.sale_id is not None
        and (served is None or served.catalogue.row_for(event.sale_id) is None)
    ]
    metrics.unknown_sales.inc(len(unknown))
    results = batch.results(outcomes)
    for (status, reason), n_events in Counter((one.status, one.reason) for one in results).items():
        metrics.events.labels(status, reason or "").inc(n_events)
        if status is EventStatus.REJECTED:
            _LOG.warning("events were rejected", str(reason), reason=reason, events=n_events)
    statuses = Counter(one.status for one in results)
    body = {
        **{status.value: statuses[status] for status in EventStatus},
        "unknown_sales": sorted(set(unknown)),
        "results": [dict(one) for one in results],
    }
    return Response(orjson.dumps(body), media_type="application/json")
