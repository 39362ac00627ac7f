"""Slate construction from scored candidates: order, diversity, exploration."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from models.query.query import Query
from models.ranker.ranker import log_odds
from models.rules.constraints import Constraints, holding
from models.rules.rule import SlateRules
from models.scoring.scorer import Scores
from models.slate.diversity import Similarity, diversified
from models.slate.exploration import (
    Slate,
    new_sales,
    plackett_luce,
    uniforms,
    with_new_sales,
)
from models.slate.page import PageRow, PageSlate
from models.slate.ruled_slate import RuledOrder, ruled_order, ruled_slate
from models.slate.slate_policy import NewSaleSlots, PlackettLuce, SlatePolicy


def make_slate(
    query: Query, scores: Scores, *, policy: SlatePolicy, limit: int, seed: int
) -> Slate:
    """Select a slate: order, then diversity, then exploration.

    Ties are broken by the order of the candidates.

    Args:
        query: The scored query; a slate contains only its candidates.
        scores: Ordered by the policy's ``order_by``.
        policy: Diversity, exploration and rules; scoring applied its bundle and order.
        limit: Length of the slate.
        seed: Of the exploration, see `models.slate.exploration.seed_from`.

    Returns:
        A slate of ``min(limit, n_candidates)`` sales, each with its propensity; of fewer where the
        policy's rules allow no further one.
    """
    ruled = under_rules(query, scores, rules=policy.rules, limit=limit)
    if ruled is not None:
        diversity, exploration = policy.diversity, policy.exploration
        return ruled_slate(ruled, query, diversity=diversity, exploration=exploration, seed=seed)
    return _unruled_slate(
        query, scores.order, scores.probabilities, policy=policy, limit=limit, seed=seed
    )


def _unruled_slate(
    query: Query,
    order: NDArray[np.float64],
    probabilities: NDArray[np.float64],
    *,
    policy: SlatePolicy,
    limit: int,
    seed: int,
) -> Slate:
    by_score = best(order, len(query.rows))
    first = by_score[:limit]
    if policy.diversity:
        similarity = Similarity.from_catalogue(query.catalogue, query.rows)
        first = diversified(order, similarity, weight=policy.diversity, limit=limit)
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
            utilities = np.sort(log_odds(probabilities))[::-1] / temperature
            return plackett_luce(ranking, utilities, limit=limit, share=share, seed=seed)


def make_page(
    query: Query,
    scores: Scores,
    *,
    rows: Sequence[PageRow],
    orders: Sequence[NDArray[np.float64]],
    policy: SlatePolicy,
    seed: int,
) -> PageSlate:
    """Fill the rows of a page: each has an order, and may have a diversity and rules of its own.

    Exclusions, boosts and upper bounds of the policy's rules hold in every row. Pins, guarantees
    and exploration are of the first. Rules of a row hold in it alone, behind those of the policy.

    Args:
        query: The scored query of the page.
        scores: Of all its candidates.
        rows: At least one.
        orders: Sort key of each row, of all candidates, shape ``(n_candidates,)`` each.
        policy: Diversity, exploration and rules.
        seed: Of the exploration.
    """
    of_first, of_later = _constraints(policy.rules, query)

    def select(place: int, indices: NDArray[np.intp]) -> Slate:
        row, order = rows[place], orders[place][indices]
        applied = policy.without_exploration if place else policy
        if row.diversity is not None:
            applied = applied.model_copy(update={"diversity": row.diversity})
        of_row = of_later if place else of_first
        if row.rules is not None:
            every = (*(policy.rules.of_later_rows if place else policy.rules).live, *row.own_rules)
            of_row = Constraints.from_rules(holding(every, query), query)
        if place and of_row is None and not applied.diversity:
            return Slate.certain(best(order, row.limit))
        part, probabilities = query.select(query.rows[indices]), scores.probabilities[indices]
        if of_row is None:
            return _unruled_slate(
                part, order, probabilities, policy=applied, limit=row.limit, seed=seed
            )
        ruled = ruled_order(
            of_row.take(indices), order, probabilities=probabilities, limit=row.limit
        )
        diversity, exploration = applied.diversity, applied.exploration
        return ruled_slate(ruled, part, diversity=diversity, exploration=exploration, seed=seed)

    return PageSlate.fill(query, rows, select=select)


def _constraints(rules: SlateRules, query: Query) -> tuple[Constraints | None, Constraints | None]:
    """Return what the rules that hold ask of the first row of a page, and of each later one."""
    held = holding(rules.live, query)
    if not held:
        return None, None
    of_first = Constraints.from_rules(held, query)
    return of_first, replace(of_first, pins=(), floors=())


def fallback_page(
    query: Query, order: NDArray[np.float64], *, rows: Sequence[PageRow], rules: SlateRules
) -> PageSlate:
    """Fill the rows of a page without a model; see `make_page` and `fallback_slate`."""

    def select(place: int, indices: NDArray[np.intp]) -> Slate:
        part = query.select(query.rows[indices])
        row, of_row = rows[place], rules.of_later_rows if place else rules
        if row.rules is not None:
            of_row = SlateRules.model_construct((*of_row.root, *row.own_rules))
        return fallback_slate(part, order[indices], rules=of_row, limit=row.limit)

    return PageSlate.fill(query, rows, select=select)


def under_rules(
    query: Query, scores: Scores, *, rules: SlateRules, limit: int
) -> RuledOrder | None:
    """Return the order under the rules that hold for a query; None if none holds."""
    held = holding(rules.live, query)
    if not held:
        return None
    constraints = Constraints.from_rules(held, query)
    return ruled_order(constraints, scores.order, probabilities=scores.probabilities, limit=limit)


def certain_order(
    query: Query, scores: Scores, *, policy: SlatePolicy, ruled: RuledOrder | None, limit: int
) -> NDArray[np.intp]:
    """Return a policy's slate without exploration; under rules, the other candidates follow.

    Args:
        query: The scored query.
        scores: Ordered by the policy.
        policy: Its diversity counts.
        ruled: The order under the rules that hold, see `under_rules`.
        limit: Length of the slate.

    Returns:
        Candidates, best first, as many as an interleaving asks of each ranking.
    """
    if ruled is None:
        certain = policy.without_exploration
        return make_slate(query, scores, policy=certain, limit=limit, seed=0).picks
    head = ruled_slate(ruled, query, diversity=policy.diversity, exploration=None, seed=0).picks
    return np.concatenate([head, ruled.ranking[~np.isin(ruled.ranking, head)]])


def fallback_slate(
    query: Query, order: NDArray[np.float64] | None, *, rules: SlateRules, limit: int
) -> Slate:
    """Select a slate without a model; rules hold as in any other.

    Args:
        query: The query; a slate contains only its candidates.
        order: Higher first, not negative, shape ``(n_candidates,)``; a boost multiplies it. None
            for the order of the candidates, which no boost changes.
        rules: The policy's.
        limit: Length of the slate.
    """
    n = len(query.rows)
    volumes = np.arange(n, 0, -1, dtype=np.float64) if order is None else order
    held = holding(rules.live, query)
    if not held:
        return Slate.certain(best(volumes, limit))
    constraints = Constraints.from_rules(held, query)
    # What an impression may cost is in outcomes, of which a volume says nothing.
    floors = tuple(one for one in constraints.floors if one.worth is None)
    constraints = replace(constraints, floors=floors)
    if order is None:
        constraints = replace(constraints, boosted=())
    # The odds of the share v / (1 + v) are v.
    ruled = ruled_order(constraints, volumes, probabilities=volumes / (1.0 + volumes), limit=limit)
    return ruled_slate(ruled, query, diversity=0.0, exploration=None, seed=0)


def best(order: NDArray[np.float64], limit: int) -> NDArray[np.intp]:
    """Return the indices of the highest scores, best first; equal ones in given order.

    Args:
        order: One per candidate, shape ``(n_candidates,)``, no NaN.
        limit: Length of the slate.

    Returns:
        Indices, shape ``(min(limit, n_candidates),)``.
    """
    return (-order).argsort(kind="stable")[:limit]
