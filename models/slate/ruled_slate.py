"""Slates under rules: the constrained order, and exploration within the same constraints."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import zip_longest

import numpy as np
from numpy.typing import NDArray

from models.query.query import Query
from models.ranker.ranker import log_odds
from models.rules.constraints import Constraints
from models.rules.rule import REQUEST
from models.slate.diversity import Similarity, relevance
from models.slate.exploration import (
    Slate,
    is_drawn,
    mixture_propensities,
    new_sales,
    uniforms,
)
from models.slate.filling import Filling, PinnedPlaces, first, pinned_places
from models.slate.slate_policy import Exploration, NewSaleSlots, PlackettLuce


@dataclass(frozen=True, slots=True, eq=False)
class RuledOrder:
    """Order of the candidates under rules; within it, a candidate is its rank from 0.

    Attributes:
        ranking: All candidates, best first, after boosts, shape ``(n,)``.
        constraints: What the rules ask, by rank.
        merits: Relevance by rank, from 0 to 1, see `models.slate.diversity`.
        utilities: Log-odds by rank, after boosts: falling.
        limit: Length of the slate.
        pinned: The pinned candidates, by rank.
        is_moved: Whether boosts, of its own or of others, changed a candidate's rank, by rank.
    """

    ranking: NDArray[np.intp]
    constraints: Constraints
    merits: NDArray[np.float64]
    utilities: NDArray[np.float64]
    limit: int
    pinned: PinnedPlaces
    is_moved: NDArray[np.bool_]

    def filling(self) -> Filling:
        """Return empty places."""
        return Filling(self.constraints, self.pinned, limit=self.limit)

    def slate(
        self, ranks: list[int], *, propensities: NDArray[np.float64], unexplored: list[int]
    ) -> Slate:
        """Return the slate of some ranks, with the names of the rules that placed or moved each.

        A rule is unmet if a pin has no sale or its place is beyond the slate, if `at_least` has too
        few that may be shown, and if it leaves no sale at all; a share is of all answers.
        """
        free, floors = self.constraints.allowed, self.constraints.floors
        short = [
            one.rule
            for one in floors
            if one.worth is None and sum(map(one.matching.item, ranks)) < one.at_least
        ]
        return Slate(
            self.ranking[ranks] if ranks else np.empty(0, dtype=np.intp),
            propensities,
            self.ranking[unexplored] if unexplored else np.empty(0, dtype=np.intp),
            rules=tuple(self._names(ranks)),
            unmet=(*self.pinned.unmet, *short, *self._emptying),
            asked=(
                *(one.rule for one in self.constraints.pins),
                *(one.rule for one in floors if one.worth is None),
            ),
            # A list in which none of its sales may stand, as of another category, owes it none.
            shares=tuple(
                (one.rule, sum(map(one.matching.item, ranks)))
                for one in floors
                if one.worth is not None and bool((one.matching & free).any())
            ),
        )

    @property
    def _emptying(self) -> list[str]:
        # A filter that no sale meets is the caller's own, and no rule.
        return [name for name in self.constraints.emptied_by if name != REQUEST]

    def _names(self, ranks: list[int]) -> Iterator[tuple[str, ...]]:
        filling = self.filling()
        for rank in ranks:
            if (pin := self.pinned.rules.get(rank)) is not None:
                names = [pin]
            else:
                boosts = self.constraints.boosted if self.is_moved.item(rank) else ()
                names = [name for name, matching in boosts if matching.item(rank)]
                if self.constraints.floors:
                    names += filling.forced_by(rank)
            if self.constraints.floors:
                filling.place(rank)
            yield tuple(names)


def ruled_order(
    constraints: Constraints,
    order: NDArray[np.float64],
    *,
    probabilities: NDArray[np.float64],
    limit: int,
) -> RuledOrder:
    """Order candidates with their boosts.

    As for exploration, the sorted log-odds are assigned by rank, since the order may be by another
    score than the probability; a boost adds to them. Ties are broken by the order before.

    Args:
        constraints: See `Constraints.from_rules`.
        order: Sort key, higher first, no NaN, shape ``(n,)``.
        probabilities: Probability of each candidate, same shape.
        limit: Length of the slate.
    """
    ranking = np.argsort(-order, kind="stable")
    utilities = np.sort(log_odds(probabilities))[::-1]
    merits, is_moved = order[ranking], np.zeros(len(ranking), dtype=np.bool_)
    if constraints.boosted:
        utilities = utilities + constraints.log_odds[ranking]
        again = np.argsort(-utilities, kind="stable")
        ranking, utilities = ranking[again], utilities[again]
        is_moved = again != np.arange(len(again))
        merits = 1.0 / (1.0 + np.exp(-utilities))
    by_rank = constraints.take(ranking)
    if any(one.worth for one in by_rank.floors):
        free, chances = by_rank.allowed, 1.0 / (1.0 + np.exp(-utilities))
        floors = (one.settled(free, chances, limit=limit) for one in by_rank.floors)
        by_rank = replace(by_rank, floors=tuple(floors))
    pinned = pinned_places(by_rank, limit=limit)
    return RuledOrder(ranking, by_rank, relevance(merits), utilities, limit, pinned, is_moved)


def ruled_slate(
    ruled: RuledOrder,
    query: Query,
    *,
    diversity: float,
    exploration: Exploration | None,
    seed: int,
) -> Slate:
    """Select a slate under rules: order, diversity and exploration never leave the constraints.

    Args:
        ruled: The order under the rules.
        query: The scored query.
        diversity: Weight of being unlike what stands above, in ``[0, 1)``.
        exploration: What is tried out.
        seed: Of the answer.

    Returns:
        As many sales as are asked for, unless the constraints allow no further one.
    """
    head = _diverse(ruled, query, weight=diversity) if diversity else _best(ruled)
    match exploration:
        case PlackettLuce(temperature=temperature, share=share):
            utilities = _falling(ruled, head) if diversity else ruled.utilities
            ranks = head
            if is_drawn(seed, share):
                ranks = _draw(ruled, utilities / temperature, uniforms(seed, ruled.limit))
            propensities = _mixture(ruled, utilities / temperature, ranks, head, share=share)
        case NewSaleSlots(slots=slots, hours=hours):
            is_new = new_sales(query, hours=hours)[ruled.ranking]
            ranks, propensities = _with_new_sales(ruled, head, is_new, slots=slots, seed=seed)
        case None:
            ranks, propensities = head, np.ones(len(head))
    return ruled.slate(ranks, propensities=propensities, unexplored=head)


def _best(ruled: RuledOrder) -> list[int]:
    """Fill each place with the best candidate that is permitted there."""
    filling, ranks = ruled.filling(), list[int]()
    while not filling.is_full:
        pick = filling.next_pinned()
        if pick is None:
            pick = first(filling.permitted())
        if pick is None:
            break
        filling.place(pick)
        ranks.append(pick)
    return ranks


def _diverse(ruled: RuledOrder, query: Query, *, weight: float) -> list[int]:
    """The same by maximal marginal relevance; see `diversified`."""
    filling, ranks = ruled.filling(), list[int]()
    merits, closest = (1.0 - weight) * ruled.merits, np.zeros(len(ruled.merits))
    similarity = Similarity.from_catalogue(query.catalogue, query.rows[ruled.ranking])
    while not filling.is_full:
        pick = filling.next_pinned()
        if pick is None:
            permitted = filling.permitted()
            if not permitted.any():
                break
            pick = int(np.where(permitted, merits - weight * closest, -np.inf).argmax())
        filling.place(pick)
        ranks.append(pick)
        np.maximum(closest, similarity.to(pick), out=closest)
    return ranks


def _falling(ruled: RuledOrder, head: list[int]) -> NDArray[np.float64]:
    """Assign the utilities to the slate's sales first, so that it is the likeliest one."""
    is_head = np.zeros(len(ruled.utilities), dtype=np.bool_)
    is_head[head] = True
    utilities = np.empty(len(ruled.utilities))
    utilities[[*head, *np.flatnonzero(~is_head).tolist()]] = ruled.utilities
    return utilities


def _draw(
    ruled: RuledOrder, utilities: NDArray[np.float64], drawn: NDArray[np.float64]
) -> list[int]:
    """Draw place by place, each by Plackett-Luce among those permitted there."""
    filling, ranks = ruled.filling(), list[int]()
    numbers: list[float] = drawn.tolist()
    for number in numbers:
        pick = filling.next_pinned()
        if pick is None:
            may = np.flatnonzero(filling.permitted())
            if not len(may):
                break
            below = np.exp(utilities[may] - utilities[may].max()).cumsum()
            place = int(below.searchsorted(number * below[-1], side="right"))
            pick = int(may[min(place, len(may) - 1)])
        filling.place(pick)
        ranks.append(pick)
    return ranks


def _mixture(
    ruled: RuledOrder,
    utilities: NDArray[np.float64],
    ranks: list[int],
    head: list[int],
    *,
    share: float,
) -> NDArray[np.float64]:
    """Return the propensities of a slate of which a share is drawn, the others are the head."""
    filling, drawn = ruled.filling(), np.ones(len(ranks))
    for place, pick in enumerate(ranks):
        if filling.next_pinned() is None:
            may = utilities[filling.permitted()]
            highest = may.max()
            # At most 1: a sum of one is rounded.
            total = highest + np.log(np.exp(may - highest).sum())
            drawn[place] = min(np.exp(utilities[pick] - total), 1.0)
        filling.place(pick)
    is_head = [one == other for one, other in zip_longest(ranks, head[: len(ranks)])]
    return mixture_propensities(drawn, np.array(is_head, dtype=np.bool_), share=share)


def _with_new_sales(
    ruled: RuledOrder,
    head: list[int],
    is_new: NDArray[np.bool_],
    *,
    slots: int,
    seed: int,
) -> tuple[list[int], NDArray[np.float64]]:
    """Draw the last places uniformly among the new sales that are permitted there."""
    filling, ranks, propensities = ruled.filling(), list[int](), list[float]()
    n_kept = max(len(head) - slots, 0)
    numbers: list[float] = uniforms(seed, ruled.limit).tolist()
    while not filling.is_full:
        pick, propensity = filling.next_pinned(), 1.0
        if pick is None and len(ranks) < n_kept:
            pick = head[len(ranks)]
        elif pick is None:
            permitted = filling.permitted()
            pool = np.flatnonzero(permitted & is_new)
            pick = first(permitted)
            if len(pool):
                number = numbers[len(ranks)]
                pick, propensity = int(pool[int(number * len(pool))]), 1.0 / len(pool)
        if pick is None:
            break
        filling.place(pick)
        ranks.append(pick)
        propensities.append(propensity)
    return ranks, np.array(propensities)
