"""What a feature is."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from models.query import Query

Column = NDArray[np.float64] | float
"""One value a candidate, shape ``(n_sales,)``, or one value for all of them."""


class Scope(StrEnum):
    """What a feature describes."""

    CUSTOMER = "customer"
    SALE = "sale"
    CONTEXT = "context"
    CROSS = "cross"
    RECOMMENDER = "recommender"


@dataclass(frozen=True)
class FeatureGroup:
    """Features that are computed together.

    Attributes:
        scope: What they describe.
        features: Meaning of each feature by its name, in the order of the columns.
        columns: Computes one column a feature; NaN says that the value is unknown.
        decreasing: Names that may only lower the purchase probability when they grow.
    """

    scope: Scope
    features: Mapping[str, str]
    columns: Callable[[Query], Sequence[Column]]
    decreasing: frozenset[str] = frozenset()
