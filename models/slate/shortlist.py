"""Shortlist: the candidates of a large catalogue that are ranked in full.

Serving, replay, lists and the parity check select them here. What a policy places by itself, as
pinned sales, or may need, as sales below a bound, is part of the shortlist.
"""

from collections.abc import Iterator, Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from models.query.query import Query
from models.ranker.objective import OBJECTIVES, Objective, Policy
from models.ranker.ranker import sigmoid
from models.rules.constraints import Cap, Constraints, holding
from models.scoring.first_stage import N_SAMPLED, RANKED_IN_FULL, FirstStage
from models.scoring.scorer import Scorer, Scores
from models.slate.exploration import new_sales
from models.slate.page import PageRow, candidates_of
from models.slate.slate_policy import NewSaleSlots, SlatePolicy

# Decision record 0076.
BEST: Final = (512, 1_024)
"""Candidates of the highest estimates, beside those related to the customer: a hundredth of all, at
least and at most."""
_N_RANDOM: Final = 64

# Chosen: of a rule or a row of a page, beside as many as it has places.
_N_OF_PART: Final = 128
# A bound of a group may pass over many: so many of the best are looked at first.
_N_UNDER_CAP: Final = 8_192
# Of so many values one is looked at to guess the lowest that counts.
_GUESSED_BY: Final = 16


def shortlisted(
    query: Query,
    scorer: Scorer,
    *,
    policy: SlatePolicy,
    limit: int,
    rows: Sequence[PageRow] = (),
) -> Query:
    """Return the query for the candidates that are ranked in full.

    Args:
        query: The query of an answer, see `models.query.candidates.candidate_query`.
        scorer: The model.
        policy: Of the slate. Dry runs of rules count for nothing.
        limit: Length of the slate, of all rows of a page.
        rows: Rows of a page; empty for a list.

    Returns:
        The query itself if all candidates are: up to `RANKED_IN_FULL`, in a caller's order, or in
        the order of one recommender.
    """
    named = {policy.order_by, *(row.order_by for row in rows if row.order_by in scorer.policies)}
    is_small = len(query.rows) <= RANKED_IN_FULL
    if is_small or query.caller_list is not None or not named <= {*OBJECTIVES}:
        return query
    stage = scorer.first_stage(query.catalogue)
    estimates = stage.estimates(query).astype(np.float64)
    orders = {name: _order(query, scorer, estimates, policy=name) for name in named if name}
    order = orders[policy.order_by]
    is_chosen = np.zeros(len(order), dtype=np.bool_)
    n_best = min(max(len(order) // 100, BEST[0]), BEST[1])
    is_chosen[_highest(order, n_best)] = True
    # A random part keeps the scale of relevance, by which diversity weighs.
    for wanted in (stage.related(query), _random_rows(query, stage)):
        found = np.minimum(query.rows.searchsorted(wanted), len(order) - 1)
        is_chosen[found[query.rows[found] == wanted]] = True
    held = holding(policy.rules.live, query)
    constraints = Constraints.from_rules(held, query) if held else None
    free = np.ones(len(order), dtype=np.bool_)
    if constraints is not None:
        free = constraints.allowed
        for part in _of_rules(constraints, free, order, n=limit + _N_OF_PART, n_best=n_best):
            is_chosen[part] = True
    if isinstance(policy.exploration, NewSaleSlots):
        is_new = free & new_sales(query, hours=policy.exploration.hours)
        opens_us = query.catalogue.opens_us[query.rows].astype(np.float64)
        is_chosen[_highest(np.where(is_new, opens_us, -np.inf), n_best)] = True
    for row in rows:
        of_row = orders.get(row.order_by or "", order)
        for part in _of_row(row, query, free, order=of_row, n=limit + _N_OF_PART):
            is_chosen[part] = True
    return query.select(query.rows[is_chosen])


def random_part(query: Query, scorer: Scorer) -> NDArray[np.intp] | slice:
    """Return which candidates are a random sample of the eligible sales.

    All of them, unless they are a shortlist.
    """
    shared = query.eligible
    if shared is None or len(query.rows) == len(shared.rows) or len(shared.rows) <= RANKED_IN_FULL:
        return slice(None)
    stage = scorer.first_stage(query.catalogue)
    return np.flatnonzero(np.isin(query.rows, _random_rows(query, stage)))


def _random_rows(query: Query, stage: FirstStage) -> NDArray[np.int64]:
    return stage.sampled_rows(query)[:: N_SAMPLED // _N_RANDOM]


def _order(
    query: Query, scorer: Scorer, estimates: NDArray[np.float64], *, policy: str
) -> NDArray[np.float64]:
    """Return estimated sort keys: log-odds, or expected values."""
    if scorer.objectives[Policy(policy)] is Objective.PURCHASES:
        return estimates
    prices, margins, sizes = scorer.purchases(query)
    none = np.empty((len(estimates), 0), dtype=np.float32)
    values = {"prices": prices, "margins": margins, "sizes": sizes}
    return scorer.order(Scores(estimates, sigmoid(estimates), none, **values), policy)


def _of_row(
    row: PageRow, query: Query, free: NDArray[np.bool_], *, order: NDArray[np.float64], n: int
) -> Iterator[NDArray[np.intp]]:
    """Yield indices of the best that a row is about, and that its own rules leave or name."""
    matching = free & candidates_of(row, query)[1]
    yield _best_of(matching, order, n)
    if row.rules is not None:
        own = Constraints.from_rules(holding(row.own_rules, query), query)
        yield from _of_rules(own, matching & own.allowed, order, n=n, n_best=n)


def _of_rules(
    constraints: Constraints,
    free: NDArray[np.bool_],
    order: NDArray[np.float64],
    *,
    n: int,
    n_best: int,
) -> Iterator[NDArray[np.intp]]:
    """Yield indices of the best that rules leave, name or move, and of those below each bound."""
    if not free.all():
        yield _best_of(free, order, n_best)
    masks = [one.matching for one in (*constraints.pins, *constraints.floors)]
    for matching in (*masks, *(matching for _, matching in constraints.boosted)):
        yield _best_of(free & matching, order, n)
    for cap in constraints.caps:
        yield _under_cap(cap, free, order, n)


def _under_cap(
    cap: Cap, free: NDArray[np.bool_], order: NDArray[np.float64], n: int
) -> NDArray[np.intp]:
    """Return indices of the best ``n`` of which each group has no more than its places."""
    for n_seen in (_N_UNDER_CAP, len(order)):
        seen = _best_of(free, order, n_seen)
        seen = seen[np.argsort(-order[seen], kind="stable")]
        groups = cap.groups[seen]
        together = np.argsort(groups, kind="stable")
        ordered = groups[together]
        places = np.empty(len(groups), dtype=np.intp)
        places[together] = np.arange(len(groups)) - ordered.searchsorted(ordered)
        found = seen[(groups < 0) | (places < cap.at_most)][:n]
        if len(found) == n:
            break
    return found


def _best_of(matching: NDArray[np.bool_], order: NDArray[np.float64], n: int) -> NDArray[np.intp]:
    return _highest(np.where(matching, order, -np.inf), n)


def _highest(values: NDArray[np.float64], n: int) -> NDArray[np.intp]:
    """Return indices of the ``n`` highest values above minus infinity, in no order."""
    near = np.flatnonzero(values > -np.inf)
    if len(near) <= n:
        return near
    # Most values are left out by comparison with one number: a sort of the others is short.
    guessed = values[near[::_GUESSED_BY]]
    n_guessed = min(2 * n // _GUESSED_BY + _GUESSED_BY, len(guessed))
    above = near[values[near] >= np.partition(guessed, -n_guessed)[-n_guessed]]
    if len(above) >= n:
        near = above
    return near[np.argpartition(-values[near], n - 1)[:n]]
