"""What a feature is."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from models.query.query import Batch

Values = Callable[[Batch], NDArray[np.float64]]
"""Computes columns of a batch, shape ``(n_queries, n_sales, n_columns)`` or broadcast to it."""


class Scope(StrEnum):
    """What a feature describes."""

    CUSTOMER = "customer"
    SALE = "sale"
    CONTEXT = "context"
    CROSS = "cross"
    LIST = "list"
    RECOMMENDER = "recommender"


@dataclass(frozen=True)
class FeatureGroup:
    """Features that are computed together.

    Attributes:
        scope: What they describe.
        features: Meaning of each feature by its name, in the order of the columns.
        values: Computes the features of the candidates, shape ``(n_queries, n_sales,
            n_features)``, or of all of a query's at once, shape ``(n_queries, 1, n_features)``.
            NaN says that a value is unknown.
        decreasing: Names that may only lower the purchase probability when they grow.
    """

    scope: Scope
    features: Mapping[str, str]
    values: Values
    decreasing: frozenset[str] = frozenset()
