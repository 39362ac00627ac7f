"""Content profile: agreement of topics, category, place and price with the customer's history."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from models.arrays.array_file import Arrays
from models.arrays.ragged import flat_cells
from models.catalogue.columns import TEXT_COLUMNS
from models.query.customer_history import HALF_LIVES_S, LASTING, VISIT
from models.query.query import Batch
from models.recommenders.recommender import Recommender

CATEGORY, COUNTRY, DESTINATION = map(TEXT_COLUMNS.index, ("category", "country", "destination"))


@dataclass(frozen=True)
class ContentProfile(Recommender):
    """Compares a sale's content with the customer's decayed interest; nothing is fitted."""

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

    def batch_scores(self, batch: Batch) -> NDArray[np.float64]:
        """Score by content, shape ``(n_queries, n_sales, 8)``; see `Recommender.batch_scores`."""
        topics = topic_agreement(batch)
        visit, lasting = interest_shares(batch)
        # A sale without a picture is judged by its attributes alone.
        pictured = np.where(np.isnan(topics[LASTING]), 0.0, topics[LASTING])
        return np.array(
            [
                pictured
                + lasting[..., CATEGORY]
                + lasting[..., COUNTRY]
                + lasting[..., DESTINATION],
                topics[LASTING],
                topics[VISIT],
                lasting[..., CATEGORY],
                visit[..., CATEGORY],
                lasting[..., COUNTRY],
                lasting[..., DESTINATION],
                price_distance(batch),
            ]
        ).transpose(1, 2, 0)

    def to_arrays(self) -> Mapping[str, NDArray[np.float64]]:
        """Return nothing; see `Recommender.to_arrays`."""
        return {}

    @classmethod
    def from_arrays(cls, arrays: Arrays) -> Self:
        """Restore the recommender; see `Recommender.from_arrays`."""
        del arrays
        return cls()


def topic_agreement(batch: Batch) -> NDArray[np.float64]:
    """Compare topic shares with the topics of the customer's history.

    With interest ``w_i`` in sales of topic shares ``t_i`` the profile is ``sum w_i t_i /
    (EVIDENCE + sum w_i)``; the score is its dot product with the candidate's shares, scaled to
    unit length.

    Args:
        batch: The queries.

    Returns:
        Scores in ``[0, 1]`` by half-life, NaN for candidates without a picture, shape
        ``(2, n_queries, n_sales)``.
    """
    shares = batch.catalogue.topics
    if not shares.shape[1]:
        return np.full((len(HALF_LIVES_S), *batch.rows.shape), np.nan)
    taste = batch.history.mean(shares)
    agreement = np.einsum("bij,hbj->hbi", batch.gather(shares), taste)
    return agreement / batch.gather(batch.catalogue.topic_length)


def interest_shares(batch: Batch) -> NDArray[np.float64]:
    """Return the share of decayed interest in sales with the same attribute value.

    Args:
        batch: The queries.

    Returns:
        ``interest in the value / (EVIDENCE + all interest)`` by half-life, query, sale and
        text column, in ``[0, 1)``; 0 for a candidate without a value, shape
        ``(2, n_queries, n_sales, n_text_columns)``.
    """
    history, vocabulary = batch.history, batch.catalogue.vocabulary
    n_codes = 1 + len(vocabulary.values)
    codes = vocabulary.codes.take(history.rows, axis=0)
    cells = history.customers.cells(codes, n_codes)
    by_value = np.array(
        [
            np.bincount(cells.ravel(), weights=decayed, minlength=len(batch) * n_codes)
            for decayed in history.interest.repeat(codes.shape[1], axis=1)
        ],
        dtype=np.float64,
    ).reshape(-1, len(batch), n_codes)
    by_value[..., 0] = 0.0  # code 0 is a missing value, which does not agree with itself
    by_value /= history.weight[..., None]
    cells = flat_cells(batch.gather(vocabulary.codes), n_codes)
    return by_value.reshape(len(by_value), -1).take(cells, axis=1)


def price_distance(batch: Batch) -> NDArray[np.float64]:
    """Return ``log(1 + price)`` minus its interest-weighted mean over the history.

    NaN where a price is unknown or the history has none, shape ``(n_queries, n_sales)``.
    """
    history, log_price = batch.history, batch.catalogue.log_price
    seen = log_price[history.rows]
    known = ~np.isnan(seen)
    interest = history.interest[LASTING][known]
    customers = history.customers.select(known)
    total = customers.sums(interest)
    mean = customers.sums(interest * seen[known]) / np.where(total > 0, total, np.nan)
    return batch.gather(log_price) - mean[:, None]
