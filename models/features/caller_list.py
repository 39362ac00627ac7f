"""Features of a caller's list: its order, its prices, the customer's history with it."""

import math
from typing import Final

import numpy as np
from numpy.typing import NDArray

from models.domain.event import PURCHASE
from models.features.feature import FeatureGroup, Scope
from models.kernel.steps import Step
from models.query.caller_candidates import CallerCandidates
from models.query.customer_history import History
from models.query.query import Batch

LIST_RANK: Final = "list_rank"
"""Name of the feature of the caller's order."""

_FEATURES: Final = {
    LIST_RANK: "Rank in the caller's order; unknown without a list",
    "list_length": "Sales in the caller's list",
    "list_price": "Logarithm of the price in the caller's list, otherwise of the sale's price",
    "list_cheaper": "Sales of the list that cost less",
    "list_price_mean": "Logarithm of the price against the mean of the list",
    "list_price_lowest": "Logarithm of the price against the lowest of the list",
    "list_price_touched": "Logarithm of the price against the mean of those in the history",
    "list_touched": "Sales of the list in the customer's history",
    "list_from_last": "Ranks below the list's sale of the customer's last event",
    "list_from_purchase": "Ranks below the list's sale that the customer bought last",
    "list_from_previous": "Ranks below the list's other sale of the customer's last events",
    "list_from_deepest": "Ranks below the lowest of the list's sales in the customer's history",
    "list_price_last": "Logarithm of the price against the list's sale of the last event",
    "list_from_usual": "Ranks below the mean position of sales that the customer chose",
    "list_overlap": "Share of the list that was in the list that the customer last chose from",
}


_UNKNOWN: Final = (math.nan,) * len(_FEATURES)


def _values(batch: Batch) -> NDArray[np.float64] | None:
    if all(query.caller_list is None for query in batch.queries):
        return None
    values = np.full((*batch.rows.shape, len(_FEATURES)), np.nan)
    for place, query in enumerate(batch.queries):
        if query.caller_list is not None:
            own = _list_values(query.caller_list, query.rows, query.history)
            values[place, :, : own.shape[1]] = own
            values[place, :, own.shape[1] :] = _last_list_values(batch, place, query.caller_list)
    return values


def _last_list_values(
    batch: Batch, customer: int, caller_list: CallerCandidates
) -> NDArray[np.float64]:
    # Rank against the usual position, and overlap with the last list, shape (n_candidates, 2).
    joined = batch.joined.customers[customer]
    ranks = np.append(caller_list.ranks, np.nan)[caller_list.places(batch.rows[customer])]
    in_last = joined["shown_rows"][joined["is_in_list"] > 0]
    has_chosen = joined["choice"] >= 0
    overlap = np.isin(caller_list.rows, in_last).mean() if has_chosen else np.nan
    return np.stack([ranks - joined["usual_position"], np.full(len(ranks), overlap)], axis=1)


def _list_values(
    caller_list: CallerCandidates, candidates: NDArray[np.int64], history: History
) -> NDArray[np.float64]:
    # Shape (n_candidates, 13). Place -1, of a sale outside the list, reads the appended NaN.
    places = caller_list.places(candidates)
    ranks, log_prices = caller_list.ranks.astype(np.float64), np.log1p(caller_list.prices)
    ranks, prices = np.append(ranks, np.nan)[places], np.append(log_prices, np.nan)[places]
    touched = caller_list.places(history.rows)
    bought = history.kinds == PURCHASE
    inside = touched[touched >= 0]
    distinct = np.unique(inside)
    previous = inside[inside != inside[-1]] if len(inside) else inside
    known = log_prices[~np.isnan(log_prices)]
    return np.array(
        [
            ranks,
            np.full(len(places), float(len(caller_list.rows))),
            prices,
            np.where(np.isnan(prices), np.nan, np.searchsorted(np.sort(known), prices)),
            prices - _mean(known),
            prices - known.min(initial=np.inf),
            prices - _mean(log_prices[distinct]),
            np.full(len(places), float(len(distinct))),
            ranks - _last_rank(touched, caller_list),
            ranks - _last_rank(touched[bought], caller_list),
            ranks - _last_rank(previous, caller_list),
            ranks - (caller_list.ranks[distinct].max() if len(distinct) else np.nan),
            prices - (log_prices[inside[-1]] if len(inside) else np.nan),
        ]
    ).T


def _mean(log_prices: NDArray[np.float64]) -> float:
    known = log_prices[~np.isnan(log_prices)]
    return float(known.mean()) if len(known) else float("nan")


def _last_rank(places: NDArray[np.intp], caller_list: CallerCandidates) -> float:
    inside = places[places >= 0]
    return float(caller_list.ranks[inside[-1]]) if len(inside) else float("nan")


LISTED: Final = FeatureGroup(
    scope=Scope.LIST,
    features=_FEATURES,
    step=lambda _: Step.copying(len(_FEATURES)),
    given=lambda _: _UNKNOWN,
    replaced=_values,
    decreasing=frozenset({LIST_RANK}),
)
