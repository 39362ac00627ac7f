"""Bestsellers: events of a sale since the beginning of the data."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Final, Self

import numpy as np
from numpy.typing import NDArray

from models.arrays.array_file import Arrays
from models.catalogue.catalogue import Catalogue
from models.catalogue.catalogue_cache import cached
from models.catalogue.event_counts import RETENTION_HOURS
from models.domain.units import HOUR_US
from models.query.customer_history import COUNTED_INTEREST
from models.query.query import Batch
from models.recommenders.recommender import Recommender

RETENTION_US: Final = RETENTION_HOURS * HOUR_US
"""How long counts remember an event: 14 days."""


@dataclass(frozen=True, eq=False)
class Bestsellers(Recommender):
    """Counts the events of a sale since the beginning, weighted as those of popularity.

    The counts of a catalogue are of 14 days. Those before the fit are added, without what both
    know: of the events of the 14 days before the fit the share that is younger than 14 days,
    as if they had come evenly. From 14 days after the fit on, events in between are missing. A
    sale that opened after the fit has none before it.

    Attributes:
        keys: Keys of the sales with events, ascending, shape ``(n,)``.
        events: Weighted events of each before the fit, not negative, same shape.
        recent: Those of the 14 days before the fit, at most ``events``, same shape.
        fitted_us: Time of the fit, microseconds since the epoch.
    """

    keys: NDArray[np.uint64]
    events: NDArray[np.float64]
    recent: NDArray[np.float64]
    fitted_us: int

    name: ClassVar[str] = "bestsellers"
    columns: ClassVar[Mapping[str, str]] = {
        "bestsellers": "Weighted events since the beginning of the data",
    }

    @cached
    def shared_scores(self, batch: Batch) -> NDArray[np.float64]:
        """Score by events, shape ``(n_queries, n_sales, 1)``; see `Recommender.shared_scores`."""
        events, recent = (one.take(batch.rows) for one in self.columns_of(batch.catalogue))
        at_us = np.array([one.catalogue.counts.at_us for one in batch.queries])
        opens_us = np.array([one.catalogue.opens_us[one.rows] for one in batch.queries])
        left = np.clip(1.0 - (at_us - self.fitted_us) / RETENTION_US, 0.0, 1.0)
        is_older = opens_us < self.fitted_us
        counted = np.einsum("...j,j->...", batch.counts.totals, COUNTED_INTEREST)
        newer = np.maximum(counted - np.where(is_older, recent * left[:, None], 0.0), 0.0)
        return (np.where(is_older, events, 0.0) + newer)[..., None]

    @cached
    def columns_of(self, catalogue: Catalogue) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return events and recent events of every sale of a catalogue, each ``(n_catalogue,)``."""
        rows = catalogue.rows_for(self.keys)
        known = rows >= 0
        table = np.zeros((2, len(catalogue)))
        table[:, rows[known]] = self.events[known], self.recent[known]
        return table[0], table[1]

    def to_arrays(self) -> Mapping[str, NDArray[np.generic]]:
        """Return the fitted arrays; see `Recommender.to_arrays`."""
        return {
            "keys": self.keys.view(np.int64),
            "events": self.events,
            "recent": self.recent,
            "fitted_us": np.array([self.fitted_us]),
        }

    @classmethod
    def from_arrays(cls, arrays: Arrays) -> Self:
        """Restore the recommender; see `Recommender.from_arrays`."""
        keys, [fitted_us] = arrays.integers("keys"), arrays.integers("fitted_us").tolist()
        events, recent = arrays.floats("events"), arrays.floats("recent")
        if not len(keys) == len(events) == len(recent):
            msg = f"{len(events)} events and {len(recent)} recent ones of {len(keys)} sales"
            raise ValueError(msg)
        if min(recent.min(initial=0.0), (events - recent).min(initial=0.0)) < 0:
            msg = "events of bestsellers must not be negative, nor recent ones more than all"
            raise ValueError(msg)
        return cls(keys.view(np.uint64), events, recent, fitted_us)
