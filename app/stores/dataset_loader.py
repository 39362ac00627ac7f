"""Dataset loader: windows, profiles and counts of a dataset at a given time, from columns."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Final

import numpy as np
from numpy.typing import NDArray

from app.stores.count import FIELD, CountedPurchase, HourCounts
from app.stores.customer import LoadedCustomer
from app.stores.keys import N_PARTITIONS, RECENT_TTL_S
from models.catalogue.event_counts import RETENTION_HOURS, grid_floor
from models.dataset import EventTable
from models.dataset.customers import CustomerTable
from models.dataset.event_columns import keys_for
from models.dataset.guest_events import with_guests
from models.dataset.refunded_events import Refunds, counted_refunds
from models.domain.customer import WINDOW_EVENTS, Window, stamps
from models.domain.event import IMPRESSION, PURCHASE
from models.domain.profile import Profile, night_floor
from models.domain.recent_impressions import RecentImpressions
from models.domain.sale import AttributeValue
from models.domain.units import HOUR_US, SECOND_US

# What the store would still remember by key, had it received the events itself.
_RECENT_US: Final = RECENT_TTL_S * SECOND_US


def loaded_customers(events: EventTable, now_us: int) -> Iterator[LoadedCustomer]:
    """Yield every customer as the store would hold them had it received the events itself.

    Args:
        events: Accepted events.
        now_us: The store's clock; what is received later is left out. Profiles count what
            was received before the last night. Guests who were merged by then are no customers.
    """
    merges = events.merges.known(now_us).from_the_beginning()
    events = with_guests(replace(events, merges=merges))
    guests_of = merges.guests_of(events.customers.values)
    merged = {guest for guests in guests_of.values() for guest, _ in guests}
    firsts = events.first_column
    undone_us = Refunds.from_events(events).undone_us
    order = np.lexsort((firsts, events.at_us, events.customers.codes))
    is_known = (events.received_us <= now_us) & ~np.isin(events.customers.codes, list(merged))
    order = order[is_known[order]]
    codes = events.customers.codes[order]
    bounds = [*np.flatnonzero(np.diff(codes, prepend=-1)).tolist(), len(order)]
    for start, end in pairwise(bounds):
        rows, customer = order[start:end], int(codes[start])
        guests = [guest for guest, _ in guests_of.get(customer, ())]
        before_night = rows[events.received_us[rows] < night_floor(now_us)]
        late = rows[events.received_us[rows] >= now_us - _RECENT_US]
        # Every member of a window of 128 is among the last 128 by (at, first column), in which
        # `rows` are ordered: ids are distinct.
        is_shown = events.kinds[rows] == IMPRESSION
        kept, shown = rows[~is_shown][-WINDOW_EVENTS:], rows[is_shown]
        stamp = stamps(events.at_us[kept], events.kinds[kept])
        members = np.stack([firsts[kept], events.sale_keys[kept], stamp], axis=1)
        impressions = RecentImpressions.from_events(
            events.sale_keys[shown], events.at_us[shown], positions=events.positions[shown]
        )
        yield LoadedCustomer(
            customer_id=events.customers.values[customer],
            window=Window(members, impressions).latest(),
            profile=Profile.from_events(
                events.kinds[before_night],
                events.at_us[before_night],
                sale_keys=events.sale_keys[before_night],
                undone=undone_us[before_night] < night_floor(now_us),
                attributes=_attributes(events.attributes, [customer, *guests]),
                night_us=night_floor(now_us),
            ),
            last_us=int(events.at_us[rows[-1]]),
            recent=np.column_stack([events.at_us[late], events.event_keys[late].astype(np.int64)]),
            guests=tuple(events.customers.values.gather(guests)),
        )


def _attributes(known: CustomerTable, ids: Sequence[int]) -> dict[str, AttributeValue]:
    """Return the attributes of one customer, by ids whose first has precedence."""
    found: dict[str, AttributeValue] = {}
    for one in reversed(ids):
        found |= known.attributes(one)
    return found


def customers_without_events(
    customers: CustomerTable | None, events: EventTable, *, now_us: int
) -> Iterator[LoadedCustomer]:
    """Yield the customers of whom attributes are all that is known at a moment."""
    if customers is None:
        return
    seen = events.select(events.received_us <= now_us).customers
    known = set(seen.values.gather(np.unique(seen.codes)))
    for row, customer_id in enumerate(customers.customer_ids):
        attributes = customers.attributes(row)
        if attributes and customer_id not in known:
            profile = replace(Profile.empty(), attributes=attributes)
            yield LoadedCustomer(
                customer_id, Window.empty(), profile, last_us=now_us, keeps_totals=True
            )


@dataclass(frozen=True, slots=True)
class LoadedCounts:
    """Counts of loaded history.

    Attributes:
        by_hour: Counts by hour since the epoch, and by field of a counter hash.
        purchases: Those among them that are not refunded.
    """

    by_hour: dict[int, HourCounts]
    purchases: list[CountedPurchase]


def loaded_counts(
    events: EventTable, now_us: int, *, first_live_us: Sequence[int | None]
) -> LoadedCounts:
    """Count what was received in the last 14 days and before the store took events itself.

    Args:
        events: Accepted events.
        now_us: The store's clock; what is received after the last grid time is left out.
        first_live_us: When each partition received its first live event, None if never:
            from then on its own counters count, also what was exported and is now loaded.
    """
    until_us = grid_floor(now_us)
    ends = np.array([until_us if at is None else min(at, until_us) for at in first_live_us])
    partitions = keys_for(events.customers.values) % np.uint64(N_PARTITIONS)
    end = ends[partitions[events.customers.codes].astype(np.int64)]
    first_us = (until_us // HOUR_US - RETENTION_HOURS) * HOUR_US
    kept = np.flatnonzero(
        events.counted & (events.received_us >= first_us) & (events.received_us < end)
    )
    refunds, of_hours = counted_refunds(events)
    refunded_us = events.received_us[refunds]
    known = refunded_us <= now_us
    purchases = _not_refunded(events, kept, refunds=refunds[known], of_hours=of_hours[known])
    inside = (refunded_us >= first_us) & (refunded_us < end[refunds])
    refunds, of_hours = refunds[inside], of_hours[inside]
    hours = events.received_us // HOUR_US
    rows = np.concatenate([kept, refunds])
    ages = np.concatenate([np.zeros_like(kept), hours[refunds] - of_hours])
    cells = np.stack(
        [
            hours[rows].astype(np.uint64),
            events.sale_keys[rows],
            events.kinds[rows].astype(np.uint64),
            ages.astype(np.uint64),
        ]
    )
    unique, counts = np.unique(cells, axis=1, return_counts=True)
    fields = np.empty(unique.shape[1], dtype=FIELD)
    fields["sale"], fields["kind"], fields["age"] = unique[1:]
    by_hour: defaultdict[int, dict[bytes, int]] = defaultdict(dict)
    for hour, field, n in zip(unique[0].tolist(), fields, counts.tolist(), strict=True):
        by_hour[hour][field.tobytes()] = n
    return LoadedCounts(dict(by_hour), purchases)


def _not_refunded(
    events: EventTable,
    counted: NDArray[np.intp],
    *,
    refunds: NDArray[np.intp],
    of_hours: NDArray[np.int64],
) -> list[CountedPurchase]:
    codes = events.customers.codes
    pairs = zip(codes[refunds].tolist(), events.sale_keys[refunds], of_hours, strict=True)
    refunded_keys = {(code, int(sale_key), int(hour)) for code, sale_key, hour in pairs}
    # The latest of an hour replaces those before it, as in ``append_events.lua``.
    latest: dict[tuple[int, int, int], int] = {}
    for row in counted[events.kinds[counted] == PURCHASE].tolist():
        of = int(codes[row]), int(events.sale_keys[row])
        latest[*of, int(events.at_us[row]) // HOUR_US] = int(events.received_us[row]) // HOUR_US
    return [
        CountedPurchase(events.customers.values[code], sale_key, at_hour, received_hour)
        for (code, sale_key, at_hour), received_hour in latest.items()
        if (code, sale_key, received_hour) not in refunded_keys
    ]
