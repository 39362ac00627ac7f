"""Cross features: the customer's past events with the candidate itself."""

from typing import Final

from models.features.feature import FeatureGroup, Scope
from models.kernel.steps import Family, Step

_FEATURES: Final = {
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
}

_STEP: Final = Step(Family.CROSS, len(_FEATURES))

CROSS: Final = FeatureGroup(Scope.CROSS, _FEATURES, step=lambda _: _STEP)
