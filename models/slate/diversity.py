"""Diversity: maximal marginal relevance (MMR) over topics and destinations."""

from dataclasses import dataclass
from typing import Final, Self

import numpy as np
from numpy.typing import NDArray

from models.catalogue.catalogue import Catalogue
from models.catalogue.columns import TEXT_COLUMNS
from models.ranker.objective import UNKNOWN_VALUE

_DESTINATION: Final = TEXT_COLUMNS.index("destination")
# Chosen: of the similarity; the rest is the destination.
_TOPICS_SHARE: Final = 0.5


@dataclass(frozen=True, slots=True, eq=False)
class Similarity:
    """Pairwise similarity of sales, from 0 to 1.

    Half is the cosine of their topics, 0 if one has no picture; half is 1 if both have the same
    destination, else 0.

    Attributes:
        topics: Topic shares, rows of length 1 or 0, shape ``(n, n_topics)``.
        destinations: Code of each destination, 0 for none, shape ``(n,)``.
    """

    topics: NDArray[np.float64]
    destinations: NDArray[np.intp]

    @classmethod
    def from_catalogue(cls, catalogue: Catalogue, rows: NDArray[np.int64]) -> Self:
        """Take the topics and destinations of catalogue rows.

        Args:
            catalogue: The sales.
            rows: Their rows, shape ``(n,)``.
        """
        length = np.nan_to_num(catalogue.topic_length[rows], nan=1.0)
        return cls(
            catalogue.topics[rows] / length[:, None],
            catalogue.vocabulary.codes[rows, _DESTINATION],
        )

    def select(self, chosen: NDArray[np.intp]) -> Self:
        """Return the similarity of some of the sales."""
        return type(self)(self.topics[chosen], self.destinations[chosen])

    def to(self, index: int) -> NDArray[np.float64]:
        """Return the similarity of every sale to one of them, shape ``(n,)``."""
        # einsum: a row's bits do not depend on the other rows, which replays rely on.
        cosine = np.einsum("ij,j->i", self.topics, self.topics[index])
        code = self.destinations[index]
        same = (self.destinations == code) & (code != 0)
        return _TOPICS_SHARE * np.clip(cosine, 0.0, 1.0) + (1.0 - _TOPICS_SHARE) * same

    def spread(self) -> float:
        """Return 1 minus the mean pairwise similarity; NaN below two sales."""
        n = len(self.destinations)
        if n <= 1:
            return float("nan")
        alike = sum(float(self.to(index)[index + 1 :].sum()) for index in range(n))
        return 1.0 - alike / (n * (n - 1) / 2)


def relevance(order: NDArray[np.float64]) -> NDArray[np.float64]:
    """Min-max scale scores to [0, 1].

    Scores of unknown value, see `models.ranker.objective.expected_value`, and infinite ones stay
    below all others. If all others are equal they get 0.

    Args:
        order: Higher is better, no NaN, shape ``(n,)``.

    Returns:
        Finite, shape ``(n,)``.
    """
    known = order > UNKNOWN_VALUE
    low = order[known].min(initial=np.inf)
    span = order[known].max(initial=-np.inf) - low
    scaled = np.maximum(order, np.finfo(np.float64).min)
    scaled[known] = (order[known] - low) / span if span > 0 else 0.0
    return scaled


def diversified(
    order: NDArray[np.float64], similarity: Similarity, *, weight: float, limit: int
) -> NDArray[np.intp]:
    """Select a slate greedily by maximal marginal relevance.

    Every position goes to the candidate with the highest
    ``(1 - weight) * relevance - weight * max(similarity to those above)``; ties go to the
    higher score, then to the given order. The first position goes to the best score.

    Args:
        order: Scores, higher is better, no NaN, shape ``(n,)``.
        similarity: Of the same candidates.
        weight: Weight of diversity, in ``[0, 1)``; 0 keeps the order of the scores.
        limit: Length of the slate.

    Returns:
        Indices of candidates, shape ``(min(limit, n),)``.

    Source:
        Carbonell and Goldstein, The Use of MMR, Diversity-Based Reranking, SIGIR 1998.
    """
    ranking = np.argsort(-order, kind="stable")
    n_shown = min(limit, len(ranking))
    if not n_shown or not weight:
        return ranking[:n_shown]
    merits = (1.0 - weight) * relevance(order)[ranking]
    # Similarity subtracts at most the weight: a candidate whose relevance is lower than that of
    # rank n_shown by more than the weight is never selected.
    n_near = int(np.count_nonzero(merits >= merits[n_shown - 1] - weight))
    near = similarity.select(ranking[:n_near])
    values, closest = merits[:n_near], np.zeros(n_near)
    places = np.empty(n_shown, dtype=np.intp)
    for rank in range(n_shown):
        best = int(np.argmax(values))
        places[rank] = best
        np.maximum(closest, near.to(best), out=closest)
        merits[best] = -np.inf
        values = merits[:n_near] - weight * closest
    return ranking[places]
