"""Customer features: number and recency of past events."""

from typing import Final

from models.features.feature import FeatureGroup, Scope
from models.kernel.steps import Family, Step

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
    "customer_past_purchases": "Purchases in the 180 days before last night, without fully "
    "refunded ones",
    "customer_past_events": "Events in the 180 days before last night",
    "customer_month_purchases": "Purchases in the 30 days before last night, the same",
    "customer_month_events": "Events in the 30 days before last night",
    "customer_tenure_days": "Days since the first event, by last night's profile",
}

_STEP: Final = Step(Family.CUSTOMER, len(_FEATURES))

CUSTOMER: Final = FeatureGroup(Scope.CUSTOMER, _FEATURES, step=lambda _: _STEP)
