"""Customer features: number and recency of past events."""

import math
from typing import Final

import numpy as np
from numpy.typing import NDArray

from models.domain.event import CART, CLICK, FAVOURITE, KINDS, PURCHASE, VIEW, EventType
from models.domain.units import DAY_S, SECOND_US
from models.features.feature import FeatureGroup, Scope
from models.query.customer_history import VISIT_GAP_S
from models.query.query import Batch

_FEATURES: Final = {
    "customer_views": "Views and clicks in the window",
    "customer_carts": "Carts in the window",
    "customer_purchases": "Purchases in the window, without fully refunded ones",
    "customer_visit_events": "Events of the last 30 minutes",
    "customer_recency": "Logarithm of seconds since the last event; unknown without one",
    "customer_purchase_recency": "The same since the last purchase",
    "customer_unknown_events": "Events in the window whose sale is unknown",
    "customer_favourites": "Favourites in the window",
    "customer_searches": "Searches and opened e-mails in the window",
    "customer_active_recency": "Logarithm of seconds since the last event of any type",
    "customer_past_purchases": "Purchases before last night, without fully refunded ones",
    "customer_past_events": "Events before last night",
    "customer_tenure_days": "Days since the first event, by last night's profile",
}


def _values(batch: Batch) -> NDArray[np.float64]:
    history, n_kinds = batch.history, len(KINDS)
    cells = history.customers.cells(history.kinds, n_kinds)
    by_kind = np.bincount(cells, minlength=len(batch) * n_kinds).reshape(-1, n_kinds)
    # The second axis has length 1: all candidates of a query share these values.
    values = np.empty((len(batch), 1, len(_FEATURES)))
    from_history = [
        by_kind[:, VIEW] + by_kind[:, CLICK],
        by_kind[:, CART],
        by_kind[:, PURCHASE],
        history.counts(history.age_s <= VISIT_GAP_S),
        np.log1p(history.newest_age_s()),
        np.log1p(history.newest_age_s(EventType.PURCHASE)),
        history.n_unknown,
        by_kind[:, FAVOURITE],
        history.n_searches,
        np.log1p(history.active_age_s),
    ]
    values[:, 0, : len(from_history)] = np.array(from_history).T
    for place, query in enumerate(batch.queries):
        counts, first_us = query.profile.counts, query.profile.first_us
        since_us = max(query.context.now_us - first_us, 0)
        tenure = since_us / SECOND_US / DAY_S if first_us else math.nan
        values[place, 0, len(from_history) :] = counts[PURCHASE], sum(counts), tenure
    return values


CUSTOMER: Final = FeatureGroup(
    scope=Scope.CUSTOMER,
    features=_FEATURES,
    values=_values,
)
