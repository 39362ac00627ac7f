"""Counts of sales from parts of the events: what each part adds, and their sum."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from models.arrays.array_file import Arrays
from models.catalogue.event_counts import (
    RETENTION_HOURS,
    HalfLives,
    HourlyCounts,
    SaleCounts,
    counts_at,
    grid_floor,
    refunded,
)
from models.dataset.events import EventTable
from models.dataset.refunded_events import counted_refunds
from models.domain.units import HOUR_US


def counts_of(events: EventTable, rows: NDArray[np.int64], *, at_us: int) -> HourlyCounts:
    """Count the events that a service knows at a moment, by sale, type and hour.

    Args:
        events: All events of some customers.
        rows: Catalogue row of each event's sale, -1 if unknown.
        at_us: The moment.
    """
    end_us = grid_floor(at_us)
    first_us = (end_us // HOUR_US - RETENTION_HOURS) * HOUR_US
    hours = events.received_us // HOUR_US
    is_inside = (events.received_us >= first_us) & (events.received_us < end_us)
    kept = np.flatnonzero(events.counted & (rows >= 0) & is_inside)
    found = HourlyCounts.from_entries(
        rows[kept],
        events.kinds[kept].astype(np.int64),
        hours=hours[kept],
        counts=np.ones(len(kept), dtype=np.int64),
    )
    refunds, of_hours = counted_refunds(events)
    # A refund counts once its hour is over.
    over = (rows[refunds] >= 0) & (hours[refunds] < end_us // HOUR_US)
    return found.merge(refunded(rows[refunds[over]], of_hours[over]))


@dataclass(frozen=True, slots=True, eq=False)
class PartCounts:
    """What one part of the customers adds.

    Attributes:
        hourly: Counts of sales.
        devices: Number of customers by the device of their latest event.
        n_refused: Events that were left out for a fault.
    """

    hourly: HourlyCounts
    devices: Mapping[str, int]
    n_refused: int

    def to_bytes(self) -> bytes:
        """Serialise; see `from_bytes`."""
        hourly = self.hourly
        columns = {
            "rows": hourly.rows,
            "kinds": hourly.kinds,
            "hours": hourly.hours,
            "counts": hourly.counts,
            "devices": np.array(list(self.devices), dtype=np.str_),
            "customers": np.array(list(self.devices.values()), dtype=np.int64),
            "refused": np.array([self.n_refused]),
        }
        return Arrays(columns).to_bytes()

    @classmethod
    def from_bytes(cls, content: bytes) -> Self:
        """Read what `to_bytes` wrote.

        Raises:
            ValueError: If the content is malformed.
        """
        arrays = Arrays.from_bytes(content)
        rows, kinds, hours, counts, customers = (
            arrays.integers(name) for name in ("rows", "kinds", "hours", "counts", "customers")
        )
        devices = dict(zip(arrays.strings("devices"), customers.tolist(), strict=True))
        n_refused = int(arrays.integers("refused").item())
        return cls(HourlyCounts(rows, kinds, hours, counts), devices, n_refused)


def sum_of_parts(
    parts: Iterable[HourlyCounts], *, at_us: int, n_sales: int, half_lives: HalfLives
) -> SaleCounts:
    """Return the counts of all parts, to the bit those of all events in one.

    Args:
        parts: What each part adds; their order does not matter.
        at_us: The moment.
        n_sales: Number of catalogue rows.
        half_lives: Those of the model.
    """
    hourly = HourlyCounts.empty()
    for part in parts:
        hourly = hourly.merge(part)
    return counts_at(hourly, at_us=grid_floor(at_us), n_sales=n_sales, half_lives=half_lives)
