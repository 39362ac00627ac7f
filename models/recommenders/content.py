"""Sales like those that the customer looked at: topics of their pictures, and attributes."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from models.arrays import Arrays
from models.column import TEXT_COLUMNS
from models.query import HALF_LIVES_S, LASTING, VISIT, Query

CATEGORY, COUNTRY, DESTINATION = map(TEXT_COLUMNS.index, ("category", "country", "destination"))


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
        topics = topic_agreement(query)
        visit, lasting = interest_shares(query)
        pictured = np.where(np.isnan(topics[LASTING]), 0.0, topics[LASTING])
        return np.array(
            [
                pictured + lasting[:, CATEGORY] + lasting[:, COUNTRY] + lasting[:, DESTINATION],
                topics[LASTING],
                topics[VISIT],
                lasting[:, CATEGORY],
                visit[:, CATEGORY],
                lasting[:, COUNTRY],
                lasting[:, DESTINATION],
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
    taste = np.einsum("hi,ij->hj", history.interest, shares.take(history.rows, axis=0))
    taste /= history.weight[:, None]
    agreement = np.einsum("ij,hj->hi", shares.take(query.rows, axis=0), taste)
    return agreement / query.catalogue.topic_length[query.rows]


def interest_shares(query: Query) -> NDArray[np.float64]:
    """Return the share of faded interest in sales that have a value in common.

    Args:
        query: The query.

    Returns:
        ``interest in the value / (EVIDENCE + all interest)`` by half-life, sale and text
        column, in ``[0, 1)``; 0 for a candidate without a value, shape
        ``(2, n_sales, n_text_columns)``.
    """
    history, vocabulary = query.history, query.catalogue.vocabulary
    codes = vocabulary.codes.take(history.rows, axis=0)
    n_codes = 1 + len(vocabulary.values)
    by_value = np.array(
        [
            np.bincount(codes.ravel(), weights=faded, minlength=n_codes)
            for faded in history.interest.repeat(codes.shape[1], axis=1)
        ],
        dtype=np.float64,
    )
    by_value[:, 0] = 0.0  # sales without a value have nothing in common
    by_value /= history.weight[:, None]
    return by_value.take(vocabulary.codes.take(query.rows, axis=0), axis=1)


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
