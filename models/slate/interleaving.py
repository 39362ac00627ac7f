"""Team-draft interleaving: one slate of two rankings, each place credited to one, both or neither.

A coin decides which of the two next sales stands above the other. Where both rankings would place
the same sale next, it is placed once and belongs to no team: it says nothing of which is better.

Source:
    Radlinski, Kurup and Joachims, How Does Clickthrough Data Reflect Retrieval Quality?, CIKM 2008
    (team draft); Chapelle, Joachims, Radlinski and Yue, Large-Scale Validation and Analysis of
    Interleaved Search Evaluation, TOIS 2012; pairs that compete and sales that do not: Zhang et
    al., Harnessing the Power of Interleaving and Counterfactual Evaluation for Airbnb Search
    Ranking, KDD 2025.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from models.query.query import Query
from models.slate.exploration import Slate
from models.slate.filling import Filling
from models.slate.ruled_slate import RuledOrder

FIRST: Final = 0
SECOND: Final = 1
NO_TEAM: Final = -1

_FAIR: Final = 0.5
"""Probability that a team's sale stands above the other's."""


@dataclass(frozen=True, slots=True, eq=False)
class InterleavedSlate:
    """Interleaved slate.

    Attributes:
        slate: The selected candidates; a propensity is one half for the upper sale of a pair that
            competes, else 1.
        teams: `FIRST`, `SECOND` or `NO_TEAM` of each place, shape ``(n_shown,)``.
    """

    slate: Slate
    teams: NDArray[np.int8]


def team_draft(
    first: NDArray[np.intp],
    second: NDArray[np.intp],
    *,
    limit: int,
    drawn: NDArray[np.float64],
    ruled: RuledOrder | None = None,
) -> InterleavedSlate:
    """Interleave two rankings.

    In each round both rankings name their best candidate that may be placed. Two different ones
    are placed one above the other, in an order by chance. The same one, or that of a ranking whose
    rival has no more, is placed for no team, as pinned sales are. Which candidates a round places
    does not depend on earlier chances, so the propensities are exact. At an odd end only the upper
    one of a pair is placed.

    Args:
        first: Distinct candidates, best first; as many as ``limit`` are enough without rules.
        second: The same of the other ranking.
        limit: Length of the slate.
        drawn: Numbers between 0 and 1, one for each pair: shape ``((limit + 1) // 2,)`` at least.
        ruled: The rules of the slate; None for none.

    Returns:
        A slate of ``min(limit, n)`` places, where ``n`` is the number of candidates of both; of
        fewer where rules allow no further one.
    """
    if ruled is not None:
        # Under rules a candidate is its rank.
        rank = np.argsort(ruled.ranking)
        first, second, filling = rank[first], rank[second], ruled.filling()
    else:
        n = 1 + int(np.concatenate([first, second]).max(initial=-1))
        filling = Filling.without_rules(n, limit=limit)
    coins = iter(drawn.tolist())
    places: list[tuple[int, float, int]] = []
    while not filling.is_full:
        places += _pinned(filling)
        may = filling.permitted()
        one, other = _best(first, may), _best(second, may)
        if one is None or other is None or one == other or filling.is_full:
            alone = other if one is None else one
            if alone is None or filling.is_full:
                break
            filling.place(alone)
            places.append((alone, 1.0, NO_TEAM))
            continue
        filling.place(one)
        between = _pinned(filling)
        if not filling.is_full:
            other = _best(second, filling.permitted())
            if other is None:  # a cap allows no other beside it
                places += [(one, 1.0, NO_TEAM), *between]
                continue
            filling.place(other)
        pair = [(one, FIRST), (other, SECOND)]
        if next(coins) >= _FAIR:
            pair.reverse()
        (above, its_team), (below, rival) = pair
        places += [(above, _FAIR, its_team), *between, (below, 1.0, rival)]
    return _slate(places[:limit], ruled)


def _pinned(filling: Filling) -> list[tuple[int, float, int]]:
    """Place the pinned candidates that come next."""
    found: list[tuple[int, float, int]] = []
    while (pick := filling.next_pinned()) is not None:
        filling.place(pick)
        found.append((pick, 1.0, NO_TEAM))
    return found


def _best(ranking: NDArray[np.intp], may: NDArray[np.bool_]) -> int | None:
    found = may[ranking]
    return int(ranking[found.argmax()]) if found.any() else None


def _slate(places: Sequence[tuple[int, float, int]], ruled: RuledOrder | None) -> InterleavedSlate:
    shown = [pick for pick, _, _ in places]
    probabilities = np.array([propensity for _, propensity, _ in places], dtype=np.float64)
    if ruled is not None:
        slate = ruled.slate(shown, propensities=probabilities, unexplored=shown)
    else:
        certain = np.array(shown, dtype=np.intp)
        slate = Slate(certain, probabilities, unexplored=certain)
    teams = [team for _, _, team in places]
    return InterleavedSlate(slate, np.array(teams, dtype=np.int8))


def same_sales(query: Query, picks: NDArray[np.intp], *, other: Query) -> NDArray[np.intp]:
    """Return the candidates of another query that are the same sales, without those it lacks."""
    sales = query.catalogue.sales
    rows: list[int] = query.rows[picks].tolist()
    wanted = [other.catalogue.row_for(sales[row].sale_id) for row in rows]
    places = np.flatnonzero(np.isin(other.rows, [row for row in wanted if row is not None]))
    place: dict[int | None, int] = dict(
        zip(other.rows[places].tolist(), places.tolist(), strict=True)
    )
    return np.array([place[row] for row in wanted if row in place], dtype=np.intp)
