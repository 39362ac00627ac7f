"""Fits popularity by market and by segment."""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from models.events import KIND, EventType
from models.recommenders.audience import HOT_EVENTS, SEGMENTS, Appeal, Audience
from models.recommenders.popularity import Popularity
from training.recommenders.interactions import Interactions

PRIOR: Final = 10.0
"""Expected openings of a sale by a group that its own ones weigh as much as."""

_IMPRESSION: Final = KIND[EventType.IMPRESSION]
_CLICK: Final = KIND[EventType.CLICK]


def fit_audience(interactions: Interactions, popularity: Popularity) -> Audience:
    """Compare what groups of customers opened with what they would have, were they like all.

    Args:
        interactions: What is known.
        popularity: Fitted on the same.
    """
    return Audience(
        popularity,
        _appeal(interactions, interactions.markets, names=interactions.market_names),
        _appeal(interactions, _segments(interactions), names=SEGMENTS),
    )


def _appeal(
    interactions: Interactions, groups: NDArray[np.int64], *, names: tuple[str, ...]
) -> Appeal:
    """Return ``(opened + 10) / (expected + 10)`` of every sale and group.

    Of a sale that all opened in ``c`` of ``e`` looks, a group that looked ``e_g`` times is
    expected to open ``c * e_g / e``; looks fade with the position as in
    `Interactions.exposure`. Without impressions on record a group is expected to have the
    share of each sale's events that it has of all.
    """
    n_sales, n_groups = len(interactions.catalogue), len(names)
    known = (groups >= 0) & (interactions.rows >= 0)
    cells = interactions.rows * n_groups + groups
    shown = known & (interactions.kinds == _IMPRESSION)
    opened = known & (interactions.kinds == _CLICK)
    if not shown.any():
        opened = known
    positions = np.maximum(interactions.positions[shown], 1)
    looks = np.bincount(cells[shown], positions**-0.5, minlength=n_sales * n_groups)
    if not shown.any():
        looks = np.tile(np.bincount(groups[known], minlength=n_groups), n_sales)
    table = np.bincount(cells[opened], minlength=n_sales * n_groups).reshape(n_sales, n_groups)
    looks = looks.reshape(n_sales, n_groups).astype(np.float64)
    of_all = table.sum(axis=1, keepdims=True) / np.maximum(looks.sum(axis=1, keepdims=True), 1e-9)
    factors = (table + PRIOR) / (of_all * looks + PRIOR)
    rows = np.flatnonzero(table.any(axis=1))
    return Appeal(names, interactions.catalogue.keys[rows], factors[rows])


def _segments(interactions: Interactions) -> NDArray[np.int64]:
    """Return the code of the customer's segment at every event, shape ``(n,)``."""
    order = np.argsort(interactions.customers, kind="stable")
    customers = interactions.customers[order]
    acted = (interactions.kinds[order] != _IMPRESSION).astype(np.int64)
    before = np.cumsum(acted) - acted
    before -= before[np.searchsorted(customers, customers)]
    segments = np.empty(len(order), dtype=np.int64)
    segments[order] = np.searchsorted([1, HOT_EVENTS], before, side="right")
    return segments
