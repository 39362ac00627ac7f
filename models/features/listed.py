"""Features of the list that a caller gives: its order, its prices, what of it was touched."""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from models.events import KIND, EventType
from models.features.feature import FeatureGroup, Scope
from models.query import History, Listing, Query

_FEATURES: Final = {
    "list_rank": "Rank in the caller's own order; unknown without one",
    "list_length": "Sales in the caller's list",
    "list_price": "Logarithm of the price in the caller's list, or else of the sale's price",
    "list_cheaper": "Sales of the list that cost less",
    "list_price_mean": "Logarithm of the price against the mean of the list",
    "list_price_lowest": "Logarithm of the price against the lowest of the list",
    "list_price_touched": "Logarithm of the price against the mean of what he touched of the list",
    "list_touched": "Sales of the list that he touched",
    "list_from_last": "Ranks below the sale of the list that he touched last",
    "list_from_purchase": "Ranks below the sale of the list that he bought last",
}


def _values(query: Query) -> NDArray[np.float64]:
    listing = query.listing
    if listing is None:
        return np.full((len(query.rows), len(_FEATURES)), np.nan)
    places = listing.places(query.rows)
    ranks, log_prices = listing.ranks.astype(np.float64), np.log1p(listing.prices)
    ranks, prices = np.append(ranks, np.nan)[places], np.append(log_prices, np.nan)[places]
    touched = touched_places(query.history, listing)
    bought = query.history.kinds == KIND[EventType.PURCHASE]
    n_touched = len(np.unique(touched[touched >= 0]))
    known = log_prices[~np.isnan(log_prices)]
    return np.array(
        [
            ranks,
            np.full(len(places), float(len(listing.rows))),
            prices,
            np.where(np.isnan(prices), np.nan, np.searchsorted(np.sort(known), prices)),
            prices - _mean(known),
            prices - known.min(initial=np.inf),
            prices - _mean(log_prices[np.unique(touched[touched >= 0])]),
            np.full(len(places), float(n_touched)),
            ranks - _last_rank(touched, listing),
            ranks - _last_rank(touched[bought], listing),
        ]
    ).T


def touched_places(history: History, listing: Listing) -> NDArray[np.intp]:
    """Return the place in a list of each event's sale, -1 for sales that it lacks.

    Args:
        history: What the customer did, oldest first.
        listing: The list.

    Returns:
        Shape ``(n_events,)``.
    """
    return listing.places(history.rows)


def _mean(log_prices: NDArray[np.float64]) -> float:
    known = log_prices[~np.isnan(log_prices)]
    return float(known.mean()) if len(known) else float("nan")


def _last_rank(places: NDArray[np.intp], listing: Listing) -> float:
    inside = places[places >= 0]
    return float(listing.ranks[inside[-1]]) if len(inside) else float("nan")


LISTED: Final = FeatureGroup(
    scope=Scope.LIST,
    features=_FEATURES,
    values=_values,
    decreasing=frozenset({"list_rank"}),
)
