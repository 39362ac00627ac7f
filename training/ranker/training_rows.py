"""Training rows of the ranker: features, labels and weights of examples."""

from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from models.arrays.mapped_array import rows_of


@dataclass(frozen=True)
class TrainingRows:
    """Labelled examples, one a row.

    Attributes:
        matrix: Features, shape ``(n, n_features)``.
        labels: 1 if bought, shape ``(n,)``.
        weights: Weight of each example, shape ``(n,)``.
    """

    matrix: NDArray[np.float32]
    labels: NDArray[np.float64]
    weights: NDArray[np.float64]

    def select(self, chosen: NDArray[np.bool_]) -> Self:
        """Return the examples of a mask, shape ``(n,)``; without a copy if all are chosen."""
        if chosen.all():
            return self
        matrix = rows_of(self.matrix, np.flatnonzero(chosen))
        return type(self)(matrix, self.labels[chosen], self.weights[chosen])
