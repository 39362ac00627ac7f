"""Features of the customer and the sale together: what he did with this very sale."""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from models.events import KIND, KINDS, EventType
from models.features.feature import Column, FeatureGroup, Scope
from models.query import Query


def _columns(query: Query) -> list[Column]:
    by_kind = _events_by_kind(query)
    age_s = _last_touch_age_s(query)
    return [
        by_kind[:, KIND[EventType.VIEW]] + by_kind[:, KIND[EventType.CLICK]],
        by_kind[:, KIND[EventType.CART]],
        by_kind[:, KIND[EventType.PURCHASE]],
        np.log1p(age_s),
        (age_s == query.history.newest_age_s()).astype(np.float64),
        query.interest_by_row[0][query.rows],
    ]


def _events_by_kind(query: Query) -> NDArray[np.float64]:
    """Count the customer's events with each candidate, shape ``(n_sales, 5)``."""
    counts = np.zeros((len(query.catalogue), len(KINDS)))
    np.add.at(counts, (query.history.rows, query.history.kinds), 1.0)
    return counts[query.rows]


def _last_touch_age_s(query: Query) -> NDArray[np.float64]:
    """Return the seconds since he last touched each candidate, NaN if never."""
    history = query.history
    newest = np.zeros(len(query.catalogue), dtype=np.int64)
    # Oldest first: of repeated rows the newest event is written last and stays.
    newest[history.rows] = np.arange(1, len(history.rows) + 1)
    ages = np.concatenate([[np.nan], history.age_s])
    return ages[newest[query.rows]]


CROSS: Final = FeatureGroup(
    scope=Scope.CROSS,
    features={
        "same_sale_views": "His views and clicks of this sale in the window",
        "same_sale_carts": "His carts of this sale in the window",
        "same_sale_purchases": "His purchases of this sale in the window",
        "same_sale_recency": "Logarithm of seconds since he touched this sale; unknown if never",
        "same_sale_last": "1 if his last event was with this sale, else 0",
        "same_sale_visit": "This visit's faded interest in this sale",
    },
    columns=_columns,
)
