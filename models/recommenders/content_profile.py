"""Content profile: agreement of topics, category, place and price with the customer's history."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from models.arrays.array_file import Arrays
from models.catalogue.catalogue import Catalogue
from models.kernel.steps import Family, Step
from models.recommenders.recommender import Recommender


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

    def step(self, catalogue: Catalogue) -> Step:
        """Return the step of all columns; see `Recommender.step`.

        With interest ``w_i`` in sales of topic shares ``t_i`` the profile is ``sum w_i t_i /
        (EVIDENCE + sum w_i)``, and topics agree by its dot product with the candidate's shares,
        scaled to unit length. Shares of interest in a value are over ``EVIDENCE`` plus all
        interest.
        """
        topics = catalogue.topics
        tables = (topics, catalogue.topic_length, catalogue.vocabulary.codes, catalogue.log_price)
        n_topics = topics.shape[1]
        return Step(Family.CONTENT, len(self.columns), tables, (n_topics,), n_work=2 * n_topics)

    def to_arrays(self) -> Mapping[str, NDArray[np.float64]]:
        """Return nothing; see `Recommender.to_arrays`."""
        return {}

    @classmethod
    def from_arrays(cls, arrays: Arrays) -> Self:
        """Restore the recommender; see `Recommender.from_arrays`."""
        del arrays
        return cls()
