"""Slates of different sales: maximal marginal relevance over topics and destinations."""

from dataclasses import dataclass
from typing import Final, Self

import numpy as np
from numpy.typing import NDArray

from models.catalogue.catalogue import Catalogue
from models.catalogue.columns import TEXT_COLUMNS
from models.ranker.objective import UNKNOWN_WORTH

_DESTINATION: Final = TEXT_COLUMNS.index("destination")
_TOPICS_SHARE: Final = 0.5


@dataclass(frozen=True, slots=True, eq=False)
class Likeness:
    """How much sales are alike, from 0 to 1.

    Half of it is the cosine of their topics, 0 where one has no picture; half is whether both
    name the same destination.

    Attributes:
        topics: Topic shares, rows of length 1 or 0, shape ``(n, n_topics)``.
        destinations: Code of each destination, 0 for none, shape ``(n,)``.
    """

    topics: NDArray[np.float64]
    destinations: NDArray[np.intp]

    @classmethod
    def of(cls, catalogue: Catalogue, rows: NDArray[np.int64]) -> Self:
        """Compare sales of a catalogue.

        Args:
            catalogue: Whose sales.
            rows: Their rows, shape ``(n,)``.
        """
        length = np.nan_to_num(catalogue.topic_length[rows], nan=1.0)
        return cls(
            catalogue.topics[rows] / length[:, None],
            catalogue.vocabulary.codes[rows, _DESTINATION],
        )

    def among(self, chosen: NDArray[np.intp]) -> Self:
        """Compare some of the sales only."""
        return type(self)(self.topics[chosen], self.destinations[chosen])

    def to(self, index: int) -> NDArray[np.float64]:
        """Return how much every sale is like one of them, shape ``(n,)``."""
        # einsum adds in the same order whatever stands beside a row: replays need every bit.
        cosine = np.einsum("ij,j->i", self.topics, self.topics[index])
        code = self.destinations[index]
        same = (self.destinations == code) & (code != 0)
        return _TOPICS_SHARE * np.clip(cosine, 0.0, 1.0) + (1.0 - _TOPICS_SHARE) * same

    def spread(self) -> float:
        """Return 1 minus the mean likeness of two of the sales; NaN below two."""
        n = len(self.destinations)
        if n <= 1:
            return float("nan")
        alike = sum(float(self.to(index)[index + 1 :].sum()) for index in range(n))
        return 1.0 - alike / (n * (n - 1) / 2)


def relevance(order: NDArray[np.float64]) -> NDArray[np.float64]:
    """Scale scores so that the best candidate has 1 and the worst 0.

    Scores of sales whose worth is unknown, see `models.ranker.objective.expected_worth`, and
    infinite ones stay below all others. If all others are equal they get 0.

    Args:
        order: Higher is better, no NaN, shape ``(n,)``.

    Returns:
        Finite, shape ``(n,)``.
    """
    known = order > UNKNOWN_WORTH
    low = order[known].min(initial=np.inf)
    span = order[known].max(initial=-np.inf) - low
    scaled = np.maximum(order, np.finfo(np.float64).min)
    scaled[known] = (order[known] - low) / span if span > 0 else 0.0
    return scaled


def diversified(
    order: NDArray[np.float64], likeness: Likeness, *, weight: float, limit: int
) -> NDArray[np.intp]:
    """Choose a slate sale by sale, each good and unlike what stands above it.

    Every place goes to the candidate with the highest
    ``(1 - weight) * relevance - weight * max(likeness to those above)``; of equal ones to the
    first by score, then as given. The first place goes to the best score.

    Args:
        order: Scores, higher is better, no NaN, shape ``(n,)``.
        likeness: Of the same candidates.
        weight: Weight of being unlike, in ``[0, 1)``; 0 keeps the order of the scores.
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
    # Likeness takes away at most the weight: one of the first n_shown, which is still there,
    # is always worth more than what is further below them than that.
    n_near = int(np.count_nonzero(merits >= merits[n_shown - 1] - weight))
    near = likeness.among(ranking[:n_near])
    values, closest = merits[:n_near], np.zeros(n_near)
    places = np.empty(n_shown, dtype=np.intp)
    for rank in range(n_shown):
        best = int(np.argmax(values))
        places[rank] = best
        np.maximum(closest, near.to(best), out=closest)
        merits[best] = -np.inf
        values = merits[:n_near] - weight * closest
    return ranking[places]
