"""Sale features: price, age, time left, picture."""

from typing import Final

from models.catalogue.catalogue import Catalogue
from models.features.feature import FeatureGroup, Scope
from models.kernel.steps import Family, Step

_FEATURES: Final = {
    "sale_price": "Logarithm of the price",
    "sale_discount": "Share by which the price is below the original one",
    "sale_age": "Logarithm of hours since it opened",
    "sale_time_left": "Logarithm of hours until its announced closing; unknown without one",
    "sale_pictured": "1 if it has a scored picture, else 0",
}


def _step(catalogue: Catalogue) -> Step:
    tables = (
        *(catalogue.log_price, catalogue.discount),
        *(catalogue.scheduled_us, catalogue.pictured),  # selling out is not known in advance
    )
    return Step(Family.SALE, len(_FEATURES), tables)


SALE: Final = FeatureGroup(Scope.SALE, _FEATURES, step=_step)
