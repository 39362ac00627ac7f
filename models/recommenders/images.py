"""Sales whose pictures look like what the customer looked at, or like what sold."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Final, Self

import numpy as np
from numpy.typing import NDArray

from models.arrays import Arrays
from models.counters import SaleCounts
from models.neighbours import Neighbours
from models.query import LASTING, VISIT, Query
from models.recommenders.popularity import Popularity

_SQUARINGS: Final = 3  # of a similarity: its 8th power


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
        "images_look_alikes": "Smoothed purchases per impression of those 20 sales together",
        "images_look_alike_clicks": "Smoothed clicks per impression of those 20 sales together",
    }

    def scores(self, query: Query) -> NDArray[np.float64]:
        """Score by pictures; see `Recommender.scores`."""
        agreement = picture_agreement(query)
        neighbours = query.catalogue.neighbours.of(query.rows)
        return np.array(
            [
                agreement[LASTING],
                agreement[VISIT],
                neighbour_interest(query, neighbours),
                *self._look_alikes(query, neighbours),
            ]
        ).T

    def _look_alikes(self, query: Query, neighbours: Neighbours) -> NDArray[np.float64]:
        """Return purchases and clicks per impression of look-alikes, shape ``(2, n_sales)``."""
        counts, weight = look_alike_counts(neighbours, query.catalogue.counts)
        click_rate, purchase_rate = self.popularity.rates(counts)
        rates = np.array([click_rate * purchase_rate, click_rate])
        rates[:, weight == 0] = np.nan
        return rates

    def to_arrays(self) -> Mapping[str, NDArray[np.float64]]:
        """Return the priors of popularity; see `Recommender.to_arrays`."""
        return self.popularity.to_arrays()

    @classmethod
    def from_arrays(cls, arrays: Arrays) -> Self:
        """Restore the recommender; see `Recommender.from_arrays`."""
        return cls(Popularity.from_arrays(arrays))


def picture_agreement(query: Query) -> NDArray[np.float64]:
    """Compare picture vectors with the mean vector of what the customer looked at.

    With interest ``w_i`` in sales of unit vectors ``v_i`` the taste is ``sum w_i v_i /
    (EVIDENCE + sum w_i)``; the score is its dot product with the candidate's vector.

    Args:
        query: The query.

    Returns:
        Scores in ``[-1, 1]`` by half-life, NaN for candidates without a picture, shape
        ``(2, n_sales)``.
    """
    history, catalogue = query.history, query.catalogue
    seen = catalogue.embeddings.take(history.rows, axis=0).astype(np.float64)
    taste = np.einsum("hi,ij->hj", history.interest, seen) / history.weight[:, None]
    candidates = catalogue.embeddings.take(query.rows, axis=0).astype(np.float64)
    agreement = np.einsum("ij,hj->hi", candidates, taste)
    return np.where(catalogue.pictured[query.rows], agreement, np.nan)


def neighbour_interest(query: Query, neighbours: Neighbours) -> NDArray[np.float64]:
    """Sum the lasting interest in a candidate's neighbours, weighted by similarity.

    Args:
        query: The query.
        neighbours: Those of its candidates.

    Returns:
        ``sum over neighbours of similarity * interest / (EVIDENCE + all interest)``,
        0 without a picture, shape ``(n_sales,)``.
    """
    touches = query.touches
    interest = touches.interest[LASTING][touches.place[neighbours.rows]]
    near = np.einsum("ij,ij->i", interest, neighbours.similarities)
    return near / query.history.weight[LASTING]


def look_alike_counts(
    neighbours: Neighbours, counts: SaleCounts
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Add up what happened to look-alikes, by the 8th power of similarity.

    The high power lets near look-alikes decide; of equally near ones those that were shown
    more often do, which a mean of their rates would not.

    Args:
        neighbours: Those of the candidates.
        counts: Events of every sale of the catalogue.

    Returns:
        Events by type code, shape ``(n_sales, 5)``, and the sum of weights, 0 without a
        neighbour, shape ``(n_sales,)``.
    """
    weight = neighbours.similarities
    for _ in range(_SQUARINGS):  # a twentieth of the time of ``**``
        weight = weight * weight
    of_each = counts.totals.take(neighbours.rows, axis=0)
    return np.einsum("ij,ijk->ik", weight, of_each), np.einsum("ij->i", weight)
