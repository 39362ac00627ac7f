"""From scored candidates to a slate, by everything that a policy says."""

import numpy as np
from numpy.typing import NDArray

from models.catalogue.event_counts import HOUR_US
from models.query.query import Query
from models.scoring.scorer import Scores
from models.slate.diversity import Likeness, diversified
from models.slate.exploration import Slate, log_odds, plackett_luce, uniforms, with_new_sales
from models.slate.slate_policy import NewSaleSlots, PlackettLuce, SlatePolicy


def make_slate(
    query: Query, scores: Scores, *, policy: SlatePolicy, limit: int, seed: int
) -> Slate:
    """Choose what is shown: order, then diversity, then exploration.

    Of equal scores the candidate that stands first is first.

    Args:
        query: What was scored: a slate holds nothing but its candidates.
        scores: With the order that the policy asks for.
        policy: Its diversity and exploration; bundle and order were followed by scoring.
        limit: Length of the slate.
        seed: Decides what chance decides, see `models.slate.exploration.seed_of`.

    Returns:
        A slate of ``min(limit, n_candidates)`` sales, each with its propensity.
    """
    match policy.exploration:
        case None:
            return Slate.certain(_first(query, scores, policy=policy, limit=limit))
        case NewSaleSlots(slots=slots, hours=hours):
            return with_new_sales(
                _first(query, scores, policy=policy, limit=limit),
                new_sales(query, hours=hours),
                slots=slots,
                limit=limit,
                drawn=uniforms(seed, slots),
            )
        case PlackettLuce(temperature=temperature):
            ranking = _whole(query, scores, policy=policy, limit=limit)
            # The order decides who stands where, the calibrated odds how firmly: both are one
            # where probabilities order, and any other order is drawn around in the same way.
            utilities = np.sort(log_odds(scores.probabilities))[::-1] / temperature
            drawn = uniforms(seed, len(ranking))
            return plackett_luce(ranking, utilities, limit=limit, drawn=drawn)


def new_sales(query: Query, *, hours: float) -> NDArray[np.bool_]:
    """Tell which candidates opened less than so many hours ago, shape ``(n_candidates,)``."""
    return query.catalogue.opens_us[query.rows] > query.context.now_us - hours * HOUR_US


def best(order: NDArray[np.float64], limit: int) -> NDArray[np.intp]:
    """Return the indices of the highest scores, best first; equal ones in given order.

    Args:
        order: One per candidate, shape ``(n_candidates,)``, no NaN.
        limit: Length of the slate.

    Returns:
        Indices, shape ``(min(limit, n_candidates),)``.
    """
    return np.argsort(-order, kind="stable")[:limit]


def _first(query: Query, scores: Scores, *, policy: SlatePolicy, limit: int) -> NDArray[np.intp]:
    if not policy.diversity:
        return best(scores.order, limit)
    likeness = Likeness.of(query.catalogue, query.rows)
    return diversified(scores.order, likeness, weight=policy.diversity, limit=limit)


def _whole(query: Query, scores: Scores, *, policy: SlatePolicy, limit: int) -> NDArray[np.intp]:
    """Rank all candidates: the first as `_first` does, the others by score."""
    ranking = best(scores.order, len(query.rows))
    if not policy.diversity:
        return ranking
    first = _first(query, scores, policy=policy, limit=limit)
    return np.concatenate([first, ranking[~np.isin(ranking, first)]])
