"""Slates learned from once more with history hidden, so that trees learn to live without it."""

from dataclasses import dataclass, replace
from typing import Final, Self

import numpy as np
from numpy.typing import NDArray

from models.catalogue.event_counts import GRID_US, SaleCounts
from models.domain.customer import Window
from models.domain.profile import Profile
from models.query.query import Query
from training.examples.slates import Slates

_NEW_CUSTOMERS: Final = 0.1
"""Share of the repeated slates whose customer seems to be new, too."""


@dataclass(frozen=True, eq=False)
class Hiding:
    """Slates, some of which follow once more as if they had shown new sales.

    Attributes:
        slates: All slates with the repeated ones, ordered by time.
        new_sales: Repeated slates, whose sales seem to have just opened, shape ``(n,)``.
        new_customers: Those of them whose customer seems to be new, shape ``(n,)``.
    """

    slates: Slates
    new_sales: NDArray[np.bool_]
    new_customers: NDArray[np.bool_]

    @classmethod
    def of(cls, slates: Slates, *, share: float, seed: int) -> Self:
        """Choose at random which slates to repeat.

        Args:
            slates: Ordered by time.
            share: Share of the slates to repeat.
            seed: Seed of the choice.
        """
        draws = np.random.default_rng(seed).random((2, len(slates)))
        order = np.repeat(np.arange(len(slates)), 1 + (draws[0] < share))
        again = np.diff(order, prepend=-1) == 0
        return cls(slates.select(order), again, again & (draws[1] < _NEW_CUSTOMERS)[order])

    def seen(self, slate: int, query: Query) -> Query:
        """Return what is learned from a slate's query."""
        if self.new_sales[slate]:
            query = with_new_sales(query)
        return with_new_customer(query) if self.new_customers[slate] else query


def with_new_sales(query: Query) -> Query:
    """Return the query as if its candidates had opened a minute ago.

    Nobody has seen them, the customer neither; what is known of other sales stays, as do
    the announced closings.
    """
    catalogue, rows = query.catalogue, query.rows
    opens_us = catalogue.opens_us.copy()
    opens_us[rows] = np.maximum(opens_us[rows], query.context.now_us - GRID_US)
    unseen = replace(catalogue, opens_us=opens_us, counts=_without(catalogue.counts, rows))
    window = _without_sales(query.window, catalogue.keys[rows])
    return replace(query, window=window, catalogue=unseen)


def with_new_customer(query: Query) -> Query:
    """Return the query as if its customer came for the first time."""
    return replace(query, window=Window.empty(), profile=Profile.empty())


def _without_sales(window: Window, keys: NDArray[np.uint64]) -> Window:
    touched, shown = (~np.isin(part.sale_keys, keys) for part in (window, window.shown))
    return Window(window.members[touched], window.shown.select(shown))


def _without(counts: SaleCounts, rows: NDArray[np.int64]) -> SaleCounts:
    totals, decayed = counts.totals.copy(), counts.decayed.copy()
    totals[rows] = 0.0
    decayed[:, rows] = 0.0
    return SaleCounts(counts.at_us, totals, decayed)
