"""Sales like those that the customer looked at: topics of their pictures, and attributes."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Final, Self

import numpy as np
from numpy.typing import NDArray

from models.arrays import Arrays
from models.catalogue import Vocabulary
from models.query import Query

EVIDENCE: Final = 0.5
"""Interest that a taste is shrunk by: one old view says less than ten."""

_VISIT, _LASTING = 0, 1


@dataclass(frozen=True)
class Content:
    """Compares a sale's content with the customer's faded interest; nothing is fitted."""

    name: ClassVar[str] = "content"
    columns: ClassVar[Mapping[str, str]] = {
        "content": "Agreement of topics, category, country and destination with lasting taste",
        "content_topics": "Agreement of picture topics with lasting taste",
        "content_topics_visit": "Agreement of picture topics with this visit",
        "content_category": "Share of lasting interest in the sale's category",
        "content_category_visit": "Share of this visit's interest in the sale's category",
        "content_country": "Share of lasting interest in the sale's country",
        "content_destination": "Share of lasting interest in the sale's destination",
        "content_price": "Logarithm of price against the mean of lasting interest",
    }

    def scores(self, query: Query) -> NDArray[np.float64]:
        """Score by content; see `Recommender.scores`."""
        catalogue = query.catalogue
        topics = [topic_agreement(query, half_life) for half_life in (_LASTING, _VISIT)]
        category = interest_share(query, catalogue.category, half_life=_LASTING)
        country = interest_share(query, catalogue.country, half_life=_LASTING)
        destination = interest_share(query, catalogue.destination, half_life=_LASTING)
        order = np.nan_to_num(topics[0]) + category + country + destination
        return np.stack(
            [
                order,
                *topics,
                category,
                interest_share(query, catalogue.category, half_life=_VISIT),
                country,
                destination,
                price_distance(query),
            ],
            axis=1,
        )

    def to_arrays(self) -> Mapping[str, NDArray[np.float64]]:
        """Return nothing; see `Recommender.to_arrays`."""
        return {}

    @classmethod
    def from_arrays(cls, arrays: Arrays) -> Self:
        """Restore the recommender; see `Recommender.from_arrays`."""
        del arrays
        return cls()


def topic_agreement(query: Query, half_life: int) -> NDArray[np.float64]:
    """Compare topic shares with the topics of what the customer looked at.

    With interest ``w_i`` in sales of shares ``t_i`` the taste is ``sum w_i t_i /
    (EVIDENCE + sum w_i)``; the score is its dot product with the unit vector of the
    candidate's shares.

    Args:
        query: The query.
        half_life: Index into `models.query.HALF_LIVES_S`.

    Returns:
        Scores in ``[0, 1]``, NaN for candidates without a picture, shape ``(n_sales,)``.
    """
    history = query.history
    shares = query.catalogue.topics
    if not shares.shape[1]:
        return np.full(len(query.rows), np.nan)
    seen = np.nan_to_num(shares[history.rows]).astype(np.float64)
    interest = history.interest[half_life]
    taste = np.einsum("i,ij->j", interest, seen) / (EVIDENCE + interest.sum())
    candidates = shares[query.rows].astype(np.float64)
    length = np.sqrt(np.einsum("ij,ij->i", candidates, candidates))
    return np.einsum("ij,j->i", candidates, taste) / length


def interest_share(query: Query, column: Vocabulary, *, half_life: int) -> NDArray[np.float64]:
    """Return the share of faded interest in sales of the same value of a column.

    Args:
        query: The query.
        column: A text column of the catalogue.
        half_life: Index into `models.query.HALF_LIVES_S`.

    Returns:
        ``interest in the value / (EVIDENCE + all interest)``, in ``[0, 1)``; 0 for a
        candidate without a value, shape ``(n_sales,)``.
    """
    history = query.history
    interest = history.interest[half_life]
    # Code -1, a missing value, falls into cell 0 and is emptied.
    by_value = np.bincount(
        column.codes[history.rows] + 1, weights=interest, minlength=len(column.values) + 1
    )
    by_value[0] = 0.0
    return by_value[column.codes[query.rows] + 1] / (EVIDENCE + interest.sum())


def price_distance(query: Query) -> NDArray[np.float64]:
    """Return ``log(price)`` minus its interest-weighted mean over the history.

    NaN where a price is unknown or the history has none, shape ``(n_sales,)``.
    """
    history = query.history
    logs = np.log1p(query.catalogue.price)
    seen = logs[history.rows]
    interest = np.where(np.isnan(seen), 0.0, history.interest[_LASTING])
    total = interest.sum()
    if total <= 0:
        return np.full(len(query.rows), np.nan)
    return logs[query.rows] - (interest * np.nan_to_num(seen)).sum() / total
