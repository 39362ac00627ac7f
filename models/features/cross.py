"""Cross features: the customer's past events with the candidate itself."""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from models.domain.event import CART, CLICK, FAVOURITE, PURCHASE, VIEW
from models.features.feature import FeatureGroup, Scope
from models.query.customer_history import VISIT
from models.query.query import Batch


def _values(batch: Batch) -> NDArray[np.float64]:
    # Shape (n_queries, n_sales, 10).
    by_sale = batch.by_sale
    places = by_sale.places(batch.rows)
    newest = batch.history.customers.ends[:, None]
    counts = by_sale.counts.take(places, axis=0)
    return np.array(
        [
            counts[..., VIEW] + counts[..., CLICK],
            counts[..., CART],
            counts[..., PURCHASE],
            np.log1p(by_sale.age_s[places]),
            np.where(places > 0, newest - places, np.nan),
            # Without events every sale has place 0, and none is the last one.
            places == np.maximum(newest, 1),
            by_sale.interest[VISIT][places],
            np.log1p(batch.impressions.age_s[batch.impressions.places(batch.rows)]),
            counts[..., FAVOURITE],
            batch.history.disliked(batch.rows, len(batch.catalogue)),
        ],
        dtype=np.float64,
    ).transpose(1, 2, 0)


CROSS: Final = FeatureGroup(
    scope=Scope.CROSS,
    features={
        "same_sale_views": "The customer's views and clicks of this sale in the window",
        "same_sale_carts": "The customer's carts of this sale in the window",
        "same_sale_purchases": "The customer's purchases of this sale in the window",
        "same_sale_recency": "Logarithm of seconds since the last event with it; unknown if never",
        "same_sale_events_since": "Events since the last one with it; unknown if never",
        "same_sale_last": "1 if the customer's last event was with this sale, else 0",
        "same_sale_visit": "This visit's decayed interest in this sale",
        "same_sale_shown": "Logarithm of seconds since its last impression; unknown if never",
        "same_sale_favourites": "The customer's favourites of this sale in the window",
        "same_sale_disliked": "1 if the customer disliked this sale in the window, else 0",
    },
    values=_values,
)
