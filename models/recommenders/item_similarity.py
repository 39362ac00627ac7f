"""Item-item similarity from customers' behaviour: fitted nightly, looked up by sale key."""

from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from models.arrays.array_file import Arrays
from models.catalogue.catalogue import Catalogue
from models.catalogue.catalogue_cache import cached
from models.kernel.steps import Family, Step
from models.neighbours.search import Neighbours


@dataclass(frozen=True, eq=False)
class ItemSimilarity:
    """Item-item similarity: the most similar sales of each sale.

    Attributes:
        keys: Keys of the sales that have companions, ascending, shape ``(n,)``.
        companions: Keys of similar sales, most similar first, shape ``(n, width)``.
        strengths: Similarities, 0 where there are fewer companions, same shape.
    """

    keys: NDArray[np.uint64]
    companions: NDArray[np.uint64]
    strengths: NDArray[np.float64]

    def step(self, catalogue: Catalogue) -> Step:
        """Return the step that sums the customer's interest in the companions of candidates.

        One column: ``sum over companions of strength * lasting interest / (EVIDENCE + all lasting
        interest)``, NaN for sales without companions.
        """
        near = self.neighbours(catalogue)
        return Step(Family.COVISITATION, 1, (near.rows, near.similarities), (near.rows.shape[1],))

    @cached
    def neighbours(self, catalogue: Catalogue) -> Neighbours:
        """Return the companions of every sale as catalogue rows, shape ``(n_catalogue, width)``."""
        width = self.companions.shape[1]
        rows = np.zeros((len(catalogue), width), dtype=np.int64)
        strengths = np.zeros((len(catalogue), width))
        places = catalogue.rows_for(self.keys)
        found = catalogue.rows_for(self.companions.ravel()).reshape(self.companions.shape)
        known = places >= 0
        # A companion that the catalogue lacks points to row 0 with strength 0.
        rows[places[known]] = np.maximum(found[known], 0)
        strengths[places[known]] = np.where(found[known] >= 0, self.strengths[known], 0.0)
        return Neighbours(rows, strengths)

    def to_arrays(self) -> dict[str, NDArray[np.generic]]:
        """Return the fitted arrays; see `from_arrays`."""
        return {
            "keys": self.keys.view(np.int64),
            "companions": self.companions.view(np.int64),
            "strengths": self.strengths,
        }

    @classmethod
    def from_arrays(cls, arrays: Arrays) -> Self:
        """Restore the companions.

        Raises:
            ValueError: If an array is missing or its shape does not fit the others.
        """
        keys, companions = arrays.integers("keys"), arrays.integers("companions")
        strengths = arrays.floats("strengths")
        if companions.shape != strengths.shape or len(keys) != len(strengths):
            msg = f"{strengths.shape} strengths of {companions.shape} companions"
            raise ValueError(msg)
        return cls(keys.view(np.uint64), companions.view(np.uint64), strengths)
