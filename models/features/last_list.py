"""Features of the list that the customer last chose from, and of the positions of choices."""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from models.features.feature import FeatureGroup, Scope
from models.query.query import Batch

_FEATURES: Final = {
    "last_list_in": "1 if it was in the list that the customer last chose from, else 0; unknown "
    "if there is no such list",
    "last_list_below": "How many positions below the sale chosen then; negative if above it",
    "last_list_since": "The customer's events with it since then; unknown if there is no such list",
    "last_list_usual": "Mean position of the sales that the customer chose",
    "shown_position": "Position at which it was shown last",
}


def _values(batch: Batch) -> NDArray[np.float64]:
    # Shape (n_queries, n_sales, 5).
    impressions, last, by_sale = batch.impressions, batch.last_lists, batch.by_sale
    places = impressions.places(batch.rows)
    is_in, positions = last.is_in[places], impressions.positions[places]
    has_chosen = (last.event >= 0)[:, None]
    choices = last.event.take(batch.history.customers.owners)
    later = by_sale.event_places[np.arange(len(choices)) > choices]
    since = np.bincount(later, minlength=len(by_sale.age_s))
    return np.array(
        [
            np.where(has_chosen, is_in, np.nan),
            np.where(is_in, positions - last.position[:, None], np.nan),
            np.where(has_chosen, since.take(by_sale.places(batch.rows)), np.nan),
            np.broadcast_to(last.usual_position[:, None], places.shape),
            positions,
        ]
    ).transpose(1, 2, 0)


LAST_LIST: Final = FeatureGroup(scope=Scope.LIST, features=_FEATURES, values=_values)
