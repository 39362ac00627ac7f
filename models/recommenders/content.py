"""Sales like those that the customer looked at: topics of their pictures, and attributes."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from models.arrays import Arrays
from models.catalogue import Vocabulary
from models.query import HALF_LIVES_S, LASTING, VISIT, Query


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
        topics = topic_agreement(query)
        category = interest_share(query, catalogue.category)
        country = interest_share(query, catalogue.country)[LASTING]
        destination = interest_share(query, catalogue.destination)[LASTING]
        pictured = np.where(np.isnan(topics[LASTING]), 0.0, topics[LASTING])
        return np.array(
            [
                pictured + category[LASTING] + country + destination,
                topics[LASTING],
                topics[VISIT],
                category[LASTING],
                category[VISIT],
                country,
                destination,
                price_distance(query),
            ]
        ).T

    def to_arrays(self) -> Mapping[str, NDArray[np.float64]]:
        """Return nothing; see `Recommender.to_arrays`."""
        return {}

    @classmethod
    def from_arrays(cls, arrays: Arrays) -> Self:
        """Restore the recommender; see `Recommender.from_arrays`."""
        del arrays
        return cls()


def topic_agreement(query: Query) -> NDArray[np.float64]:
    """Compare topic shares with the topics of what the customer looked at.

    With interest ``w_i`` in sales of shares ``t_i`` the taste is ``sum w_i t_i /
    (EVIDENCE + sum w_i)``; the score is its dot product with the unit vector of the
    candidate's shares.

    Args:
        query: The query.

    Returns:
        Scores in ``[0, 1]`` by half-life, NaN for candidates without a picture, shape
        ``(2, n_sales)``.
    """
    history = query.history
    shares = query.catalogue.topics
    if not shares.shape[1]:
        return np.full((len(HALF_LIVES_S), len(query.rows)), np.nan)
    taste = np.einsum("hi,ij->hj", history.interest, shares[history.rows])
    taste /= history.weight[:, None]
    agreement = np.einsum("ij,hj->hi", shares[query.rows], taste)
    return agreement / query.catalogue.topic_length[query.rows]


def interest_share(query: Query, column: Vocabulary) -> NDArray[np.float64]:
    """Return the share of faded interest in sales of the same value of a column.

    Args:
        query: The query.
        column: A text column of the catalogue.

    Returns:
        ``interest in the value / (EVIDENCE + all interest)`` by half-life, in ``[0, 1)``;
        0 for a candidate without a value, shape ``(2, n_sales)``.
    """
    history = query.history
    codes, n_codes = column.codes[history.rows], 1 + len(column.values)
    by_value = np.array(
        [np.bincount(codes, weights=faded, minlength=n_codes) for faded in history.interest],
        dtype=np.float64,
    )
    by_value[:, 0] = 0.0  # sales without a value have nothing in common
    return by_value[:, column.codes[query.rows]] / history.weight[:, None]


def price_distance(query: Query) -> NDArray[np.float64]:
    """Return ``log(1 + price)`` minus its interest-weighted mean over the history.

    NaN where a price is unknown or the history has none, shape ``(n_sales,)``.
    """
    history, log_price = query.history, query.catalogue.log_price
    seen = log_price[history.rows]
    known = ~np.isnan(seen)
    interest = history.interest[LASTING][known]
    total = interest.sum()
    if total <= 0:
        return np.full(len(query.rows), np.nan)
    return log_price[query.rows] - (interest * seen[known]).sum() / total
