"""Collaborative filtering: ALS factors of implicit feedback, for new sales from content."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from models.arrays.array_file import Arrays
from models.catalogue.catalogue import Catalogue
from models.catalogue.catalogue_cache import cached
from models.kernel.steps import Family, Step
from models.recommenders.content_encoder import Projection
from models.recommenders.recommender import Recommender


@dataclass(frozen=True, eq=False)
class Collaborative(Recommender):
    """Scores by the dot product of a customer's factors with a sale's.

    A sale's factors are predicted from its content, so that a new sale has some; for sales that
    customers interacted with in training a residual is added. A customer's factors are folded in
    from the distinct sales ``y`` of their window, as in the fit:
    ``(Y'Y + r I + a * sum y y') u = (1 + a) * sum y``.

    Attributes:
        projection: Predicts factors from content.
        keys: Keys of the sales with a residual, ascending, shape ``(n,)``.
        residuals: Their factors minus the prediction, shape ``(n, n_factors)``.
        gramian: ``Y'Y + r I`` of the fit, shape ``(n_factors, n_factors)``.
        confidence: Additional weight ``a`` of an interaction over a missing one.
    """

    projection: Projection
    keys: NDArray[np.uint64]
    residuals: NDArray[np.float64]
    gramian: NDArray[np.float64]
    confidence: float

    name: ClassVar[str] = "collaborative"
    columns: ClassVar[Mapping[str, str]] = {
        "collaborative": "Dot product of ALS factors, the customer's folded in from the window",
    }

    def step(self, catalogue: Catalogue) -> Step:
        """Return the step of the one column; see `Recommender.step`."""
        n = len(self.gramian)
        tables = self.factors(catalogue), np.ascontiguousarray(self.gramian)
        numbers = (self.confidence,)
        return Step(Family.COLLABORATIVE, 1, tables, (n,), numbers, n_work=n * (n + 1))

    @cached
    def factors(self, catalogue: Catalogue) -> NDArray[np.float64]:
        """Return the factors of every sale, shape ``(n_catalogue, n_factors)``; read only."""
        factors = self.projection.project(catalogue).copy()
        rows = catalogue.rows_for(self.keys)
        known = rows >= 0
        factors[rows[known]] += self.residuals[known]
        factors.flags.writeable = False
        return factors

    def to_arrays(self) -> Mapping[str, NDArray[np.generic]]:
        """Return the fitted arrays; see `Recommender.to_arrays`."""
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
