"""Team draft by hand-worked examples, and its propensities by counting all coins."""

from collections import Counter, defaultdict
from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.slate.interleaving import FIRST, NO_TEAM, SECOND, InterleavedSlate, team_draft

HEADS, TAILS = 0.25, 0.75
"""The first ranking's sale above, and the second's."""

A, B, N = FIRST, SECOND, NO_TEAM


def drafted(
    first: list[int], second: list[int], *, limit: int, coins: list[float]
) -> tuple[list[int], list[int], list[float]]:
    found = interleaved(first, second, limit=limit, coins=coins)
    return found.slate.picks.tolist(), found.teams.tolist(), found.slate.propensities.tolist()


def interleaved(
    first: list[int], second: list[int], *, limit: int, coins: list[float]
) -> InterleavedSlate:
    rankings = (np.array(one, dtype=np.intp) for one in (first, second))
    return team_draft(*rankings, limit=limit, drawn=np.array(coins))


def test_two_rankings_without_a_common_sale_compete_for_every_pair() -> None:
    found = drafted([1, 2], [3, 4], limit=4, coins=[HEADS, TAILS])

    assert found == ([1, 3, 4, 2], [A, B, B, A], [0.5, 1.0, 0.5, 1.0])


def test_a_sale_that_both_name_next_is_placed_once_and_belongs_to_no_team() -> None:
    """Both begin with 7; then 1 competes with 2, and each has the other's sale behind its own."""
    found = drafted([7, 1, 2, 3], [7, 2, 1, 4], limit=5, coins=[TAILS, HEADS])

    assert found == ([7, 2, 1, 3, 4], [N, B, A, A, B], [1.0, 0.5, 1.0, 0.5, 1.0])


def test_equal_rankings_are_shown_as_they_are_and_say_nothing() -> None:
    assert drafted([5, 4, 3], [5, 4, 3], limit=3, coins=[HEADS, HEADS]) == (
        [5, 4, 3],
        [N, N, N],
        [1.0, 1.0, 1.0],
    )


def test_swapped_neighbours_are_one_pair() -> None:
    assert drafted([1, 2, 3], [2, 1, 3], limit=3, coins=[HEADS, HEADS]) == (
        [1, 2, 3],
        [A, B, N],
        [0.5, 1.0, 1.0],
    )


@pytest.mark.parametrize(("coin", "shown", "team"), [(HEADS, 1, A), (TAILS, 2, B)])
def test_an_odd_end_shows_the_upper_one_of_a_pair(coin: float, shown: int, team: int) -> None:
    found = drafted([7, 8, 1], [7, 8, 2], limit=3, coins=[coin, coin])

    assert found == ([7, 8, shown], [N, N, team], [1.0, 1.0, 0.5])


def test_what_a_longer_ranking_adds_has_no_rival_and_no_team() -> None:
    found = drafted([1], [2, 3, 4], limit=4, coins=[HEADS, HEADS])

    assert found == ([1, 2, 3, 4], [A, B, N, N], [0.5, 1.0, 1.0, 1.0])


@pytest.mark.parametrize(("limit", "length"), [(0, 0), (10, 2)])
def test_a_slate_is_no_longer_than_the_candidates_and_the_limit(limit: int, length: int) -> None:
    picks, _, _ = drafted([1, 2], [2, 1], limit=limit, coins=[HEADS] * 5)

    assert len(picks) == length


def test_without_candidates_nothing_is_shown() -> None:
    assert drafted([], [], limit=3, coins=[HEADS, HEADS]) == ([], [], [])


rankings = st.integers(0, 7).flatmap(
    lambda n: st.tuples(st.permutations(range(8)), st.permutations(range(8))).map(
        lambda pair: (pair[0][: 8 - n], pair[1][: 8 - n])
    )
)


@given(rankings, st.integers(1, 8))
def test_propensities_are_those_of_all_coins_counted(
    pair: tuple[list[int], list[int]], limit: int
) -> None:
    """Of all slates that share what stands above, the share that goes on with this sale."""
    n_coins = (limit + 1) // 2
    found = [
        drafted(*pair, limit=limit, coins=list(coins))
        for coins in product((HEADS, TAILS), repeat=n_coins)
    ]
    following: defaultdict[tuple[int, ...], Counter[int]] = defaultdict(Counter)
    for picks, _, _ in found:
        for rank, pick in enumerate(picks):
            following[tuple(picks[:rank])][pick] += 1

    for picks, teams, propensities in found:
        assert len(set(picks)) == len(picks) == min(limit, len(set(pair[0]) | set(pair[1])))
        # Both teams have equally many places, but for an odd end.
        assert abs(teams.count(FIRST) - teams.count(SECOND)) <= 1
        for rank, (pick, propensity) in enumerate(zip(picks, propensities, strict=True)):
            counted = following[tuple(picks[:rank])]
            assert propensity == counted[pick] / counted.total()


@given(rankings, st.integers(1, 8), st.lists(st.sampled_from([HEADS, TAILS]), min_size=4))
def test_exchanged_rankings_and_coins_exchange_the_teams(
    pair: tuple[list[int], list[int]], limit: int, coins: list[float]
) -> None:
    picks, teams, _ = drafted(*pair, limit=limit, coins=coins)
    again, others, _ = drafted(pair[1], pair[0], limit=limit, coins=[1.0 - one for one in coins])

    swapped = {FIRST: SECOND, SECOND: FIRST, NO_TEAM: NO_TEAM}
    assert (picks, [swapped[one] for one in teams]) == (again, others)
