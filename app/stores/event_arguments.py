"""Keys and arguments of ``append_events.lua``."""

import numpy as np

from app.settings import STREAM_BYTES
from app.stores.cluster import Argument
from app.stores.keys import (
    COUNTED_PAIRS,
    COUNTED_TTL_S,
    CUSTOMER_TTL_S,
    HOUR_TTL_S,
    MINUTE_TTL_S,
    RECENT_TTL_S,
    CustomerKeys,
    stream_limit,
)
from models.catalogue.event_counts import N_KINDS, RETENTION_HOURS
from models.domain.customer import WINDOW_EVENTS, pack_member
from models.domain.event import (
    KIND,
    MAX_AGE_US,
    MAX_AHEAD_US,
    NO_SALE,
    REFUND,
    Event,
    EventType,
    key,
    to_us,
)
from models.domain.recent_impressions import SHOWN_SALES, stamps_of


def event_arguments(event: Event) -> tuple[Argument, ...]:
    """Return one event's arguments of ``append_events.lua``."""
    # A time before 1970 does not fit into a member; at 0 it is refused as well, as too old.
    at_us = max(to_us(event.at), 0)
    event_key = key(event.event_id)
    sale_key = NO_SALE if event.sale_id is None else key(event.sale_id)
    kind = KIND[event.type]
    # Of a refund the script fills in the age of the purchase.
    field = sale_key.to_bytes(8, "big") + bytes([kind, 0, 0])
    if kind >= N_KINDS and kind != REFUND:
        field = b""
    member, stamp = b"", ""
    if event.type is EventType.IMPRESSION:
        shown_at = stamps_of(np.array([at_us]), np.array([event.position or 0]))
        stamp = str(shown_at.item())
    else:
        member = pack_member(
            event_key,
            sale_key,
            at_us=at_us,
            event_type=event.type,
            quantity=event.quantity,
            cover=event.cover,
        )
    # Sets keep integers of 64 bits packed, and know only signed ones.
    signed = event_key - 2**64 if event_key >= 2**63 else event_key
    return signed, at_us, field, member, stamp, event.model_dump_json(exclude_none=True)


def append_limits(stream_bytes: int = STREAM_BYTES) -> tuple[Argument, ...]:
    """Return what comes before the events in the arguments of ``append_events.lua``."""
    return (
        *(MAX_AHEAD_US, MAX_AGE_US, WINDOW_EVENTS, SHOWN_SALES, CUSTOMER_TTL_S, RECENT_TTL_S),
        *(stream_limit(stream_bytes), MINUTE_TTL_S, HOUR_TTL_S, COUNTED_TTL_S, COUNTED_PAIRS),
        RETENTION_HOURS,
    )


def append_keys(keys: CustomerKeys) -> list[str]:
    """Return the keys of ``append_events.lua``, in its order."""
    first = [keys.window, keys.shown, keys.profile, keys.recent]
    return [*first, keys.events, keys.counts, keys.erased, keys.merges]
