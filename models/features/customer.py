"""Features of the customer: how much he did, how recently."""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from models.events import KIND, KINDS, SECOND_US, EventType
from models.features.feature import FeatureGroup, Scope
from models.query import Query

_DAY_S: Final = 86_400.0
_VISIT_GAP_S: Final = 30 * 60.0


def _values(query: Query) -> NDArray[np.float64]:
    history, profile = query.history, query.profile
    by_kind = np.bincount(history.kinds, minlength=len(KINDS))
    return np.array(
        [
            float(by_kind[KIND[EventType.VIEW]] + by_kind[KIND[EventType.CLICK]]),
            float(by_kind[KIND[EventType.CART]]),
            float(by_kind[KIND[EventType.PURCHASE]]),
            float(np.count_nonzero(history.age_s <= _VISIT_GAP_S)),
            float(np.log1p(history.newest_age_s())),
            float(np.log1p(history.newest_age_s(EventType.PURCHASE))),
            float(history.n_unknown),
            float(profile.counts[KIND[EventType.PURCHASE]]),
            float(sum(profile.counts)),
            _tenure_days(query),
        ]
    )


def _tenure_days(query: Query) -> float:
    first_us = query.profile.first_us
    if not first_us:
        return float("nan")
    return max(query.context.now_us - first_us, 0) / SECOND_US / _DAY_S


CUSTOMER: Final = FeatureGroup(
    scope=Scope.CUSTOMER,
    features={
        "customer_views": "Views and clicks in the window",
        "customer_carts": "Carts in the window",
        "customer_purchases": "Purchases in the window",
        "customer_visit_events": "Events of the last 30 minutes",
        "customer_recency": "Logarithm of seconds since his last event; unknown without one",
        "customer_purchase_recency": "The same since his last purchase",
        "customer_unknown_events": "Events in the window whose sale is unknown",
        "customer_past_purchases": "Purchases before the last night",
        "customer_past_events": "Events before the last night",
        "customer_tenure_days": "Days since his first event, by the last night's profile",
    },
    values=_values,
)
