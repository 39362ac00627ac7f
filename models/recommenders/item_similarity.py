"""Sales that go together, by what customers did: fitted nightly, looked up by sale key."""

from dataclasses import dataclass
from functools import cached_property
from typing import Self

import numpy as np
from numpy.typing import NDArray

from models.arrays.array_file import Arrays
from models.catalogue.catalogue import Catalogue
from models.catalogue.catalogue_cache import CatalogueCache
from models.neighbours.search import Neighbours
from models.query.query import Batch


@dataclass(frozen=True, eq=False)
class ItemSimilarity:
    """The strongest companions of each sale.

    Attributes:
        keys: Keys of the sales that any are known of, ascending, shape ``(n,)``.
        companions: Keys of the companions, strongest first, shape ``(n, width)``.
        strengths: How strongly each speaks for the sale, 0 where there is none, same shape.
    """

    keys: NDArray[np.uint64]
    companions: NDArray[np.uint64]
    strengths: NDArray[np.float64]

    def interest(self, batch: Batch, *, half_life: int) -> NDArray[np.float64]:
        """Sum the customer's interest in the companions of every candidate.

        Args:
            batch: The queries.
            half_life: Index of `models.query.query.HALF_LIVES_S`.

        Returns:
            ``sum over companions of strength * interest / (EVIDENCE + all interest)``, NaN
            for sales that nothing is known of, shape ``(n_queries, n_sales)``.
        """
        touches, every = batch.touches, self.of(batch.catalogue)
        near, strengths = batch.described(every.rows), batch.described(every.similarities)
        interest = touches.interest[half_life].take(touches.places(near))
        summed = np.einsum("bij,bij->bi", interest, strengths)
        known = batch.memo.once((self, "known"), lambda: (strengths > 0).any(axis=-1))
        return np.where(known, summed / batch.history.weight[half_life][:, None], np.nan)

    def of(self, catalogue: Catalogue) -> Neighbours:
        """Return the companions of every sale of a catalogue, by its rows."""
        return self._aligned.of(catalogue)

    @cached_property
    def _aligned(self) -> CatalogueCache[Neighbours]:
        return CatalogueCache(self._align)

    def _align(self, catalogue: Catalogue) -> Neighbours:
        width = self.companions.shape[1]
        rows = np.zeros((len(catalogue), width), dtype=np.int64)
        strengths = np.zeros((len(catalogue), width))
        places = catalogue.rows_of(self.keys)
        found = catalogue.rows_of(self.companions.ravel()).reshape(self.companions.shape)
        known = places >= 0
        rows[places[known]] = np.maximum(found[known], 0)
        strengths[places[known]] = np.where(found[known] >= 0, self.strengths[known], 0.0)
        return Neighbours(rows, strengths)

    def to_arrays(self) -> dict[str, NDArray[np.generic]]:
        """Return what was fitted; see `from_arrays`."""
        return {
            "keys": self.keys.view(np.int64),
            "companions": self.companions.view(np.int64),
            "strengths": self.strengths,
        }

    @classmethod
    def from_arrays(cls, arrays: Arrays) -> Self:
        """Restore the companions.

        Raises:
            ValueError: If an array is missing or does not fit its partners.
        """
        keys, companions = arrays.integers("keys"), arrays.integers("companions")
        strengths = arrays.floats("strengths")
        if companions.shape != strengths.shape or len(keys) != len(strengths):
            msg = f"{strengths.shape} strengths of {companions.shape} companions"
            raise ValueError(msg)
        return cls(keys.view(np.uint64), companions.view(np.uint64), strengths)
