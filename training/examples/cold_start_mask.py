"""Cold-start masking: slates repeated without history, so that the trees learn from its absence."""

from dataclasses import dataclass, replace
from typing import Final, Self

import numpy as np
from numpy.typing import NDArray

from models.catalogue.event_counts import GRID_US
from models.domain.customer import Window
from models.domain.profile import Profile
from models.domain.purchase_history import PurchaseHistory
from models.query.query import Query
from training.examples.slates import Slates

# Share of the repeated slates whose customer is masked as well. Chosen, not measured.
_NEW_CUSTOMERS: Final = 0.1


@dataclass(frozen=True, eq=False)
class ColdStartMask:
    """Slates, some of them repeated with the history of their sales masked.

    Attributes:
        slates: All slates and the repeated ones, ordered by time.
        new_sales: Whether a slate is repeated, with sales as if just opened, shape ``(n,)``.
        new_customers: Whether its customer is masked as well, shape ``(n,)``.
    """

    slates: Slates
    new_sales: NDArray[np.bool_]
    new_customers: NDArray[np.bool_]

    @classmethod
    def draw(cls, slates: Slates, *, share: float, seed: int) -> Self:
        """Choose a share of the slates, which are ordered by time, to repeat at random."""
        # Both rows are always drawn, so that a share does not move the masked customers.
        draws = np.random.default_rng(seed).random((2, len(slates)))
        order = np.repeat(np.arange(len(slates)), 1 + (draws[0] < share))
        repeated = np.diff(order, prepend=-1) == 0
        return cls(slates.select(order), repeated, repeated & (draws[1] < _NEW_CUSTOMERS)[order])

    def select(self, chosen: NDArray[np.intp]) -> Self:
        """Return some of the slates, in the order given."""
        slates = self.slates.select(chosen)
        return type(self)(slates, self.new_sales[chosen], self.new_customers[chosen])

    def apply(self, slate: int, query: Query) -> Query:
        """Mask the query of a slate, by number, where it is a repeated one."""
        if self.new_sales[slate]:
            query = with_new_sales(query)
        return with_new_customer(query) if self.new_customers[slate] else query


def with_new_sales(query: Query) -> Query:
    """Return the query as if its candidates had opened a minute ago.

    Their counts are 0, and the customer's window and purchases have none of them. Other sales and
    the closing times stay.
    """
    catalogue, rows = query.catalogue, query.rows
    opens_us = catalogue.opens_us.copy()
    opens_us[rows] = np.maximum(opens_us[rows], query.context.now_us - GRID_US)
    # Copies: the catalogue's own counts go on to the next query.
    totals, decayed = catalogue.counts.totals.copy(), catalogue.counts.decayed.copy()
    totals[rows] = 0.0
    decayed[:, rows] = 0.0
    counts = replace(catalogue.counts, totals=totals, decayed=decayed)
    unseen = replace(catalogue, opens_us=opens_us, counts=counts)
    touched, shown = (
        ~np.isin(part.sale_keys, catalogue.keys[rows])
        for part in (query.window, query.window.shown)
    )
    window = Window(query.window.members[touched], query.window.shown.select(shown))
    profile = query.profile
    if profile.bought:
        bought = PurchaseHistory.unpack(profile.bought)
        bought = bought.select(~np.isin(bought.sale_keys, catalogue.keys[rows]))
        profile = replace(profile, bought=bought.pack())
    return replace(query, window=window, profile=profile, catalogue=unseen)


def with_new_customer(query: Query) -> Query:
    """Return the query without its customer's events; attributes are known from the first day."""
    profile = replace(Profile.empty(), attributes=query.profile.attributes)
    return replace(query, window=Window.empty(), profile=profile)
