"""Feature groups: columns of the feature matrix that are computed together."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Self

import numpy as np
from numpy.typing import NDArray

from models.catalogue.catalogue import Catalogue
from models.kernel.features import Step
from models.query.query import Batch

Values = Callable[[Batch], NDArray[np.float64]]
"""Computes columns of a batch, shape ``(n_queries, n_sales, n_columns)`` or broadcast to it."""


StepOf = Callable[[Catalogue], Step]
"""Returns the step by which the kernel computes columns of a catalogue's sales."""


class Scope(StrEnum):
    """Subject of a feature."""

    CUSTOMER = "customer"
    SALE = "sale"
    CONTEXT = "context"
    CROSS = "cross"
    LIST = "list"
    RECOMMENDER = "recommender"


@dataclass(frozen=True)
class FeatureGroup:
    """Feature group: features that are computed together.

    Attributes:
        scope: Subject of the features.
        features: Meaning of each feature by its name, in the order of the columns.
        values: Computes the features, shape ``(n_queries, n_sales, n_features)``, or
            ``(n_queries, 1, n_features)`` if all candidates of a query share them. NaN: unknown.
        decreasing: Names of features with a monotone decreasing effect.
        step: The same for the kernel, which computes all such groups in one call; None if it
            cannot.
    """

    scope: Scope
    features: Mapping[str, str]
    values: Values
    decreasing: frozenset[str] = frozenset()
    step: StepOf | None = None

    @classmethod
    def compiled(
        cls,
        scope: Scope,
        features: Mapping[str, str],
        *,
        step: StepOf,
        decreasing: frozenset[str] = frozenset(),
    ) -> Self:
        """Return a group whose features the kernel computes."""

        def values(batch: Batch) -> NDArray[np.float64]:
            return batch.compute(step(batch.catalogue))

        return cls(scope, features, values, decreasing, step)
