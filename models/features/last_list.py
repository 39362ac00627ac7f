"""Features of the list that the customer last chose from, and of the positions of choices.

The list is the impressions among which the customer last clicked, put into the cart, or bought.
"""

from typing import Final

from models.features.feature import FeatureGroup, Scope
from models.kernel.steps import Family, Step

LAST_LIST_IN: Final = "last_list_in"
"""Name of the feature that is known of customers who have chosen from a list."""

_FEATURES: Final = {
    LAST_LIST_IN: "1 if it was in the list that the customer last chose from, else 0; unknown "
    "if there is no such list",
    "last_list_below": "How many positions below the sale chosen then; negative if above it",
    "last_list_since": "The customer's events with it since then; unknown if there is no such list",
    "last_list_usual": "Mean position of the sales that the customer chose",
    "shown_position": "Position at which it was shown last",
}

_STEP: Final = Step(Family.LAST_LIST, len(_FEATURES))

LAST_LIST: Final = FeatureGroup(Scope.LIST, _FEATURES, step=lambda _: _STEP)
