"""What a customer likes in sales, learned from what customers opened of what they were shown."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from models.arrays import Arrays
from models.encoder import Projection
from models.query import Batch
from models.recommenders.recommender import Recommender


@dataclass(frozen=True, eq=False)
class Taste(Recommender):
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

    def batch_scores(self, batch: Batch) -> NDArray[np.float64]:
        """Score by content; see `Recommender.batch_scores`."""
        if not self.projection.n_dimensions:
            return np.full((*batch.rows.shape, len(self.columns)), np.nan)
        places = self.projection.of(batch.catalogue)
        tastes = np.empty((len(self.columns), len(batch), len(self.mean)))
        tastes[:-1] = self.expected(batch, places)
        tastes[-1] = self.mean
        return np.einsum("bij,hbj->bih", batch.described(places), tastes)

    def expected(self, batch: Batch, places: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the tastes to expect, lasting and of this visit.

        Args:
            batch: The queries.
            places: Where every sale stands, shape ``(n_catalogue, n_dimensions)``.

        Returns:
            Shape ``(2, n_queries, n_dimensions)``.
        """
        touched = batch.touched
        n = touched.customers.sums(touched.weights)[..., None]
        away = (
            touched.customers.weighted(touched.weights, places, rows=touched.rows) - n * self.mean
        )
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
