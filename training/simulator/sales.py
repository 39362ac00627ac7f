"""Sales of a simulated world: product, destination, times, markets and price."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from training.simulator.destinations import Destination, Scene
from training.simulator.parameters import CATEGORIES, DAY_US, HOUR_US, MARKETS, Parameters
from training.simulator.period import Period

# Chosen to resemble a flash-sale site: docs/world.md, "Sales". Sales last at most nine days, so
# that the first day has all its open ones.
_LEAD_DAYS = 9
_AFTER_DAYS = 7  # so that a running demo has sales to open for a week
_PRICE_SPREAD = 0.45  # of the logarithm of the price
_CATEGORY_PRICE = np.array([1.0, 1.35, 1.6, 1.2, 1.9])  # relative to a hotel, by CATEGORIES
_SOLD_OUT_SHARE = 0.05


@dataclass(frozen=True)
class Sales:
    """Columns of all sales, each of shape ``(n_sales,)`` unless noted; ordered by opening.

    Attributes:
        scene: Index of the scene in the picture.
        destination: Index of the destination.
        category: Index into ``CATEGORIES``.
        price: Euros, two decimals.
        original_price: Euros before the discount.
        margin: Share of the price that the shop keeps.
        markets: Booleans, shape ``(n_sales, n_markets)``.
        opens_us: Opening, microseconds.
        closes_us: Closing, microseconds.
        ends_us: The earlier of closing and selling out.
        stock: Units at opening.
        appeal: SaleLift to all customers alike, in logits, shape ``(n_sales, 2)``: for
            clicks and for purchases after a click.
    """

    scene: NDArray[np.int64]
    destination: NDArray[np.int64]
    category: NDArray[np.int64]
    price: NDArray[np.float64]
    original_price: NDArray[np.float64]
    margin: NDArray[np.float64]
    markets: NDArray[np.bool_]
    opens_us: NDArray[np.int64]
    closes_us: NDArray[np.int64]
    ends_us: NDArray[np.int64]
    stock: NDArray[np.int64]
    appeal: NDArray[np.float64]

    def __len__(self) -> int:
        """Return the number of sales."""
        return len(self.scene)

    def touching(self, from_us: int, until_us: int) -> NDArray[np.int64]:
        """Return the rows of sales that are on sale at some moment of ``[from, until)``."""
        return np.flatnonzero((self.opens_us < until_us) & (self.ends_us > from_us))


def draw_sales(
    parameters: Parameters,
    period: Period,
    *,
    scenes: Sequence[Scene],
    destinations: Sequence[Destination],
    rng: np.random.Generator,
) -> Sales:
    """Draw sales that open from nine days before the period until seven days after it."""
    # The order of the draws is part of a world: another order gives other files for a seed.
    opens_us = _openings(parameters, period, rng)
    n_sales = len(opens_us)
    destination = rng.integers(len(destinations), size=n_sales)
    scene = np.array(
        [rng.choice(destinations[int(place)].scenes) for place in destination], dtype=np.int64
    )
    # The product goes with the scene, but does not name it.
    shift = rng.choice(len(CATEGORIES), size=n_sales, p=[0.4, 0.3, 0.1, 0.1, 0.1])
    category = (scene + shift) % len(CATEGORIES)
    typical = np.array([one.price for one in scenes])[scene] * _CATEGORY_PRICE[category]
    factor = np.exp(rng.normal(0.0, _PRICE_SPREAD, n_sales))
    price = np.round(typical * factor).astype(np.float64)
    discount = 0.1 + 0.6 * rng.beta(2.5, 2.5, n_sales)
    nights = rng.integers(3, 9, size=n_sales)
    hours = rng.integers(20, 24, size=n_sales)
    closes_us = (opens_us // DAY_US + nights) * DAY_US + hours * HOUR_US
    margin = np.round(rng.beta(6, 24, size=n_sales), 3)
    n_markets = rng.choice([1, 2, 3], size=n_sales, p=[0.5, 0.35, 0.15])
    order = np.argsort(rng.random((n_sales, len(MARKETS))), axis=1)
    sold_out = rng.random(n_sales) < _SOLD_OUT_SHARE
    lasts = np.where(sold_out, rng.uniform(0.4, 0.95, n_sales), 1.0)
    return Sales(
        scene=scene,
        destination=destination,
        category=category,
        price=price,
        original_price=np.round(price / (1.0 - discount)).astype(np.float64),
        margin=margin,
        markets=order.argsort(axis=1) < n_markets[:, None],
        opens_us=opens_us,
        closes_us=closes_us,
        ends_us=opens_us + (lasts * (closes_us - opens_us)).astype(np.int64),
        stock=rng.integers(5, 60, size=n_sales),
        appeal=rng.normal(0.0, parameters.appeal_sd, size=(n_sales, 2)),
    )


def _openings(
    parameters: Parameters, period: Period, rng: np.random.Generator
) -> NDArray[np.int64]:
    first_day = period.start_us // DAY_US - _LEAD_DAYS
    last_day = period.end_us // DAY_US + _AFTER_DAYS
    counts = rng.poisson(parameters.sales_per_day, size=last_day - first_day + 1)
    days = np.repeat(np.arange(first_day, last_day + 1), counts)
    hours = rng.choice([6, 7, 8], size=len(days), p=[0.3, 0.5, 0.2])
    opens_us = days * DAY_US + hours * HOUR_US
    return np.sort(opens_us[opens_us <= period.end_us + _AFTER_DAYS * DAY_US])
