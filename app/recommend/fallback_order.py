"""Order of candidates without a model: the customer's list, then by popularity."""

import numpy as np
from numpy.typing import NDArray

from app.recommend.degradation_level import CAUSES, DegradationLevel
from app.recommend.request import RankingRequest
from models.query.query import Query
from models.recommenders.popularity import event_volume
from models.slate.slate import best


def fallback_order(
    asked: RankingRequest, query: Query, *, listed: NDArray[np.intp]
) -> NDArray[np.float64] | None:
    """Return what orders candidates without a model; None for the caller's own order."""
    if asked.request.choice.is_ordered:
        return None
    volume = event_volume(query.catalogue.counts.decayed[:, query.rows])
    if not len(listed):
        return volume
    # The list, then the others by volume.
    popular = best(volume, len(volume))
    places = np.concatenate([listed, popular[~np.isin(popular, listed)]])
    order = np.empty(len(volume))
    order[places] = np.arange(len(volume), 0, -1)
    return order


def listed_candidates(asked: RankingRequest, query: Query) -> NDArray[np.intp]:
    """Return the candidates of the customer's list, in its order; none where another order is due.

    A stale catalogue is ordered by popularity, and a caller's list as the caller ordered it.
    """
    is_stale = asked.cause is CAUSES[DegradationLevel.SNAPSHOT]
    if is_stale or asked.request.choice.is_ordered or not len(asked.state.listed):
        return np.empty(0, dtype=np.intp)
    rows = query.catalogue.rows_for(asked.state.listed.sale_keys)
    order = np.argsort(query.rows, kind="stable")
    places = np.minimum(np.searchsorted(query.rows, rows, sorter=order), len(order) - 1)
    found = order[places]
    return found[query.rows[found] == rows]
