"""Fields of calls and answers, by the names of `openapi.yaml`."""

from collections.abc import Sequence
from typing import Any, Final, Literal, NotRequired, Required, TypedDict

EventType = Literal[
    "impression",
    "view",
    "click",
    "cart",
    "purchase",
    "favourite",
    "refund",
    "dislike",
    "search",
    "email_open",
]

NO_ANSWER: Final = "no_answer"
"""`degraded` of what the client answers itself."""


class Visit(TypedDict, total=False):
    """Visitor of a call."""

    customer_id: str | None
    session_id: str | None
    device_id: str | None
    market: str | None
    device: str | None
    variant: Sequence[str]


class _Sales(Visit, total=False):
    exclude: Sequence[str]
    filter: str | None
    fields: Sequence[str]
    explain: bool
    cursor: str | None


class Ask(_Sales, total=False):
    """Parameters of `GET /v1/recommendations`."""

    limit: int


class PageAsk(_Sales, total=False):
    """Body of `POST /v1/pages`."""

    rows: Required[Sequence[dict[str, object]]]


class Assignment(TypedDict):
    """Variant of a visitor in one experiment."""

    experiment: str
    variant: str
    unit: Literal["customer", "session", "device"]
    unit_id: str | None
    share_bp: int
    forced: bool


class Item(TypedDict):
    """One sale of an answer."""

    sale_id: str
    rank: int
    purchase_probability: float | None
    rules: list[str]
    cover: int | None
    explanation: dict[str, Any] | None
    sale: dict[str, Any]


class Head(TypedDict):
    """Fields of every answer beside its sales.

    Of an answer that the client made, ``recommendation_id`` is None: an event names no exposure.
    """

    recommendation_id: str | None
    bundle: str | None
    assignments: list[Assignment]
    degraded: str | None
    probability_of: str | None
    unmet_rules: list[str]
    next: NotRequired[str | None]


class Slate(Head):
    """A list of sales."""

    items: list[Item]


class Row(TypedDict):
    """One row of a page."""

    name: str
    kind: str
    because_of: dict[str, Any] | None
    items: list[Item]


class Page(Head):
    """Rows of sales."""

    rows: list[Row]


class Event(TypedDict, total=False):
    """An event; ``event_id`` and ``at`` are made where they are missing."""

    event_id: str
    customer_id: Required[str]
    session_id: str | None
    type: Required[EventType]
    sale_id: str | None
    at: str
    exposure_id: str | None
    position: int | None
    cover: int | None
    price: float | None
    quantity: int | None
    revenue: float | None
    market: str | None
    device: str | None
    propensity: float | None
    variant: str | None


class EventResult(TypedDict):
    """Result of one event of a batch."""

    index: int
    event_id: str | None
    status: Literal["accepted", "duplicate", "rejected", "erased", "unavailable"]
    reason: str | None
    detail: str | None
