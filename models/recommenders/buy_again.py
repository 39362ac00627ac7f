"""Buy again: repeat purchases of a sale by a customer, as a gamma-Poisson process."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Final, Self

import numpy as np
from numpy.typing import NDArray

from models.arrays.array_file import Arrays
from models.catalogue.catalogue import Catalogue
from models.catalogue.catalogue_cache import cached
from models.kernel.steps import Family, Step
from models.recommenders.recommender import Recommender

_N_SHOP: Final = 3  # numbers of the whole shop: rate, shape, interval


@dataclass(frozen=True, eq=False)
class BuyAgain(Recommender):
    """Estimates how soon a customer buys a sale again that they bought before.

    After ``n`` days with a purchase, the first of them ``t`` days ago, the estimated purchases a
    day are ``(n - 1 + shape) / (t + shape / rate)``, with the rate of all buyers of the sale.
    The usual interval is the mean of the customer's intervals and one of all buyers of the sale.

    Attributes:
        keys: Keys of the sales with purchases, ascending, shape ``(n,)``.
        rates: Repeat purchases a day of a buyer of each sale, positive, same shape.
        intervals: Days between two purchases of one customer of each sale, positive, same shape.
        shop_rate: Rate of sales without purchases, positive.
        shop_interval: Interval of sales without a repeat purchase, positive.
        shape: Shape of the gamma distribution of customers' rates, positive.

    Source:
        Bhagat et al., Buy It Again: Modeling Repeat Purchase Recommendations, KDD 2018.
    """

    keys: NDArray[np.uint64]
    rates: NDArray[np.float64]
    intervals: NDArray[np.float64]
    shop_rate: float
    shop_interval: float
    shape: float

    name: ClassVar[str] = "buy_again"
    columns: ClassVar[Mapping[str, str]] = {
        "buy_again": "Estimated purchases a day by this customer, who bought it before",
        "buy_again_days": "Days on which the customer bought it",
        "buy_again_since": "Logarithm of days since the last of them",
        "buy_again_due": "The same against the usual interval between two purchases of it",
        "buy_again_interval": "Logarithm of this interval in days",
        "buy_again_sale": "Estimated purchases a day by all who bought it before",
    }

    def step(self, catalogue: Catalogue) -> Step:
        """Return the step of all columns; see `Recommender.step`.

        A purchase of the window counts if it is of a later day than the profile's last one of that
        sale: the others are part of both.
        """
        tables, numbers = self.columns_of(catalogue), (self.shape,)
        return Step(Family.BUY_AGAIN, len(self.columns), tables, numbers=numbers)

    @cached
    def columns_of(self, catalogue: Catalogue) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return rate and interval of every sale of a catalogue, each ``(n_catalogue,)``."""
        rows = catalogue.rows_for(self.keys)
        known = rows >= 0
        rates = np.full(len(catalogue), self.shop_rate)
        intervals = np.full(len(catalogue), self.shop_interval)
        rates[rows[known]] = self.rates[known]
        intervals[rows[known]] = self.intervals[known]
        return rates, intervals

    def to_arrays(self) -> Mapping[str, NDArray[np.generic]]:
        """Return the fitted arrays; see `Recommender.to_arrays`."""
        return {
            "keys": self.keys.view(np.int64),
            "rates": self.rates,
            "intervals": self.intervals,
            "shop": np.array([self.shop_rate, self.shop_interval, self.shape]),
        }

    @classmethod
    def from_arrays(cls, arrays: Arrays) -> Self:
        """Restore the recommender; see `Recommender.from_arrays`."""
        keys, shop = arrays.integers("keys"), arrays.floats("shop")
        rates, intervals = arrays.floats("rates"), arrays.floats("intervals")
        if len(shop) != _N_SHOP or not len(keys) == len(rates) == len(intervals):
            msg = f"{len(rates)} rates and {len(intervals)} intervals of {len(keys)} sales"
            raise ValueError(msg)
        if min(shop.min(), rates.min(initial=1.0), intervals.min(initial=1.0)) <= 0:
            msg = "rates and intervals of repeat purchases must be positive"
            raise ValueError(msg)
        return cls(keys.view(np.uint64), rates, intervals, *shop.tolist())
