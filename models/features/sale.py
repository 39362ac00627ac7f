"""Sale features: price, age, time left, picture."""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from models.catalogue.catalogue import NEVER_US
from models.domain.units import HOUR_US
from models.features.feature import FeatureGroup, Scope
from models.query.query import Batch


def _values(batch: Batch) -> NDArray[np.float64]:
    catalogue, now_us = batch.catalogue, batch.now_us[:, None]
    # The announced closing: selling out is not known in advance.
    closes_us = batch.gather(catalogue.scheduled_us)
    time_left = np.log1p(np.maximum(closes_us - now_us, 0) / HOUR_US)
    return np.array(
        [
            batch.gather(catalogue.log_price),
            batch.gather(catalogue.discount),
            np.log1p(np.maximum(now_us - batch.opens_us, 0) / HOUR_US),
            np.where(closes_us == NEVER_US, np.nan, time_left),
            batch.gather(catalogue.pictured).astype(np.float64),
        ]
    ).transpose(1, 2, 0)


SALE: Final = FeatureGroup(
    scope=Scope.SALE,
    features={
        "sale_price": "Logarithm of the price",
        "sale_discount": "Share by which the price is below the original one",
        "sale_age": "Logarithm of hours since it opened",
        "sale_time_left": "Logarithm of hours until its announced closing; unknown without one",
        "sale_pictured": "1 if it has a scored picture, else 0",
    },
    values=_values,
)
