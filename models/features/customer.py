"""Customer features: number and recency of past events."""

import math
from typing import Final

import numpy as np
from numpy.typing import NDArray

from models.domain.event import KIND, KINDS, EventType
from models.domain.profile import Profile
from models.domain.units import DAY_S, SECOND_US
from models.features.feature import FeatureGroup, Scope
from models.query.customer_history import VISIT_GAP_S
from models.query.query import Batch

_VIEW: Final = KIND[EventType.VIEW]
_CLICK: Final = KIND[EventType.CLICK]
_CART: Final = KIND[EventType.CART]
_PURCHASE: Final = KIND[EventType.PURCHASE]


_FEATURES: Final = {
    "customer_views": "Views and clicks in the window",
    "customer_carts": "Carts in the window",
    "customer_purchases": "Purchases in the window",
    "customer_visit_events": "Events of the last 30 minutes",
    "customer_recency": "Logarithm of seconds since the last event; unknown without one",
    "customer_purchase_recency": "The same since the last purchase",
    "customer_unknown_events": "Events in the window whose sale is unknown",
    "customer_past_purchases": "Purchases before last night",
    "customer_past_events": "Events before last night",
    "customer_tenure_days": "Days since the first event, by last night's profile",
}


def _values(batch: Batch) -> NDArray[np.float64]:
    history, n_kinds = batch.history, len(KINDS)
    cells = history.customers.cells(history.kinds, n_kinds)
    by_kind = np.bincount(cells, minlength=len(batch) * n_kinds).reshape(-1, n_kinds)
    values = np.empty((len(batch), 1, len(_FEATURES)))
    from_history = [
        by_kind[:, _VIEW] + by_kind[:, _CLICK],
        by_kind[:, _CART],
        by_kind[:, _PURCHASE],
        history.counts(history.age_s <= VISIT_GAP_S),
        np.log1p(history.newest_age_s()),
        np.log1p(history.newest_age_s(EventType.PURCHASE)),
        history.n_unknown,
    ]
    values[:, 0, : len(from_history)] = np.array(from_history).T
    values[:, 0, len(from_history) :] = [
        _profile_values(one.profile, one.context.now_us) for one in batch.queries
    ]
    return values


def _profile_values(profile: Profile, now_us: int) -> tuple[float, float, float]:
    """Return purchases, events and days since the first one."""
    first_us = profile.first_us
    tenure = max(now_us - first_us, 0) / SECOND_US / DAY_S if first_us else math.nan
    return profile.counts[_PURCHASE], sum(profile.counts), tenure


CUSTOMER: Final = FeatureGroup(
    scope=Scope.CUSTOMER,
    features=_FEATURES,
    values=_values,
)
