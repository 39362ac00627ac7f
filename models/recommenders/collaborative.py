"""What similar customers turn to: factors of customers and sales, from implicit feedback."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from models.arrays.array_file import Arrays
from models.arrays.ragged import Ragged
from models.catalogue.catalogue import Catalogue
from models.catalogue.catalogue_cache import CatalogueCache
from models.query.query import Batch
from models.recommenders.content_encoder import Projection
from models.recommenders.recommender import Recommender


@dataclass(frozen=True, eq=False)
class Collaborative(Recommender):
    """Scores by the dot product of a customer's factors with a sale's.

    A sale's factors are predicted from its content, so that a sale of the first minute has
    some; what else is known of the factors of a sale that customers touched is added. A
    customer's are solved for from the distinct sales ``y`` of his window, as the fit does:
    ``(Y'Y + r I + a * sum y y') u = (1 + a) * sum y``.

    Attributes:
        projection: Factors by content.
        keys: Keys of the sales with factors of their own, ascending, shape ``(n,)``.
        residuals: What these have beyond content, shape ``(n, n_factors)``.
        gramian: ``Y'Y + r I`` of the fit, shape ``(n_factors, n_factors)``.
        confidence: The weight ``a`` of a touched sale beyond one that was not touched.
    """

    projection: Projection
    keys: NDArray[np.uint64]
    residuals: NDArray[np.float64]
    gramian: NDArray[np.float64]
    confidence: float

    name: ClassVar[str] = "collaborative"
    columns: ClassVar[Mapping[str, str]] = {
        "collaborative": "Agreement of ALS factors, the customer's solved for from his window",
    }

    def batch_scores(self, batch: Batch) -> NDArray[np.float64]:
        """Score by factors; see `Recommender.batch_scores`."""
        touched = batch.touched
        if not len(self.gramian) or not len(touched.rows):
            return np.full((*batch.rows.shape, 1), np.nan)
        factors = self.factors(batch.catalogue)
        customers = self.folded_in(touched.customers, factors, touched=touched.rows)
        customers = touched.customers.blank_empty(customers)
        return np.einsum("bij,bj->bi", batch.described(factors), customers)[..., None]

    def folded_in(
        self, customers: Ragged, factors: NDArray[np.float64], *, touched: NDArray[np.int64]
    ) -> NDArray[np.float64]:
        """Solve for the factors of customers.

        Args:
            customers: Who touched what.
            factors: Factors of every sale, shape ``(n_catalogue, n_factors)``.
            touched: The distinct sales that each touched, shape ``(n,)``.

        Returns:
            Shape ``(n_customers, n_factors)``.
        """
        normal = self.gramian + self.confidence * customers.gramian(factors, touched)
        wanted = (1 + self.confidence) * customers.total(factors, touched)
        solved = np.linalg.solve(normal, wanted[..., None])
        return np.asarray(solved[..., 0], dtype=np.float64)

    def factors(self, catalogue: Catalogue) -> NDArray[np.float64]:
        """Return the factors of every sale, shape ``(n_catalogue, n_factors)``; read only."""
        return self._factors.of(catalogue)

    @cached_property
    def _factors(self) -> CatalogueCache[NDArray[np.float64]]:
        return CatalogueCache(self._factors_of)

    def _factors_of(self, catalogue: Catalogue) -> NDArray[np.float64]:
        factors = self.projection.of(catalogue).copy()
        rows = catalogue.rows_of(self.keys)
        known = rows >= 0
        factors[rows[known]] += self.residuals[known]
        factors.flags.writeable = False
        return factors

    def to_arrays(self) -> Mapping[str, NDArray[np.generic]]:
        """Return what was fitted; see `Recommender.to_arrays`."""
        return {
            **self.projection.to_arrays(),
            "keys": self.keys.view(np.int64),
            "residuals": self.residuals,
            "gramian": self.gramian,
            "confidence": np.array([self.confidence]),
        }

    @classmethod
    def from_arrays(cls, arrays: Arrays) -> Self:
        """Restore the recommender; see `Recommender.from_arrays`."""
        projection = Projection.from_arrays(arrays)
        keys, residuals = arrays.integers("keys").view(np.uint64), arrays.floats("residuals")
        gramian, n = arrays.floats("gramian"), projection.n_dimensions
        if residuals.shape != (len(keys), n) or gramian.shape != (n, n):
            msg = f"{residuals.shape} residuals of {len(keys)} sales in {n} factors"
            raise ValueError(msg)
        return cls(projection, keys, residuals, gramian, arrays.floats("confidence").item())
