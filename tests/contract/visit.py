"""Events for contract suites, around the store's own clock."""

from collections.abc import Sequence
from typing import cast

import numpy as np

from app.stores.connection import Connection, Script
from app.stores.customer import APPEND_EVENTS
from app.stores.event_arguments import append_keys, append_limits, event_arguments
from app.stores.keys import CustomerKeys
from models.domain.customer import Window, pack_member
from models.domain.event import KINDS, NO_SALE, Event, EventType, from_us, key, to_us
from models.domain.recent_impressions import RecentImpressions
from models.domain.units import SECOND_US

MINUTE_US = 60 * 1_000_000
DAY_US = 24 * 60 * MINUTE_US


def event(
    event_id: str,
    *,
    at_us: int,
    sale_id: str = "s1",
    customer_id: str = "c1",
    type: EventType = EventType.CLICK,  # noqa: A002 - the contract's name
    quantity: int | None = None,
    position: int | None = None,
) -> Event:
    return Event(
        event_id=event_id,
        customer_id=customer_id,
        type=type,
        sale_id=sale_id,
        at=from_us(at_us),
        quantity=quantity,
        position=position,
    )


def visits(rng: np.random.Generator, n: int, *, customer_id: str, now_us: int) -> list[Event]:
    """Accepted events of every type but refunds within the last days; some share their time."""
    kinds = [kind for kind in KINDS if kind is not EventType.REFUND]
    seconds = rng.integers(0, 5 * 24 * 3600 if n % 2 else 20, size=n)
    return [
        event(
            f"{customer_id}-{i}",
            at_us=now_us - int(seconds[i]) * 1_000_000,
            sale_id=f"s{rng.integers(7)}",
            customer_id=customer_id,
            type=kinds[rng.integers(len(kinds))],
        )
        for i in range(n)
    ]


def sale_key_of(of: Event) -> int:
    return NO_SALE if of.sale_id is None else key(of.sale_id)


def window_of(events: list[Event]) -> Window:
    """The window as models define it, without any store."""
    shown = [e for e in events if e.type is EventType.IMPRESSION]
    keys = np.array([sale_key_of(e) for e in shown], dtype=np.uint64)
    return Window.from_members(
        (
            pack_member(
                key(e.event_id),
                sale_key_of(e),
                at_us=to_us(e.at),
                event_type=e.type,
                quantity=e.quantity,
            )
            for e in events
            if e.type is not EventType.IMPRESSION
        ),
        RecentImpressions.from_events(
            keys,
            np.array([to_us(e.at) for e in shown], dtype=np.int64),
            positions=np.array([e.position or 0 for e in shown], dtype=np.int64),
        ),
    )


async def append_at(
    connection: Connection, events: Sequence[Event], *, received_us: int
) -> list[int]:
    """Append one customer's events by a store whose clock stands; return the script's codes."""
    seconds, microseconds = divmod(received_us, SECOND_US)
    clock = f"{{'{seconds}', '{microseconds}'}}"
    keys = CustomerKeys.for_customer(events[0].customer_id)
    codes = await connection.run(
        Script.from_source(APPEND_EVENTS.source.replace("redis.call('TIME')", clock)),
        append_keys(keys),
        *append_limits(),
        *(argument for event in events for argument in event_arguments(event)),
        doing="appending at a moment",
    )
    return cast("list[int]", codes)
