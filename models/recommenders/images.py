"""Sales whose pictures look like what the customer looked at, or like what sold."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Final, Self

import numpy as np
from numpy.typing import NDArray

from models.arrays import Arrays
from models.query import Query
from models.recommenders.content import EVIDENCE
from models.recommenders.popularity import Popularity

_VISIT, _LASTING = 0, 1

LOOK_ALIKE_SHARPNESS: Final = 8.0
"""Exponent of a neighbour's similarity in the mean over neighbours: near ones decide."""


@dataclass(frozen=True)
class Images:
    """Compares picture vectors with the customer's interest and with past sales.

    Attributes:
        popularity: How well other sales sold, for the conversion of look-alikes.
    """

    popularity: Popularity

    name: ClassVar[str] = "images"
    columns: ClassVar[Mapping[str, str]] = {
        "images": "Similarity of the picture to the mean picture of lasting interest",
        "images_visit": "Similarity of the picture to the mean picture of this visit",
        "images_neighbours": "Lasting interest in the 20 sales with the most similar pictures",
        "images_look_alikes": "Smoothed purchases per impression of those 20 sales",
    }

    def scores(self, query: Query) -> NDArray[np.float64]:
        """Score by pictures; see `Recommender.scores`."""
        return np.stack(
            [
                picture_agreement(query, _LASTING),
                picture_agreement(query, _VISIT),
                neighbour_interest(query),
                self._look_alikes(query),
            ],
            axis=1,
        )

    def _look_alikes(self, query: Query) -> NDArray[np.float64]:
        neighbours = query.catalogue.neighbours
        weight = neighbours.similarities[query.rows].astype(np.float64) ** LOOK_ALIKE_SHARPNESS
        sold = self.popularity.conversion(query.catalogue)[neighbours.rows[query.rows]]
        total = weight.sum(axis=1)
        mean = (weight * sold).sum(axis=1) / np.where(total > 0, total, 1.0)
        return np.where(total > 0, mean, np.nan)

    def to_arrays(self) -> Mapping[str, NDArray[np.float64]]:
        """Return the priors of popularity; see `Recommender.to_arrays`."""
        return self.popularity.to_arrays()

    @classmethod
    def from_arrays(cls, arrays: Arrays) -> Self:
        """Restore the recommender; see `Recommender.from_arrays`."""
        return cls(Popularity.from_arrays(arrays))


def picture_agreement(query: Query, half_life: int) -> NDArray[np.float64]:
    """Compare picture vectors with the mean vector of what the customer looked at.

    With interest ``w_i`` in sales of unit vectors ``v_i`` the taste is ``sum w_i v_i /
    (EVIDENCE + sum w_i)``; the score is its dot product with the candidate's vector.

    Args:
        query: The query.
        half_life: Index into `models.query.HALF_LIVES_S`.

    Returns:
        Scores in ``[-1, 1]``, NaN for candidates without a picture, shape ``(n_sales,)``.
    """
    history = query.history
    embeddings = query.catalogue.embeddings
    interest = history.interest[half_life]
    seen = embeddings[history.rows].astype(np.float64)
    taste = np.einsum("i,ij->j", interest, seen) / (EVIDENCE + interest.sum())
    candidates = embeddings[query.rows].astype(np.float64)
    agreement = np.einsum("ij,j->i", candidates, taste)
    return np.where(np.any(candidates != 0, axis=1), agreement, np.nan)


def neighbour_interest(query: Query) -> NDArray[np.float64]:
    """Sum the lasting interest in a candidate's neighbours, weighted by similarity.

    Returns:
        ``sum over neighbours of similarity * interest / (EVIDENCE + all interest)``,
        0 without a picture, shape ``(n_sales,)``.
    """
    neighbours = query.catalogue.neighbours
    interest = query.interest_by_row[_LASTING]
    near = interest[neighbours.rows[query.rows]] * neighbours.similarities[query.rows]
    return near.sum(axis=1) / (EVIDENCE + interest.sum())
