"""Co-visitation: item-item similarity of the sales that the same customers interact with."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from models.arrays.array_file import Arrays
from models.catalogue.catalogue import Catalogue
from models.kernel.steps import Step
from models.recommenders.item_similarity import ItemSimilarity
from models.recommenders.recommender import Recommender


@dataclass(frozen=True, eq=False)
class Covisitation(Recommender):
    """Sums the customer's interest in the sales most co-visited with a candidate.

    Attributes:
        companions: Co-visited sales of each sale.
    """

    companions: ItemSimilarity

    name: ClassVar[str] = "covisitation"
    columns: ClassVar[Mapping[str, str]] = {
        "covisitation": "Lasting interest in the 20 sales most co-visited with this one",
    }

    def step(self, catalogue: Catalogue) -> Step:
        """Return the step of the one column; see `Recommender.step`."""
        return self.companions.step(catalogue)

    def to_arrays(self) -> Mapping[str, NDArray[np.generic]]:
        """Return the fitted arrays; see `Recommender.to_arrays`."""
        return self.companions.to_arrays()

    @classmethod
    def from_arrays(cls, arrays: Arrays) -> Self:
        """Restore the recommender; see `Recommender.from_arrays`."""
        return cls(ItemSimilarity.from_arrays(arrays))
