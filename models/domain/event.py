"""Events: types, validation, and the rule by which they are accepted."""

from datetime import UTC, datetime, timedelta
from enum import StrEnum
from hashlib import blake2b
from typing import Annotated, Final, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StringConstraints,
    model_validator,
)

from models.domain.times import EPOCH, FORMS, MICROSECOND, Time
from models.domain.units import DAY_US, MINUTE_US

# Chosen: clocks of phones run ahead by minutes, and an app that was offline delivers late.
MAX_AHEAD_US: Final = 5 * MINUTE_US
MAX_AGE_US: Final = 90 * DAY_US

# Control characters would allow forged log lines and store keys.
PRINTABLE: Final = r"^[^\x00-\x1f\x7f]+$"

MAX_IDENTIFIER: Final = 128  # chosen: a UUID has 36 characters, a SHA-512 in hexadecimal 128

Identifier = Annotated[
    str, StringConstraints(min_length=1, max_length=MAX_IDENTIFIER, pattern=PRINTABLE)
]

Name = Annotated[
    str, StringConstraints(min_length=1, max_length=128, pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")
]
"""Names that are safe in URLs, file names and metric labels."""

Market = Annotated[
    str,
    StringConstraints(
        strip_whitespace=True,
        to_lower=True,
        min_length=1,
        max_length=MAX_IDENTIFIER,
        pattern=r"^[^\x00-\x1f\x7f]*[^\x00-\x1f\x7f\s][^\x00-\x1f\x7f]*$",
    ),
]
"""A market, in lower case and without whitespace around it: ``FR`` and ``fr `` are ``fr``."""


WHOLE: Final = BeforeValidator(
    lambda value: int(value) if isinstance(value, float) and value.is_integer() else value
)
"""Accepts 3.0 as the integer 3, as JSON Schema does."""

# Ratios and sums of two amounts in these bounds fit into float32, in any currency.
MAX_AMOUNT: Final = 1e12
"""Largest amount of money."""

MIN_AMOUNT: Final = 1e-6
"""Smallest amount of money that is not 0."""


def _not_tiny(amount: float) -> float:
    if 0 < abs(amount) < MIN_AMOUNT:
        msg = f"{amount:g} is too small: the smallest amount that is not 0 is {MIN_AMOUNT:g}"
        raise ValueError(msg)
    return amount


Balance = Annotated[
    float,
    Field(ge=-MAX_AMOUNT, le=MAX_AMOUNT, allow_inf_nan=False),
    AfterValidator(_not_tiny),
]
"""An amount of money that may be negative."""

Amount = Annotated[
    float,
    Field(ge=0, le=MAX_AMOUNT, allow_inf_nan=False),
    AfterValidator(_not_tiny),
]
"""An amount of money, as a price or a revenue."""


class EventType(StrEnum):
    """Type of an interaction between a customer and a sale."""

    IMPRESSION = "impression"
    VIEW = "view"
    CLICK = "click"
    CART = "cart"
    PURCHASE = "purchase"
    FAVOURITE = "favourite"
    REFUND = "refund"
    DISLIKE = "dislike"
    SEARCH = "search"
    EMAIL_OPEN = "email_open"


KINDS: Final = tuple(EventType)
"""Event types in the order of their codes, which windows and counters store."""

KIND: Final = {event_type: code for code, event_type in enumerate(KINDS)}
"""The code of each event type."""

IMPRESSION, VIEW, CLICK, CART, PURCHASE, FAVOURITE, REFUND, DISLIKE, SEARCH, EMAIL_OPEN = range(
    len(KINDS)
)
"""The codes by name, in the order of `KINDS`."""

TOUCHES: Final = frozenset({VIEW, CLICK, CART, PURCHASE, FAVOURITE})
"""Codes of the events by which a customer shows interest in a sale."""

WITHOUT_SALE: Final = frozenset({EventType.SEARCH, EventType.EMAIL_OPEN})
"""Types of events that need not be about a sale."""

NO_SALE: Final = 0
"""The key of no sale."""


class Refusal(StrEnum):
    """Reason for which an event is not accepted."""

    FUTURE = "future"
    TOO_OLD = "too_old"


class Event(BaseModel):
    """One event of the dataset contract; the API and the files use the same names."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    event_id: Identifier = Field(
        description="Unique among the events of its customer; a repeated one is counted once."
    )
    customer_id: Identifier
    session_id: Identifier | None = Field(default=None, description="The visit it belongs to.")
    type: EventType
    sale_id: Identifier | None = Field(
        default=None, description="Required, except of `search` and `email_open`."
    )
    at: Time = Field(description=f"When it happened, as the client says: {FORMS}.")
    exposure_id: Identifier | None = Field(
        default=None, description="Recommendation id of the answer that showed the sale."
    )
    position: Annotated[int, Field(ge=1, le=10_000), WHOLE] | None = Field(
        default=None, description="Rank in the slate."
    )
    cover: Annotated[int, Field(ge=1, le=9), WHOLE] | None = Field(
        default=None,
        description="Of impressions and clicks: number of the picture that was shown, as `cover` "
        "of the answer said. Of other events, and of pictures that the sale does not have, it is "
        "kept and says nothing.",
    )
    price: Amount | None = None
    quantity: Annotated[int, Field(ge=1, le=1_000_000), WHOLE] | None = Field(
        default=None,
        description="Pieces bought, one if missing; for a refund the pieces refunded, all of the "
        "purchase if missing.",
    )
    revenue: Amount | None = None
    market: Market | None = None
    device: Identifier | None = None
    propensity: float | None = Field(default=None, gt=0, le=1)
    variant: Identifier | None = None

    @model_validator(mode="after")
    def _has_sale(self) -> Self:
        if self.sale_id is None and self.type not in WITHOUT_SALE:
            msg = f"sale_id is required of a {self.type}"
            raise ValueError(msg)
        return self


def accept(at_us: int, received_us: int) -> Refusal | None:
    """Decide whether an event is accepted, online and offline alike.

    Args:
        at_us: Time as the client reported it, microseconds since the epoch.
        received_us: When it was received, by the store's clock.

    Returns:
        None for an accepted event, otherwise the reason of its refusal.
    """
    if at_us > received_us + MAX_AHEAD_US:
        return Refusal.FUTURE
    if at_us < received_us - MAX_AGE_US:
        return Refusal.TOO_OLD
    return None


def key(identifier: str) -> int:
    """Return the 64-bit key that stands for an id in windows and catalogues.

    The first 8 bytes of BLAKE2b, big-endian. No registry of ids is needed: among a million ids
    the probability of any collision is below 3e-8 (n² / 2⁶⁵).
    """
    return int.from_bytes(blake2b(identifier.encode(), digest_size=8).digest(), "big")


# Windows store 60 bits, but a datetime ends with the year 9999.
LAST: Final = datetime.max.replace(tzinfo=UTC)
"""Latest time of the contract."""

# West of Greenwich the year 9999 ends after `LAST`: times up to a day later become `LAST`.
BEYOND_LAST: Final = timedelta(days=1)

WITHIN_YEARS: Final = "lie between the years 1970 and 9999"


def _within_contract(moment: datetime) -> datetime:
    if moment < EPOCH:
        msg = f"{moment.isoformat()} does not {WITHIN_YEARS}"
        raise ValueError(msg)
    return min(moment, LAST)


Moment = Annotated[Time, AfterValidator(_within_contract)]
"""A time within the range of the dataset contract."""


def to_us(moment: datetime) -> int:
    """Convert an aware time to microseconds since the epoch, exactly.

    Raises:
        TypeError: If the time is naive.
    """
    return (moment - EPOCH) // MICROSECOND


LAST_US: Final = to_us(LAST)
"""The same in microseconds since the epoch."""


def from_us(at_us: int) -> datetime:
    """Convert microseconds since the epoch to a time in UTC, exactly."""
    return EPOCH + timedelta(microseconds=at_us)
