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

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from models.slate.exploration import Slate

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
) -> InterleavedSlate:
    """Interleave two rankings.

    In each round both rankings name their best candidate that is not placed yet. Two different ones
    are placed one above the other, in an order by chance. The same one, or that of a ranking whose
    rival has no more, is placed for no team. Which candidates a round places does not depend on
    earlier chances, so the propensities are exact. At an odd end only the upper one of a pair is
    placed.

    Args:
        first: Distinct candidates, best first; as many as ``limit`` are enough.
        second: The same of the other ranking.
        limit: Length of the slate.
        drawn: Numbers between 0 and 1, one for each pair: shape ``((limit + 1) // 2,)`` at least.

    Returns:
        A slate of ``min(limit, n)`` places, where ``n`` is the number of candidates of both.
    """
    placed: set[int] = set()
    own, others = (_unplaced(one.tolist(), placed) for one in (first, second))
    coins = iter(drawn.tolist())
    places: list[tuple[int, float, int]] = []
    while len(places) < limit:
        one, other = next(own, None), next(others, None)
        if one is None or other is None or one == other:
            alone = other if one is None else one
            if alone is None:
                break
            placed.add(alone)
            places.append((alone, 1.0, NO_TEAM))
            continue
        placed.update((one, other))
        pair = [(one, FIRST), (other, SECOND)]
        if next(coins) >= _FAIR:
            pair.reverse()
        (above, its_team), (below, rival) = pair
        places += [(above, _FAIR, its_team), (below, 1.0, rival)]
    picks, propensities, teams = zip(*places[:limit], strict=True) if places else ((), (), ())
    shown = np.array(picks, dtype=np.intp)
    slate = Slate(shown, np.array(propensities, dtype=np.float64), unexplored=shown)
    return InterleavedSlate(slate, np.array(teams, dtype=np.int8))


def _unplaced(ranking: Iterable[int], placed: set[int]) -> Iterator[int]:
    return (candidate for candidate in ranking if candidate not in placed)
