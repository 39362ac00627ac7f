"""Interactions, on which recommenders are fitted: columns of events, and the catalogue."""

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Self, TypeVar

import numpy as np
from numpy.typing import NDArray

from models.arrays.mapped_array import beside, rows_of
from models.catalogue.catalogue import Catalogue
from models.catalogue.event_counts import counted
from models.dataset.customers import CustomerTable
from models.dataset.events import EventTable
from models.dataset.guest_events import CustomerCodes
from models.dataset.refunded_events import interest_until_us
from models.domain.event import IMPRESSION
from models.domain.refund_matching import SHOWS_INTEREST
from models.features.context import device_code
from models.ranker.position_effect import PositionEffect

_Number = TypeVar("_Number", bound=np.generic)


@dataclass(frozen=True, eq=False)
class Interactions:
    """Events ordered by the time at which they were received, as columns of shape ``(n,)``.

    They are impressions, and events that show interest in a sale. `before` leaves out those that
    were undone by the moment, by a refund or a dislike.

    Attributes:
        catalogue: All sales, with counts of no particular moment.
        rows: Catalogue rows, -1 for unknown sales.
        received_as: Codes of the ids under which events were received.
        customers: Codes of customers: a guest who was merged by then has that of the customer.
        n_customers: Number of codes.
        kinds: Type codes.
        positions: Rank in the slate from 1, 0 where unknown.
        markets: Codes of markets, -1 where unknown.
        market_names: Market of each code.
        devices: Codes of devices, -1 where unknown.
        device_names: Device of each code.
        at_us: When each happened, microseconds since the epoch.
        received_us: When each was received, ascending.
        until_us: Until when each counts, see `models.dataset.refunded_events.interest_until_us`.
        codes: Which code is whose guest, and since when.
        attributes: What the dataset knows of the customer of each code.
        examined: P(examined) by position and device.
    """

    catalogue: Catalogue
    rows: NDArray[np.int64]
    received_as: NDArray[np.int64]
    customers: NDArray[np.int64]
    n_customers: int
    kinds: NDArray[np.uint8]
    positions: NDArray[np.int32]
    markets: NDArray[np.int64]
    market_names: tuple[str, ...]
    devices: NDArray[np.int64]
    device_names: tuple[str, ...]
    at_us: NDArray[np.int64]
    received_us: NDArray[np.int64]
    until_us: NDArray[np.int64]
    codes: CustomerCodes
    attributes: CustomerTable
    examined: PositionEffect

    @classmethod
    def from_events(
        cls,
        events: EventTable,
        catalogue: Catalogue,
        examined: PositionEffect | None = None,
    ) -> Self:
        """Take the columns of an event table, which has this order, with all its merges.

        Args:
            events: The events.
            catalogue: All sales, with counts of no particular moment.
            examined: P(examined) by position and device; None: every impression was examined.
        """
        until_us = interest_until_us(events)
        used = SHOWS_INTEREST.take(events.kinds) | (events.kinds == IMPRESSION)
        if not used.all():
            events, until_us = events.select(used), until_us[used]
        codes = CustomerCodes.from_events(events)
        return cls(
            catalogue=catalogue,
            rows=beside(events.at_us, catalogue.rows_for(events.sale_keys)),
            received_as=events.customers.codes,
            customers=_customers(events.customers.codes, codes.at()),
            n_customers=len(codes.ids),
            kinds=events.kinds,
            positions=events.positions,
            markets=events.markets.codes,
            market_names=tuple(map(str, events.markets.values)),
            devices=events.devices.codes,
            device_names=tuple(map(str, events.devices.values)),
            at_us=events.at_us,
            received_us=events.received_us,
            until_us=beside(events.at_us, until_us),
            codes=codes,
            attributes=events.attributes.aligned(codes.ids),
            examined=examined or PositionEffect.none(),
        )

    @cached_property
    def counted(self) -> NDArray[np.bool_]:
        """Mask of the events that count for their sales, see `models.catalogue.event_counts`.

        All unknown sales count as one.
        """
        return counted(self.received_as, self.rows, kinds=self.kinds, received_us=self.received_us)

    def __len__(self) -> int:
        """Return the number of events."""
        return len(self.rows)

    def before(self, moment_us: int) -> Self:
        """Return the events received before a moment and not undone, with the merges before it.

        They are views of the columns where nothing was undone, and no guest was merged.
        """
        end = int(np.searchsorted(self.received_us, moment_us))
        stands = self.until_us[:end] >= moment_us
        kept = None if stands.all() else np.flatnonzero(stands)

        def part(column: NDArray[_Number]) -> NDArray[_Number]:
            return column[:end] if kept is None else rows_of(column, kept)

        received_as = part(self.received_as)
        return replace(
            self,
            rows=part(self.rows),
            received_as=received_as,
            customers=_customers(received_as, self.codes.at(moment_us - 1)),
            kinds=part(self.kinds),
            positions=part(self.positions),
            markets=part(self.markets),
            devices=part(self.devices),
            at_us=part(self.at_us),
            received_us=part(self.received_us),
            until_us=part(self.until_us),
        )

    def looks_by_sale(self) -> NDArray[np.float64]:
        """Return how often each sale was looked at, shape ``(n_catalogue,)``.

        An impression counts P(examined) at its position, see `looks`. Without logged impressions
        every sale with an event counts 1.
        """
        shown = np.flatnonzero((self.kinds == IMPRESSION) & (self.rows >= 0) & self.counted)
        n_sales = len(self.catalogue)
        if not len(shown):
            known = self.rows[self.rows >= 0]
            return (np.bincount(known, minlength=n_sales) > 0).astype(np.float64)
        looks = self.looks(shown)
        return np.bincount(self.rows[shown], weights=looks, minlength=n_sales).astype(np.float64)

    def looks(self, impressions: NDArray[np.intp] | NDArray[np.bool_]) -> NDArray[np.float64]:
        """Return P(examined) of chosen impressions, relative to position 1, shape ``(n,)``."""
        # The last code is that of unknown devices, -1.
        codes = np.array([*map(device_code, self.device_names), np.nan])
        devices = codes[self.devices[impressions]]
        return self.examined.p_examined(self.positions[impressions], devices)

    def touched(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Return the distinct pairs of a customer and a sale with an event that is no impression.

        Returns:
            Customer codes and catalogue rows, ordered by both.
        """
        pairs = self._pairs(self.kinds != IMPRESSION)
        return pairs // self._n_sales, pairs % self._n_sales

    def opened_share(self) -> float:
        """Return the share of distinct pairs of customer and shown sale with a further event.

        It is 0 without logged impressions.
        """
        shown = self._pairs(self.kinds == IMPRESSION)
        if not len(shown):
            return 0.0
        return float(np.mean(np.isin(shown, self._pairs(self.kinds != IMPRESSION))))

    @property
    def _n_sales(self) -> int:
        return max(len(self.catalogue), 1)

    def _pairs(self, chosen: NDArray[np.bool_]) -> NDArray[np.int64]:
        """Return the distinct pairs of customer and known sale of events as numbers, ascending."""
        kept = chosen & (self.rows >= 0)
        return np.unique(self.customers[kept] * self._n_sales + self.rows[kept])


def _customers(received_as: NDArray[np.int64], customer_of: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the customers of ids; the ids themselves where none is merged."""
    if (customer_of == np.arange(len(customer_of))).all():
        return received_as
    return beside(received_as, customer_of[received_as])
