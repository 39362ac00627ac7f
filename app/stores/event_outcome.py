"""Outcome of an event that was appended: the store's answer, by the codes of its script."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from models.domain.event import Refusal


class EventStatus(StrEnum):
    """Status of an event in the store."""

    ACCEPTED = "accepted"
    DUPLICATE = "duplicate"
    REJECTED = "rejected"
    ERASED = "erased"
    UNAVAILABLE = "unavailable"


@dataclass(frozen=True, slots=True)
class EventOutcome:
    """The store's answer to one event.

    A rejection has a reason, a stable word of `Refusal`; an accepted refund may have `NO_PURCHASE`.
    An unavailable event was not taken, and its detail says why: to send it again is safe, and
    needed.
    """

    status: EventStatus
    reason: str | None = None
    detail: str | None = None


NO_PURCHASE: Final = "no_purchase"
"""Reason given with an accepted refund that found no purchase in its customer's window."""

# By the codes of `append_events.lua`: the order is part of the script.
OUTCOMES: Final = (
    EventOutcome(EventStatus.ACCEPTED),
    EventOutcome(EventStatus.DUPLICATE),
    EventOutcome(EventStatus.REJECTED, Refusal.FUTURE),
    EventOutcome(EventStatus.REJECTED, Refusal.TOO_OLD),
    EventOutcome(EventStatus.ERASED),
    EventOutcome(EventStatus.ACCEPTED, NO_PURCHASE),
)
