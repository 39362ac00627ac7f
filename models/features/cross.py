"""Features of the customer and the sale together: what he did with this very sale."""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from models.domain.event import KIND, EventType
from models.features.feature import FeatureGroup, Scope
from models.query.customer_history import VISIT
from models.query.query import Batch

_VIEW: Final = KIND[EventType.VIEW]
_CLICK: Final = KIND[EventType.CLICK]
_CART: Final = KIND[EventType.CART]
_PURCHASE: Final = KIND[EventType.PURCHASE]


def _values(batch: Batch) -> NDArray[np.float64]:
    touches = batch.touches
    places = touches.places(batch.rows)
    newest = batch.history.customers.ends[:, None]
    counts = touches.counts.take(places, axis=0)
    return np.array(
        [
            counts[..., _VIEW] + counts[..., _CLICK],
            counts[..., _CART],
            counts[..., _PURCHASE],
            np.log1p(touches.age_s[places]),
            np.where(places > 0, newest - places, np.nan),
            # Without events every sale has place 0, and none was touched last.
            places == np.maximum(newest, 1),
            touches.interest[VISIT][places],
            np.log1p(batch.impressions.age_of(batch.rows, len(batch.catalogue))),
        ]
    ).transpose(1, 2, 0)


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
        "same_sale_shown": "Logarithm of seconds since he was shown this sale; unknown if never",
    },
    values=_values,
)
