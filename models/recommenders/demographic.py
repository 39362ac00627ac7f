"""Demographic: the content that customers with the same attributes turn to."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar, Final, Self

import numpy as np
from numpy.typing import NDArray

from models.arrays.array_file import Arrays
from models.catalogue.attributes import AttributeColumns
from models.catalogue.catalogue import Catalogue
from models.domain.sale import AttributeValues
from models.kernel.steps import Family, Step
from models.query.query import Query
from models.recommenders.content_encoder import Projection
from models.recommenders.recommender import Recommender

# Chosen: in standard deviations; shops also write 999999 where they do not know a number.
_MAX_NUMBER: Final = 5.0


@dataclass(frozen=True, eq=False)
class CustomerEncoder:
    """Encodes the attributes of customers as standardised vectors, 0 where unknown.

    Attributes:
        columns: The attributes.
        centre: Means of the columns over customers, shape ``(n_columns,)``.
        scale: Their standard deviations, positive, same shape.
    """

    columns: AttributeColumns
    centre: NDArray[np.float64]
    scale: NDArray[np.float64]

    def encode(self, described: list[AttributeValues]) -> NDArray[np.float64]:
        """Encode customers by their attributes, shape ``(n_customers, n_columns)``."""
        rows = [self.row(attributes) for attributes in described]
        return np.array(rows, dtype=np.float64).reshape(len(rows), len(self.columns))

    def row(self, attributes: AttributeValues) -> list[float]:
        """Encode one customer; see `encode`."""
        return [
            0.0 if value != value else min(max((value - centre) / scale, -_MAX_NUMBER), _MAX_NUMBER)
            for value, (centre, scale) in zip(
                self.columns.row(attributes), self._scales, strict=True
            )
        ]

    @cached_property
    def _scales(self) -> Sequence[tuple[float, float]]:
        return list(zip(self.centre.tolist(), self.scale.tolist(), strict=True))


@dataclass(frozen=True, eq=False)
class Demographic(Recommender):
    """Scores by the taste that is expected of customers with the same attributes.

    Tastes are those of `models.recommenders.content_preference`: a ridge regression on attributes
    estimates them, without any event of the customer. The score is the dot product of the expected
    taste with the sale's content; unknown for a customer without attributes.

    Attributes:
        encoder: Encodes the customer.
        projection: Places sales in the space of tastes.
        mean: Mean of tastes over customers, shape ``(n_dimensions,)``.
        weights: Effect of each attribute on the taste, shape ``(n_columns, n_dimensions)``.
    """

    encoder: CustomerEncoder
    projection: Projection
    mean: NDArray[np.float64]
    weights: NDArray[np.float64]

    name: ClassVar[str] = "demographic"
    columns: ClassVar[Mapping[str, str]] = {
        "demographic": "Agreement of the sale's content with the taste that is expected of "
        "customers with the same attributes",
        "demographic_own": "The same, beyond the taste of the average customer",
    }

    def step(self, catalogue: Catalogue) -> Step:
        """Return the step of both columns; see `Recommender.step`."""
        n_columns, size = self.weights.shape
        tables = self.projection.project(catalogue), self.mean, np.ascontiguousarray(self.weights)
        return Step(
            *(Family.DEMOGRAPHIC, len(self.columns), tables),
            sizes=(size, n_columns),
            n_given=n_columns,
            n_work=2 * size,
        )

    def given(self, query: Query) -> Sequence[float]:
        """Return the encoded attributes, NaN without any; see `Recommender.given`."""
        attributes = query.profile.attributes
        return self.encoder.row(attributes) if attributes else self._nothing

    @cached_property
    def _nothing(self) -> Sequence[float]:
        return (math.nan,) * len(self.weights)

    def to_arrays(self) -> Mapping[str, NDArray[np.generic]]:
        """Return the fitted arrays; see `Recommender.to_arrays`."""
        return {
            **self.projection.to_arrays(),
            **self.encoder.columns.to_arrays("customer"),
            "customer_centre": self.encoder.centre,
            "customer_scale": self.encoder.scale,
            "mean": self.mean,
            "weights": self.weights,
        }

    @classmethod
    def from_arrays(cls, arrays: Arrays) -> Self:
        """Restore the recommender; see `Recommender.from_arrays`."""
        columns = AttributeColumns.from_arrays(arrays, "customer")
        centre, scale = arrays.floats("customer_centre"), arrays.floats("customer_scale")
        projection, mean = Projection.from_arrays(arrays), arrays.floats("mean")
        weights = arrays.floats("weights")
        if not len(columns) == len(centre) == len(scale):
            msg = f"{len(centre)} means and {len(scale)} scales of {len(columns)} attributes"
            raise ValueError(msg)
        if weights.shape != (len(columns), projection.n_dimensions) or len(mean) != len(weights.T):
            msg = (
                f"weights of shape {weights.shape} for {len(columns)} attributes and sales of"
                f" {projection.n_dimensions} dimensions"
            )
            raise ValueError(msg)
        return cls(CustomerEncoder(columns, centre, scale), projection, mean, weights)
