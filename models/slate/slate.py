"""Slate construction from scored candidates: order, diversity, exploration."""

import numpy as np
from numpy.typing import NDArray

from models.domain.units import HOUR_US
from models.query.query import Query
from models.scoring.scorer import Scores
from models.slate.diversity import Similarity, diversified
from models.slate.exploration import Slate, log_odds, plackett_luce, uniforms, with_new_sales
from models.slate.slate_policy import NewSaleSlots, PlackettLuce, SlatePolicy


def make_slate(
    query: Query, scores: Scores, *, policy: SlatePolicy, limit: int, seed: int
) -> Slate:
    """Select a slate: order, then diversity, then exploration.

    Ties are broken by the order of the candidates.

    Args:
        query: The scored query; a slate contains only its candidates.
        scores: Ordered by the policy's ``order_by``.
        policy: Diversity and exploration; scoring applied its bundle and order.
        limit: Length of the slate.
        seed: Of the exploration, see `models.slate.exploration.seed_from`.

    Returns:
        A slate of ``min(limit, n_candidates)`` sales, each with its propensity.
    """
    by_score = best(scores.order, len(query.rows))
    first = by_score[:limit]
    if policy.diversity:
        similarity = Similarity.from_catalogue(query.catalogue, query.rows)
        first = diversified(scores.order, similarity, weight=policy.diversity, limit=limit)
    match policy.exploration:
        case None:
            return Slate.certain(first)
        case NewSaleSlots(slots=slots, hours=hours):
            return with_new_sales(
                first,
                new_sales(query, hours=hours),
                slots=slots,
                limit=limit,
                drawn=uniforms(seed, slots),
            )
        case PlackettLuce(temperature=temperature, share=share):
            ranking = by_score
            if policy.diversity:  # behind the slate the others by score
                ranking = np.concatenate([first, by_score[~np.isin(by_score, first)]])
            # Utilities must fall with rank, and the order may be by another score than the
            # probability. The sorted log-odds are therefore assigned by rank: they determine only
            # how strongly the order is perturbed.
            utilities = np.sort(log_odds(scores.probabilities))[::-1] / temperature
            return plackett_luce(ranking, utilities, limit=limit, share=share, seed=seed)


def new_sales(query: Query, *, hours: float) -> NDArray[np.bool_]:
    """Return which candidates opened less than ``hours`` ago, shape ``(n_candidates,)``."""
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
