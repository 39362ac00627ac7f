"""How often each sale was seen and bought, read from the store hour by hour."""

from typing import Final

import numpy as np

from app.stores.count import CountStore, EventCounts
from models.catalogue.catalogue import Catalogue
from models.catalogue.event_counts import (
    HOUR_US,
    RETENTION_HOURS,
    HourlyCounts,
    SaleCounts,
    counts_at,
)

NO_COUNTS: Final = EventCounts(
    np.empty(0, dtype=np.uint64),
    np.empty(0, dtype=np.int64),
    np.empty(0, dtype=np.int64),
    np.empty(0, dtype=np.int64),
)


class CountHistory:
    """The counts of the last 14 days; whole hours are read once, as they no longer change."""

    def __init__(self, store: CountStore) -> None:
        """Start without any hour."""
        self._store = store
        self._whole = NO_COUNTS
        self._next_hour: int | None = None

    def forget(self) -> None:
        """Read every hour again the next time, after past events were loaded."""
        self._next_hour = None

    async def until(self, grid_us: int) -> EventCounts:
        """Return the counts of events received before a grid time.

        Raises:
            StoreUnavailableError: If the store cannot be read; what was read stays.
        """
        hour = grid_us // HOUR_US
        oldest = hour - RETENTION_HOURS
        known = _part(self._whole, oldest, hour) if self._next_hour is not None else NO_COUNTS
        # A clock that was set back brings an hour that was whole to run again.
        first = oldest if self._next_hour is None else max(min(self._next_hour, hour), oldest)
        counts = _joined(known, await self._store.since(first, until_us=grid_us))
        self._whole = _part(counts, oldest, hour)
        self._next_hour = hour
        return counts


def by_row(counts: EventCounts, catalogue: Catalogue, *, grid_us: int) -> SaleCounts:
    """Sum counts per catalogue row at a grid time; events of unknown sales are left out."""
    rows = catalogue.rows_of(counts.sale_keys)
    known = rows >= 0
    hourly = HourlyCounts.of(
        rows[known],
        counts.kinds[known],
        hours=counts.hours[known],
        counts=counts.counts[known],
    )
    return counts_at(hourly, at_us=grid_us, n_sales=len(catalogue))


def _part(counts: EventCounts, first_hour: int, end_hour: int) -> EventCounts:
    kept = (first_hour <= counts.hours) & (counts.hours < end_hour)
    return EventCounts(
        counts.sale_keys[kept], counts.kinds[kept], counts.hours[kept], counts.counts[kept]
    )


def _joined(first: EventCounts, second: EventCounts) -> EventCounts:
    return EventCounts(
        np.concatenate([first.sale_keys, second.sale_keys]),
        np.concatenate([first.kinds, second.kinds]),
        np.concatenate([first.hours, second.hours]),
        np.concatenate([first.counts, second.counts]),
    )
