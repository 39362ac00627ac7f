"""Fits order sizes: what a purchase of a sale is worth, in multiples of its price."""

from typing import Final

import numpy as np

from models.catalogue.catalogue import Catalogue
from models.dataset.events import EventTable
from models.dataset.refunded_events import net_of_refunds
from models.domain.event import PURCHASE
from models.ranker.order_size import OrderSizes
from training.examples.outcomes import amounts_paid

_PRIOR_PURCHASES: Final = 5.0  # of the usual size; chosen, not measured


def fit_order_sizes(events: EventTable, catalogue: Catalogue) -> OrderSizes:
    """Average what was paid over the price of the sale, net of refunds, shrunk to the usual size.

    Purchases of sales without a price say nothing. Without any, a purchase is of one piece.

    Args:
        events: The events that are known.
        catalogue: Their sales.
    """
    events = net_of_refunds(events)
    rows = catalogue.rows_for(events.sale_keys)
    prices = np.expm1(np.append(catalogue.log_price, np.nan)[rows])
    sizes = amounts_paid(events, catalogue) / np.where(prices > 0, prices, np.nan)
    chosen = (events.kinds == PURCHASE) & (sizes > 0)
    if not chosen.any():
        return OrderSizes.single()
    usual = float(sizes[chosen].mean())
    bought, places = np.unique(rows[chosen], return_inverse=True)
    totals = np.bincount(places, sizes[chosen]) + _PRIOR_PURCHASES * usual
    means = totals / (np.bincount(places) + _PRIOR_PURCHASES)
    return OrderSizes(catalogue.keys[bought], means, usual)
