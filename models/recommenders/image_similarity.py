"""Image similarity to the customer's history, and conversion of visually similar sales."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Final, Self

import numpy as np
from numpy.typing import NDArray

from models.arrays.array_file import Arrays
from models.catalogue.catalogue import Catalogue
from models.catalogue.catalogue_cache import cached
from models.kernel.steps import Family, Step
from models.query.query import Batch
from models.recommenders.popularity import Popularity
from models.recommenders.recommender import Recommender

_N_OF_CUSTOMER: Final = 3
"""Columns that depend on the customer, the first ones."""


@dataclass(frozen=True)
class ImageSimilarity(Recommender):
    """Compares picture vectors with the customer's history and with other sales.

    Attributes:
        popularity: Smooths the conversion rates of look-alikes.
    """

    popularity: Popularity

    name: ClassVar[str] = "images"
    columns: ClassVar[Mapping[str, str]] = {
        "images": "Similarity of the picture to the mean picture of lasting interest",
        "images_visit": "Similarity of the picture to the mean picture of this visit",
        "images_neighbours": "Lasting interest in the 20 sales with the most similar pictures",
        "images_look_alikes": "Smoothed purchases per impression of those 20 sales together",
        "images_look_alike_clicks": "Smoothed clicks per impression of those 20 sales together",
    }

    def step(self, catalogue: Catalogue) -> Step:
        """Return the step of the customer's interest; see `Recommender.step`.

        With interest ``w_i`` in sales of unit vectors ``v_i`` the profile is ``sum w_i v_i /
        (EVIDENCE + sum w_i)``, and pictures agree by its dot product with the candidate's vector.
        Interest in neighbours is weighted by similarity.
        """
        size = catalogue.embeddings.shape[1]
        tables = catalogue.embeddings, catalogue.pictured
        return Step(Family.IMAGES, _N_OF_CUSTOMER, tables, (size,), n_work=2 * size)

    def shared_scores(self, batch: Batch) -> NDArray[np.float64]:
        """Return the rates of look-alikes, the same for every customer."""
        return self.look_alike_rates(batch).transpose(1, 2, 0)

    @cached
    def look_alike_rates(self, batch: Batch) -> NDArray[np.float64]:
        """Return purchases and clicks per impression, shape ``(2, n_queries, n_sales)``."""
        rates = self.popularity.rates(batch.counts.look_alikes)
        return np.array([self.popularity.conversion(rates), rates[0]])

    def to_arrays(self) -> Mapping[str, NDArray[np.float64]]:
        """Return the priors of popularity; see `Recommender.to_arrays`."""
        return self.popularity.to_arrays()

    @classmethod
    def from_arrays(cls, arrays: Arrays) -> Self:
        """Restore the recommender; see `Recommender.from_arrays`."""
        return cls(Popularity.from_arrays(arrays))
