"""Fits popularity by market, device and segment, and what markets and devices open and buy."""

from dataclasses import dataclass
from functools import cached_property
from typing import Final

import numpy as np
from numpy.typing import NDArray

from models.events import KIND, EventType
from models.recommenders.audience import HOT_EVENTS, SEGMENTS, Appeal, Audience, Habits
from models.recommenders.popularity import Popularity
from training.recommenders.interactions import Interactions

PRIOR: Final = 10.0
"""Expected openings or purchases by a group that its own ones weigh as much as."""

_IMPRESSION: Final = KIND[EventType.IMPRESSION]
_CLICK: Final = KIND[EventType.CLICK]
_PURCHASE: Final = KIND[EventType.PURCHASE]


def fit_audience(interactions: Interactions, popularity: Popularity) -> Audience:
    """Compare what groups of customers did with what they would have, were they like all.

    Args:
        interactions: What is known.
        popularity: Fitted on the same.
    """
    markets = Grouped(interactions, interactions.markets, interactions.market_names)
    devices = Grouped(interactions, interactions.devices, interactions.device_names)
    segments = Grouped(interactions, _segments(interactions), SEGMENTS)
    return Audience(
        popularity,
        markets=markets.appeal(),
        devices=devices.appeal(),
        segments=segments.appeal(),
        market_habits=markets.habits(),
        device_habits=devices.habits(),
    )


@dataclass(frozen=True, eq=False)
class Grouped:
    """Interactions counted by sale and group of customers.

    Attributes:
        interactions: What is known.
        groups: Code of the group of each event, -1 without one, shape ``(n,)``.
        names: Name of each group.
    """

    interactions: Interactions
    groups: NDArray[np.int64]
    names: tuple[str, ...]

    @cached_property
    def opened(self) -> NDArray[np.int64]:
        """Clicks; without impressions on record all events, shape ``(n_sales, n_groups)``."""
        return self._count(self._clicks).astype(np.int64)

    @cached_property
    def expected(self) -> NDArray[np.float64]:
        """What groups would have opened, were they like all, same shape.

        Of a sale that all opened in ``c`` of ``e`` looks, a group that looked ``e_g`` times is
        expected to open ``c * e_g / e``; looks fade with the position as in
        `Interactions.exposure`. Without impressions on record a group is expected to have the
        share of each sale's events that it has of all.
        """
        looks = self._looks()
        of_all = self.opened.sum(axis=1, keepdims=True)
        return of_all / np.maximum(looks.sum(axis=1, keepdims=True), 1e-9) * looks

    def appeal(self) -> Appeal:
        """Return ``(opened + 10) / (expected + 10)`` of every sale that was opened."""
        rows = np.flatnonzero(self.opened.any(axis=1))
        factors = (self.opened[rows] + PRIOR) / (self.expected[rows] + PRIOR)
        return Appeal(self.names, self.interactions.catalogue.keys[rows], factors)

    def habits(self) -> Habits:
        """Return the same over all sales together, and of what was bought of what was opened."""
        opened = self.opened.sum(axis=0)
        bought = self._count(self._known & (self.interactions.kinds == _PURCHASE)).sum(axis=0)
        a_time = bought.sum() / max(int(opened.sum()), 1)
        return Habits(
            self.names,
            opens=np.log((opened + PRIOR) / (self.expected.sum(axis=0) + PRIOR)),
            buys=np.log((bought + PRIOR) / (a_time * opened + PRIOR)),
        )

    @cached_property
    def _known(self) -> NDArray[np.bool_]:
        return (self.groups >= 0) & (self.interactions.rows >= 0)

    @cached_property
    def _shown(self) -> NDArray[np.bool_]:
        return self._known & (self.interactions.kinds == _IMPRESSION)

    @property
    def _clicks(self) -> NDArray[np.bool_]:
        if not self._shown.any():
            return self._known
        return self._known & (self.interactions.kinds == _CLICK)

    def _looks(self) -> NDArray[np.float64]:
        if self._shown.any():
            positions = np.maximum(self.interactions.positions[self._shown], 1)
            return self._count(self._shown, positions**-0.5)
        n_events = np.bincount(self.groups[self._known], minlength=len(self.names))
        return np.tile(n_events, (len(self.interactions.catalogue), 1)).astype(np.float64)

    def _count(
        self, chosen: NDArray[np.bool_], weights: NDArray[np.float64] | None = None
    ) -> NDArray[np.float64]:
        shape = len(self.interactions.catalogue), len(self.names)
        cells = self.interactions.rows[chosen] * shape[1] + self.groups[chosen]
        counts = np.bincount(cells, weights, minlength=shape[0] * shape[1])
        return counts.astype(np.float64).reshape(shape)


def _segments(interactions: Interactions) -> NDArray[np.int64]:
    """Return the code of the segment that decided about each event, shape ``(n,)``.

    What follows from a list belongs to who the customer was when he saw it: of a stranger who
    opens two sales of his first list, neither was opened by somebody who is known.
    """
    order = np.argsort(interactions.customers, kind="stable")
    customers = interactions.customers[order]
    shown = interactions.kinds[order] == _IMPRESSION
    before = np.cumsum(~shown) - ~shown
    places = np.arange(len(order))
    seen = np.maximum.accumulate(np.where(shown, places, -1))
    first = np.searchsorted(customers, customers)
    known = before[np.where(seen >= first, seen, places)] - before[first]
    segments = np.empty(len(order), dtype=np.int64)
    segments[order] = np.searchsorted([1, HOT_EVENTS], known, side="right")
    return segments
