"""Feature groups: columns of the feature matrix that are computed together."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from models.catalogue.catalogue import Catalogue
from models.kernel.steps import Step
from models.query.query import Batch, Query

StepOf = Callable[[Catalogue], Step]
"""Returns the step by which the kernel computes columns of a catalogue's sales."""

Given = Callable[[Query], Sequence[float]]
"""Returns the numbers of a query that a step reads."""

Shared = Callable[[Batch], NDArray[np.float64]]
"""Computes columns that all customers share, shape ``(n_queries, n_sales, n_columns)``."""

Replaced = Callable[[Batch], NDArray[np.float64] | None]
"""Computes columns in place of a step's, same shape; None where the step's hold."""


def nothing_given(_query: Query) -> Sequence[float]:
    """Return no numbers, of a step that reads none."""
    return ()


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
    """Feature group: features that are computed together. NaN: unknown.

    Attributes:
        scope: Subject of the features.
        features: Meaning of each feature by its name, in the order of the columns.
        step: The kernel's step, which computes them with those of all groups in one call.
        given: The numbers of a query that the step reads.
        shared: Computes them where there is no step, as all customers share them.
        replaced: Computes them where a query needs more than the step has.
        decreasing: Names of features with a monotone decreasing effect.
    """

    scope: Scope
    features: Mapping[str, str]
    step: StepOf | None = None
    given: Given = nothing_given
    shared: Shared | None = None
    replaced: Replaced | None = None
    decreasing: frozenset[str] = frozenset()
