"""Hourly event counts of sales over the last 14 days, read from the store."""

from typing import Final

import numpy as np

from app.stores.count import CountStore, EventCounts
from models.catalogue.catalogue import Catalogue
from models.catalogue.event_counts import (
    RETENTION_HOURS,
    HalfLives,
    HourlyCounts,
    SaleCounts,
    counts_at,
)
from models.domain.units import HOUR_US

NO_COUNTS: Final = EventCounts(
    np.empty(0, dtype=np.uint64),
    np.empty(0, dtype=np.int64),
    np.empty(0, dtype=np.int64),
    np.empty(0, dtype=np.int64),
    np.empty(0, dtype=np.int64),
    unread={},
)


class CountHistory:
    """Event counts of the last 14 days; complete hours never change and are read once.

    Of parts that the store cannot give, the last known counts stay.
    """

    def __init__(self, store: CountStore) -> None:
        self._store = store
        self._whole = self._last = NO_COUNTS
        self._next_hour: int | None = None

    def forget(self) -> None:
        """Read every hour again at the next call, as after past events were loaded."""
        self._next_hour = None

    async def until(self, grid_us: int) -> EventCounts:
        """Return the counts of events received before a grid time.

        Raises:
            StoreUnavailableError: If the store cannot be read; earlier counts are kept.
        """
        hour = grid_us // HOUR_US
        oldest = hour - RETENTION_HOURS
        # A clock that was set back brings an hour that was complete to run again. Its refunds are
        # of purchases of earlier hours, which are therefore read again as well.
        is_same_hour = hour == self._next_hour
        if self._next_hour is None or hour < self._next_hour:
            known, first = NO_COUNTS, oldest
        else:
            known = self._whole if is_same_hour else _hours(self._whole, oldest, hour)
            first = max(self._next_hour, oldest)
        new = await self._store.since(first, until_us=grid_us)
        away = [*new.unread]
        if away:
            last = _hours(self._last, oldest, hour + 1)
            kept = last.where(np.isin(last.parts, away))
            # Of loaded history some hours may have been read: they are among the last known ones.
            counts = self._last = new.where(~np.isin(new.parts, kept.parts)).join(
                known.where(~np.isin(known.parts, away)), kept
            )
            return counts
        # Here the event loop waits: all counts are gone through once an hour alone.
        counts = self._last = new.join(known)
        # Kept only after a whole read: where it failed, the next call begins at the same hour.
        if not is_same_hour:
            self._whole = _hours(counts, oldest, hour)
            self._next_hour = hour
        return counts


def by_row(
    counts: EventCounts, catalogue: Catalogue, *, grid_us: int, half_lives: HalfLives
) -> SaleCounts:
    """Sum counts per catalogue row at a grid time; events of unknown sales are left out."""
    rows = catalogue.rows_for(counts.sale_keys)
    known = rows >= 0
    hourly = HourlyCounts.from_entries(
        rows[known], counts.kinds[known], hours=counts.hours[known], counts=counts.counts[known]
    )
    return counts_at(hourly, at_us=grid_us, n_sales=len(catalogue), half_lives=half_lives)


def _hours(counts: EventCounts, first_hour: int, end_hour: int) -> EventCounts:
    return counts.where((first_hour <= counts.hours) & (counts.hours < end_hour))
