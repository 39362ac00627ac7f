"""Image similarity to the customer's history, and conversion of visually similar sales."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Final, Self

import numpy as np
from numpy.typing import NDArray

from models.arrays.array_file import Arrays
from models.catalogue.catalogue_cache import cached
from models.query.customer_history import LASTING, VISIT
from models.query.query import Batch
from models.recommenders.popularity import Popularity
from models.recommenders.recommender import Recommender

# The 8th power of a similarity; chosen, not measured.
_SQUARINGS: Final = 3


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

    def batch_scores(self, batch: Batch) -> NDArray[np.float64]:
        """Score by pictures, shape ``(n_queries, n_sales, 5)``; see `Recommender.batch_scores`."""
        agreement = picture_agreement(batch)
        columns = [
            agreement[LASTING],
            agreement[VISIT],
            neighbour_interest(batch),
            *self.look_alike_rates(batch),
        ]
        return np.array(columns).transpose(1, 2, 0)

    # Cached: the rates are the same for every customer, agreement and interest are not.
    @cached
    def look_alike_rates(self, batch: Batch) -> NDArray[np.float64]:
        """Return purchases and clicks per impression, shape ``(2, n_queries, n_sales)``."""
        weights = look_alike_weights(batch.counts.similarities)
        counts = look_alike_counts(weights, batch.counts.of_neighbours)
        rates = self.popularity.rates(counts)
        both = np.array([self.popularity.conversion(rates), rates[0]])
        return np.where(np.any(weights > 0, axis=-1), both, np.nan)

    def to_arrays(self) -> Mapping[str, NDArray[np.float64]]:
        """Return the priors of popularity; see `Recommender.to_arrays`."""
        return self.popularity.to_arrays()

    @classmethod
    def from_arrays(cls, arrays: Arrays) -> Self:
        """Restore the recommender; see `Recommender.from_arrays`."""
        return cls(Popularity.from_arrays(arrays))


def picture_agreement(batch: Batch) -> NDArray[np.float64]:
    """Compare picture vectors with the mean vector of the customer's history.

    With interest ``w_i`` in sales of unit vectors ``v_i`` the profile is ``sum w_i v_i /
    (EVIDENCE + sum w_i)``; the score is its dot product with the candidate's vector.

    Args:
        batch: The queries.

    Returns:
        Scores in ``[-1, 1]`` by half-life, NaN for candidates without a picture, shape
        ``(2, n_queries, n_sales)``.
    """
    embeddings = batch.catalogue.embeddings
    taste = batch.history.mean(embeddings)
    candidates = batch.cache.get_or_make(
        "pictures", lambda: embeddings.take(batch.rows, axis=0).astype(np.float64)
    )
    agreement = np.einsum("bij,hbj->hbi", candidates, taste)
    return np.where(batch.gather(batch.catalogue.pictured), agreement, np.nan)


def neighbour_interest(batch: Batch) -> NDArray[np.float64]:
    """Sum the lasting interest in a candidate's neighbours, weighted by similarity.

    Args:
        batch: The queries.

    Returns:
        ``sum over neighbours of similarity * interest / (EVIDENCE + all interest)``,
        0 without a picture, shape ``(n_queries, n_sales)``.
    """
    by_sale = batch.by_sale
    interest = by_sale.interest[LASTING].take(by_sale.places(batch.counts.neighbours))
    near = np.einsum("bij,bij->bi", interest, batch.counts.similarities)
    return near / batch.history.weight[LASTING][:, None]


def look_alike_weights(similarities: NDArray[np.float64]) -> NDArray[np.float64]:
    """Weight neighbours by the 8th power of their similarity, same shape.

    The high power gives most of the weight to the nearest ones.
    """
    weights = similarities
    for _ in range(_SQUARINGS):  # takes a twentieth of the time of ``**``
        weights = weights * weights
    return weights


def look_alike_counts(
    weights: NDArray[np.float64], of_each: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Sum the event counts of look-alikes by weight.

    Counts rather than rates are averaged, so that sales with more impressions weigh more.

    Args:
        weights: Weights of the neighbours, shape ``(n_queries, n_sales, 20)``.
        of_each: Events of each, shape ``(n_queries, n_sales, 20, 6)``.

    Returns:
        Events by type code, shape ``(n_queries, n_sales, 6)``.
    """
    return np.einsum("bij,bijk->bik", weights, of_each)
