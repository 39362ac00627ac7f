"""Fits segment popularity: by market, device and segment, with rates of groups and customers."""

from dataclasses import dataclass
from functools import cached_property
from typing import Final

import numpy as np
from numpy.typing import NDArray

from models.domain.event import CLICK, IMPRESSION, KINDS, PURCHASE
from models.domain.profile import PROFILE_DAYS
from models.domain.units import DAY_US
from models.recommenders.popularity import Popularity
from models.recommenders.segment_popularity import (
    HOT_EVENTS,
    SEGMENTS,
    CustomerActivity,
    GroupActivity,
    SaleLift,
    SegmentPopularity,
    opened_counts,
)
from training.recommenders.gamma_poisson import rate_and_shape
from training.recommenders.interactions import Interactions

_PRIOR: Final = 10.0  # pseudo-count of a group's openings or purchases; chosen, not measured


def fit_segment_popularity(interactions: Interactions, popularity: Popularity) -> SegmentPopularity:
    """Compare observed events of groups of customers with those expected of all customers.

    The popularity has to be fitted on the same events.
    """
    markets = Grouped(interactions, interactions.markets, interactions.market_names)
    devices = Grouped(interactions, interactions.devices, interactions.device_names)
    segments = Grouped(interactions, _segments(interactions), SEGMENTS)
    return SegmentPopularity(
        popularity,
        markets=markets.lift(),
        devices=devices.lift(),
        segments=segments.lift(),
        market_activity=markets.activity(),
        device_activity=devices.activity(),
        customer_activity=fit_customer_activity(interactions),
    )


def fit_customer_activity(interactions: Interactions) -> CustomerActivity:
    """Fit the mean rates of opening and buying, and how much customers differ in them.

    They are those of the days that profiles count.
    """
    n = interactions.n_customers * len(KINDS)
    last_us = int(interactions.received_us[-1]) if len(interactions.received_us) else 0
    counted = interactions.received_us >= last_us - PROFILE_DAYS * DAY_US
    cells = (interactions.customers * len(KINDS) + interactions.kinds)[counted]
    counts = np.bincount(cells, minlength=n).reshape(-1, len(KINDS)).astype(np.float64)
    clicks, opened = opened_counts(counts)
    return CustomerActivity(
        *rate_and_shape(clicks, counts[:, IMPRESSION]),
        *rate_and_shape(counts[:, PURCHASE], opened),
    )


@dataclass(frozen=True, eq=False)
class Grouped:
    """Interactions counted by sale and group of customers.

    Attributes:
        interactions: The events.
        groups: Code of the group of each event, -1 without one, shape ``(n,)``.
        names: Name of each group.
    """

    interactions: Interactions
    groups: NDArray[np.int64]
    names: tuple[str, ...]

    @cached_property
    def opened(self) -> NDArray[np.int64]:
        """Clicks; without logged impressions all events, shape ``(n_sales, n_groups)``."""
        shown = self._shown.any()
        clicks = self._known & (self.interactions.kinds == CLICK) if shown else self._known
        return self._count(clicks).astype(np.int64)

    @cached_property
    def expected(self) -> NDArray[np.float64]:
        """Expected openings, at the rate of all customers, same shape.

        Of a sale with ``c`` openings in ``e`` exposures, a group with ``e_g`` exposures is expected
        to have ``c * e_g / e``; for exposures see `Interactions.looks_by_sale`. Without logged
        impressions a group is expected to have its share of all events in each sale.
        """
        if self._shown.any():
            looks = self._count(self._shown, self.interactions.looks(self._shown))
        else:
            n_events = np.bincount(self.groups[self._known], minlength=len(self.names))
            n_sales = len(self.interactions.catalogue)
            looks = np.tile(n_events, (n_sales, 1)).astype(np.float64)
        of_all = self.opened.sum(axis=1, keepdims=True)
        return of_all / np.maximum(looks.sum(axis=1, keepdims=True), 1e-9) * looks

    def lift(self) -> SaleLift:
        """Return ``(opened + 10) / (expected + 10)`` of every opened sale."""
        rows = np.flatnonzero(self.opened.any(axis=1))
        factors = (self.opened[rows] + _PRIOR) / (self.expected[rows] + _PRIOR)
        return SaleLift(self.names, self.interactions.catalogue.keys[rows], factors)

    def activity(self) -> GroupActivity:
        """Return the same over all sales together, for openings and for purchases per opening."""
        opened = self.opened.sum(axis=0)
        bought = self._count(self._known & (self.interactions.kinds == PURCHASE)).sum(axis=0)
        a_time = bought.sum() / max(int(opened.sum()), 1)
        return GroupActivity(
            self.names,
            opens=np.log((opened + _PRIOR) / (self.expected.sum(axis=0) + _PRIOR)),
            buys=np.log((bought + _PRIOR) / (a_time * opened + _PRIOR)),
        )

    @cached_property
    def _known(self) -> NDArray[np.bool_]:
        is_known = (self.groups >= 0) & (self.interactions.rows >= 0)
        return is_known & self.interactions.counted

    @cached_property
    def _shown(self) -> NDArray[np.bool_]:
        return self._known & (self.interactions.kinds == IMPRESSION)

    def _count(
        self, chosen: NDArray[np.bool_], weights: NDArray[np.float64] | None = None
    ) -> NDArray[np.float64]:
        shape = len(self.interactions.catalogue), len(self.names)
        cells = self.interactions.rows[chosen] * shape[1] + self.groups[chosen]
        counts = np.bincount(cells, weights, minlength=shape[0] * shape[1])
        return counts.astype(np.float64).reshape(shape)


def _segments(interactions: Interactions) -> NDArray[np.int64]:
    """Return the code of the customer's segment at each event, shape ``(n,)``.

    An event counts for the segment at the last impression before it: both sales that a new
    customer opens in their first list were opened by a new customer.
    """
    # As they were known then: a guest was a customer of their own until the merge.
    order = np.argsort(interactions.received_as, kind="stable")
    customers = interactions.received_as[order]
    shown = interactions.kinds[order] == IMPRESSION
    before = np.cumsum(~shown) - ~shown
    places = np.arange(len(order))
    seen = np.maximum.accumulate(np.where(shown, places, -1))
    first = np.searchsorted(customers, customers)
    known = before[np.where(seen >= first, seen, places)] - before[first]
    segments = np.empty(len(order), dtype=np.int64)
    segments[order] = np.searchsorted([1, HOT_EVENTS], known, side="right")
    return segments
