"""Features of the customer and the sale together: what he did with this very sale."""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from models.events import KIND, EventType
from models.features.feature import FeatureGroup, Scope
from models.query import VISIT, Query


def _values(query: Query) -> NDArray[np.float64]:
    touches = query.touches
    places = touches.place[query.rows]
    counts = touches.counts[places]
    return np.array(
        [
            counts[:, KIND[EventType.VIEW]] + counts[:, KIND[EventType.CLICK]],
            counts[:, KIND[EventType.CART]],
            counts[:, KIND[EventType.PURCHASE]],
            np.log1p(touches.age_s[places]),
            np.where(places > 0, len(query.history) - places, np.nan),
            # Without events every sale has place 0, and none was touched last.
            (places == max(len(query.history), 1)).astype(np.float64),
            touches.interest[VISIT][places],
        ]
    ).T


CROSS: Final = FeatureGroup(
    scope=Scope.CROSS,
    features={
        "same_sale_views": "His views and clicks of this sale in the window",
        "same_sale_carts": "His carts of this sale in the window",
        "same_sale_purchases": "His purchases of this sale in the window",
        "same_sale_recency": "Logarithm of seconds since he touched this sale; unknown if never",
        "same_sale_events_since": "His events since he touched this sale; unknown if never",
        "same_sale_last": "1 if his last event was with this sale, else 0",
        "same_sale_visit": "This visit's faded interest in this sale",
    },
    values=_values,
)
