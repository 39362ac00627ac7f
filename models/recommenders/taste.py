"""What a customer likes in sales, learned from what customers opened of what they were shown."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Final, Self

import numpy as np
from numpy.typing import NDArray

from models.arrays import Arrays
from models.encoder import Projection
from models.query import VISIT_HALF_LIFE_S, Query

_HALF_LIVES_S: Final = np.array([[60.0 * 24.0 * 3600.0], [VISIT_HALF_LIFE_S]])
"""Tastes last longer than interest in one sale; the other is this visit's."""


@dataclass(frozen=True, eq=False)
class Taste:
    """Estimates a customer's taste from the content of the sales that he touched.

    Sales are placed so that those on offer have mean 0 and covariance ``I``. A customer of
    taste ``t`` touches sales around ``t``, with ``t ~ N(mean, diag(spread))`` over customers.
    After ``n`` sales of mean ``m`` he is expected to have, in every dimension, the taste
    ``mean + (m - mean) * spread * n / (1 + spread * n)``; a sale's score is its dot product
    with it, which is the logarithm of how much more likely he opens it than others, up to a
    term of the second order.

    Attributes:
        projection: Places sales.
        mean: Taste of the average customer, shape ``(n_dimensions,)``.
        spread: How much tastes differ between customers, positive, same shape.
    """

    projection: Projection
    mean: NDArray[np.float64]
    spread: NDArray[np.float64]

    name: ClassVar[str] = "taste"
    columns: ClassVar[Mapping[str, str]] = {
        "taste": "Agreement of the sale's content with the taste that he is expected to have",
        "taste_visit": "The same by this visit alone",
        "taste_appeal": "Agreement of the sale's content with the average customer's taste",
    }

    def scores(self, query: Query) -> NDArray[np.float64]:
        """Score by content; see `Recommender.scores`."""
        if not self.projection.n_dimensions:
            return np.full((len(query.rows), len(self.columns)), np.nan)
        places = self.projection.of(query.catalogue)
        tastes = np.vstack([self.expected(query, places), self.mean])
        return np.einsum("ij,hj->ih", places.take(query.rows, axis=0), tastes)

    def expected(self, query: Query, places: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the taste to expect, lasting and of this visit, shape ``(2, n_dimensions)``."""
        touched = query.touched
        weights = np.exp2(-touched.age_s / _HALF_LIVES_S)
        n = weights.sum(axis=1, keepdims=True)
        away = np.einsum("hi,ij->hj", weights, places.take(touched.rows, axis=0)) - n * self.mean
        return self.mean + away * self.spread / (1 + self.spread * n)

    def to_arrays(self) -> Mapping[str, NDArray[np.generic]]:
        """Return what was fitted; see `Recommender.to_arrays`."""
        return {**self.projection.to_arrays(), "mean": self.mean, "spread": self.spread}

    @classmethod
    def from_arrays(cls, arrays: Arrays) -> Self:
        """Restore the recommender; see `Recommender.from_arrays`."""
        projection = Projection.from_arrays(arrays)
        mean, spread = arrays.floats("mean"), arrays.floats("spread")
        if not len(mean) == len(spread) == projection.n_dimensions:
            msg = f"tastes of {len(mean)} dimensions for sales of {projection.n_dimensions}"
            raise ValueError(msg)
        return cls(projection, mean, spread)
