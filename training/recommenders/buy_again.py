"""Fits buy again: rates and intervals of repeat purchases, by sale and of the whole shop."""

from dataclasses import dataclass
from typing import Final, Self

import numpy as np
from numpy.typing import NDArray

from models.domain.event import PURCHASE
from models.domain.units import DAY_US
from models.recommenders.buy_again import BuyAgain
from training.recommenders.gamma_poisson import rate_and_shape
from training.recommenders.interactions import Interactions

# Prior of the shop: one repeat purchase in a year, worth one; chosen, it matters where there are
# hardly any.
_PRIOR_DAYS: Final = 365.0
# Prior of a sale, in repeat purchases at the rate of the shop, and in intervals; chosen.
_PRIOR_REPEATS: Final = 2.0
_PRIOR_INTERVALS: Final = 2.0


@dataclass(frozen=True, eq=False)
class BoughtPairs:
    """Distinct pairs of customer and known sale with a purchase; purchases of a day are one.

    Attributes:
        rows: Catalogue row of each pair, shape ``(n,)``.
        first_days: Day of the first purchase, days since the epoch, same shape.
        last_days: Day of the last purchase, same shape.
        n_again: Days with a purchase after the first, same shape.
    """

    rows: NDArray[np.int64]
    first_days: NDArray[np.int64]
    last_days: NDArray[np.int64]
    n_again: NDArray[np.int64]

    @classmethod
    def from_interactions(cls, interactions: Interactions) -> Self:
        """Collect the pairs of all events."""
        paid = (interactions.kinds == PURCHASE) & (interactions.rows >= 0)
        customers, rows = interactions.customers[paid], interactions.rows[paid]
        days = interactions.at_us[paid] // DAY_US
        order = np.lexsort((days, rows, customers))
        table = np.stack([customers, rows, days])[:, order]
        table = table[:, np.any(np.diff(table, axis=1, prepend=-1), axis=0)]
        starts = np.flatnonzero(np.any(np.diff(table[:2], axis=1, prepend=-1), axis=0))
        ends = np.append(starts[1:], table.shape[1])[: len(starts)] - 1
        return cls(table[1, starts], table[2, starts], table[2, ends], ends - starts)


def fit_buy_again(interactions: Interactions) -> BuyAgain:
    """Estimate rates of repeat purchases a day, and intervals between purchases of a customer.

    Rates of sales are shrunk towards the rate of the shop, as are their intervals.
    """
    pairs, n_sales = BoughtPairs.from_interactions(interactions), len(interactions.catalogue)
    today = int(interactions.received_us[-1]) // DAY_US if len(interactions) else 0
    n_again = pairs.n_again.astype(np.float64)
    waited = np.maximum(today - pairs.first_days, 0).astype(np.float64)
    between = (pairs.last_days - pairs.first_days).astype(np.float64)
    _, shape = rate_and_shape(n_again, waited)
    shop_rate = (float(n_again.sum()) + 1.0) / (float(waited.sum()) + _PRIOR_DAYS)
    shop_interval = (float(between.sum()) + 1.0 / shop_rate) / (float(n_again.sum()) + 1.0)
    repeats, days, intervals = (
        np.bincount(pairs.rows, weights=weights, minlength=n_sales)
        for weights in (n_again, waited, between)
    )
    known = np.flatnonzero(np.bincount(pairs.rows, minlength=n_sales))
    rates = (repeats + _PRIOR_REPEATS) / (days + _PRIOR_REPEATS / shop_rate)
    usual = (intervals + _PRIOR_INTERVALS * shop_interval) / (repeats + _PRIOR_INTERVALS)
    return BuyAgain(
        keys=interactions.catalogue.keys[known],
        rates=rates[known],
        intervals=usual[known],
        shop_rate=shop_rate,
        shop_interval=shop_interval,
        shape=shape,
    )
