"""Events of guests: those that customers have because visitors turned out to be them."""

from dataclasses import dataclass, replace
from typing import Final, Self

import numpy as np
import polars as pl
from numpy.typing import NDArray

from models.dataset.event_columns import Labels
from models.dataset.events import EventTable
from models.domain.customer import stamps

_END_US: Final = np.iinfo(np.int64).max


@dataclass(frozen=True, eq=False)
class CustomerCodes:
    """Codes of the ids of a log, and of the customers of guests.

    Attributes:
        ids: Id of each code: those of the events, then customers without events of their own whose
            guests have some.
        customer_of: Code of the customer into whom each was merged, -1 for none, shape ``(n,)``.
        merged_us: When, microseconds since the epoch, same shape.
    """

    ids: pl.Series
    customer_of: NDArray[np.int64]
    merged_us: NDArray[np.int64]

    @classmethod
    def from_events(cls, events: EventTable) -> Self:
        """Return those of an event table, whose codes stay as they are."""
        known = events.customers.values
        new = events.merges.customer_ids.filter(
            events.merges.guest_ids.is_in(known.implode())
            & ~events.merges.customer_ids.is_in(known.implode())
        )
        ids = pl.concat([known, new.unique().sort()])
        customer_of, merged_us = np.full(len(ids), -1), np.zeros(len(ids), dtype=np.int64)
        for customer, guests in events.merges.guests_of(ids).items():
            for guest, at_us in guests:
                customer_of[guest], merged_us[guest] = customer, at_us
        return cls(ids, customer_of, merged_us)

    def at(self, moment_us: int = _END_US) -> NDArray[np.int64]:
        """Return the code of the customer that each code is at a moment, or at last: ``(n,)``."""
        is_merged = (self.customer_of >= 0) & (self.merged_us <= moment_us)
        return np.where(is_merged, self.customer_of, np.arange(len(self.ids)))


def with_guests(events: EventTable) -> EventTable:
    """Return the events as customers have them: those of guests a second time, as theirs.

    A customer received the events of a guest when the guest was merged, or later. Codes of
    customers stay as they are; customers without events of their own follow. An event that guest
    and customer both have counts once, as the customer's own; two that differ, under one id from
    before the merge, count both, as in windows. What counts for sales is asked of the events
    without these: each happened once.
    """
    if not len(events.merges):
        return events
    known = CustomerCodes.from_events(events)
    ids, customer_of, merged_us = known.ids, known.customer_of, known.merged_us
    codes = events.customers.codes
    copied = np.flatnonzero(customer_of[codes] >= 0)
    rows = np.concatenate([np.arange(len(events)), copied])
    owners = np.concatenate([codes, customer_of[codes[copied]]])
    received_us = np.concatenate(
        [events.received_us, np.maximum(events.received_us[copied], merged_us[codes[copied]])]
    )
    members = np.stack([events.event_keys, events.sale_keys, stamps(events.at_us, events.kinds)])
    owned = np.concatenate([owners.astype(np.uint64)[None], members[:, rows]])
    # The first of equal ones: a customer's own event, before a guest's.
    first = np.sort(np.unique(owned, axis=1, return_index=True)[1])
    order = np.lexsort(
        (events.event_keys[rows[first]], events.at_us[rows[first]], received_us[first])
    )
    kept = first[order]
    return replace(
        events.take(rows[kept]),
        customers=Labels(ids, owners[kept]),
        received_us=received_us[kept],
        attributes=events.attributes.aligned(ids),
    )


def customers_of(events: EventTable) -> NDArray[np.int64]:
    """Return a number of each event's customer, shape ``(n_events,)``: guests have theirs."""
    if not len(events.merges):
        return events.customers.codes
    return CustomerCodes.from_events(events).at()[events.customers.codes]
