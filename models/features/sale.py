"""Features of the sale: price, age, urgency."""

from typing import Final

import numpy as np

from models.catalogue import NEVER_US
from models.events import SECOND_US
from models.features.feature import Column, FeatureGroup, Scope
from models.query import Query

_HOUR_US: Final = 3600 * SECOND_US


def _columns(query: Query) -> list[Column]:
    catalogue, rows, now_us = query.catalogue, query.rows, query.context.now_us
    price, original = catalogue.price[rows], catalogue.original_price[rows]
    closes_us = catalogue.scheduled_us[rows]
    to_close = np.where(closes_us == NEVER_US, np.nan, (closes_us - now_us) / _HOUR_US)
    return [
        np.log1p(price),
        np.where(original > 0, 1.0 - price / np.where(original > 0, original, 1.0), np.nan),
        np.log1p(np.maximum(now_us - catalogue.opens_us[rows], 0) / _HOUR_US),
        np.log1p(np.maximum(to_close, 0.0)),
        np.any(catalogue.embeddings[rows] != 0, axis=1).astype(np.float64),
    ]


SALE: Final = FeatureGroup(
    scope=Scope.SALE,
    features={
        "sale_price": "Logarithm of the price",
        "sale_discount": "Share by which the price is below the original one",
        "sale_age": "Logarithm of hours since it opened",
        "sale_time_left": "Logarithm of hours until its announced closing; unknown without one",
        "sale_pictured": "1 if its picture was seen, else 0",
    },
    columns=_columns,
)
