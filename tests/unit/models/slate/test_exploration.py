"""Frequencies of drawn slates against their propensities, and propensities by hand."""

from collections import Counter
from collections.abc import Callable
from itertools import permutations

import numpy as np
import pytest

from models.ranker.ranker import log_odds
from models.slate.exploration import (
    Slate,
    drawn_propensities,
    mixture_propensities,
    plackett_luce,
    plackett_luce_propensities,
    seed_from,
    uniforms,
    with_new_sales,
)

N_DRAWS = 4_000

CHI_SQUARE = {1: 10.83, 5: 20.52, 23: 49.73}
"""Quantiles at 99.9%, by degrees of freedom, from a table."""


def require_frequencies(
    draw: Callable[[int], Slate], expected: dict[tuple[int, ...], float]
) -> None:
    """Compare how often each slate comes with its probability, by Pearson's chi-square.

    What every draw says of its own slate must be that same probability.
    """
    seen = Counter[tuple[int, ...]]()
    for number in range(N_DRAWS):
        slate = draw(seed_from(f"answer {number}"))
        picks = tuple(slate.picks.tolist())
        seen[picks] += 1
        assert abs(float(np.prod(slate.propensities)) - expected[picks]) < 1e-12
    assert sum(expected.values()) == pytest.approx(1.0, abs=1e-12)
    statistic = sum(
        (seen[slate] - N_DRAWS * p) ** 2 / (N_DRAWS * p) for slate, p in expected.items()
    )
    assert statistic < CHI_SQUARE[len(expected) - 1]


def test_seeds_and_numbers_are_pinned() -> None:
    """Others would make old answers impossible to replay. The first is `b2sum`'s."""
    assert seed_from("answer 1") == 66040106450243898484391634086538898326
    assert uniforms(1, 3).tolist() == [0.5118216247002568, 0.9504636963259353, 0.14415961271963373]
    assert uniforms(1, 5)[:3].tolist() == uniforms(1, 3).tolist()


def test_plackett_luce_slates_come_as_often_as_their_propensities_say() -> None:
    """Odds of 6, 3, 2 and 1: all 24 ordered triples, by the formula of the model."""
    odds = np.array([6.0, 3.0, 2.0, 1.0])
    expected = {
        (a, b, c): odds[a] / 12 * odds[b] / (12 - odds[a]) * odds[c] / (12 - odds[a] - odds[b])
        for a, b, c in permutations(range(4), 3)
    }

    require_frequencies(
        lambda seed: plackett_luce(np.arange(4), np.log(odds), limit=3, share=1.0, seed=seed),
        expected,
    )


@pytest.mark.parametrize("share", [0.02, 0.3])
def test_a_share_of_slates_is_drawn_and_all_know_the_mixture(share: float) -> None:
    """The head is the certain slate, and may be drawn too."""
    odds, total = np.array([6.0, 3.0, 1.0]), 10.0
    drawn = {
        (a, b): odds[a] / total * odds[b] / (total - odds[a]) for a, b in permutations(range(3), 2)
    }
    expected = {slate: share * p + (1 - share) * (slate == (0, 1)) for slate, p in drawn.items()}

    require_frequencies(
        lambda seed: plackett_luce(np.arange(3), np.log(odds), limit=2, share=share, seed=seed),
        expected,
    )


def test_propensities_of_a_mixture_by_hand() -> None:
    """A tenth is drawn: 0.1 * 0.5 + 0.9; of those, 0.05 / 0.95 are drawn; below, all are."""
    drawn, is_head = np.array([0.5, 0.2, 0.25]), np.array([True, False, True])

    found = mixture_propensities(drawn, is_head, share=0.1)

    assert found == pytest.approx([0.95, 0.05 / 0.95 * 0.2, 0.25], rel=1e-14)


def test_the_drawn_part_is_found_again_in_the_mixture() -> None:
    drawn, is_head = np.array([0.5, 0.2, 0.25]), np.array([True, True, False])
    mixed = mixture_propensities(drawn, is_head, share=0.1)

    assert drawn_propensities(mixed, 0.1) == pytest.approx(drawn, rel=1e-12)


@pytest.mark.parametrize("share", [0.0, 0.5, 1.0])
def test_a_part_that_could_be_the_other_one_is_not_taken_out(share: float) -> None:
    with pytest.raises(ValueError, match=r"only shares between 0 and 0\.5"):
        drawn_propensities(np.ones(2), share)


def test_slates_that_are_hardly_possible_keep_their_propensities() -> None:
    """The probability of the whole slate, 10^-600, is no float."""
    drawn, is_head = np.full(60, 1e-10), np.zeros(60, dtype=np.bool_)

    found = mixture_propensities(drawn, is_head, share=0.5)

    assert found == pytest.approx([0.5e-10, *[1e-10] * 59], rel=1e-14)


def test_the_cost_is_what_looks_at_other_sales_lose() -> None:
    """(0.3 - 0.1) at the first place and (0.2 - 0.3) at the second, looked at half as often."""
    slate = Slate(np.array([2, 0]), np.array([0.1, 0.5]), unexplored=np.array([0, 1]))

    cost = slate.cost(np.array([0.3, 0.2, 0.1]), np.array([1.0, 0.5]))

    assert slate.is_explored
    assert cost == pytest.approx(0.2 - 0.05)
    assert not Slate.certain(np.array([2, 0])).is_explored


def test_equal_sales_are_equally_likely() -> None:
    propensities = plackett_luce_propensities(np.zeros(4), np.array([2, 0, 3, 1]))

    assert propensities == pytest.approx([1 / 4, 1 / 3, 1 / 2, 1])


def test_each_place_is_certain_to_be_filled() -> None:
    """At every rank, the propensities of all that could stand there sum to 1."""
    utilities = np.array([2.0, -1.0, 0.5, 0.0, 3.0])
    above = [4, 1]

    for rank in range(3):
        free = [one for one in range(5) if one not in above[:rank]]
        sums = sum(
            plackett_luce_propensities(utilities, np.array([*above[:rank], one]))[-1]
            for one in free
        )
        assert sums == pytest.approx(1.0, abs=1e-14)


def test_propensities_stay_exact_where_odds_are_far_apart() -> None:
    """After the first, whose odds are e^700 times higher, the other two are as 3 to 1."""
    utilities = np.array([700.0, np.log(3.0), 0.0])

    propensities = plackett_luce_propensities(utilities, np.array([0, 1, 2]))

    assert propensities == pytest.approx([1.0, 0.75, 1.0], rel=1e-12)


def test_without_any_temperature_to_speak_of_the_ranking_is_certain() -> None:
    utilities = np.array([0.3, 0.2, 0.1]) / 1e-4

    slate = plackett_luce(np.array([7, 5, 6]), utilities, limit=9, share=1.0, seed=1)

    assert slate.picks.tolist() == [7, 5, 6]
    assert slate.propensities.tolist() == [1.0, 1.0, 1.0]


def test_new_sales_enter_as_often_as_their_propensities_say() -> None:
    """New are 1, 4, 5 and 6; 1 stands above the slots, so that three compete for two places."""
    is_new = np.array([False, True, False, False, True, True, True])

    require_frequencies(
        lambda seed: with_new_sales(
            np.arange(4), is_new, slots=2, limit=4, drawn=uniforms(seed, 2)
        ),
        {(0, 1, *pair): 1 / 6 for pair in permutations((4, 5, 6), 2)},
    )


def test_a_new_sale_that_the_ranking_puts_into_a_slot_competes_like_the_others() -> None:
    is_new = np.array([False, False, True, True])

    require_frequencies(
        lambda seed: with_new_sales(
            np.arange(3), is_new, slots=1, limit=3, drawn=uniforms(seed, 1)
        ),
        {(0, 1, 2): 1 / 2, (0, 1, 3): 1 / 2},
    )


@pytest.mark.parametrize(
    ("new", "slots", "picks", "propensities"),
    [
        ([], 2, [0, 1, 2, 3], [1, 1, 1, 1]),
        ([0, 1], 2, [0, 1, 2, 3], [1, 1, 1, 1]),
        ([2], 2, [0, 1, 3, 2], [1, 1, 1, 1]),
        ([5], 3, [0, 1, 2, 5], [1, 1, 1, 1]),
        ([5], 9, [0, 1, 2, 5], [1, 1, 1, 1]),
    ],
)
def test_too_few_new_sales_leave_their_slots_to_the_ranking(
    new: list[int], slots: int, picks: list[int], propensities: list[float]
) -> None:
    is_new = np.isin(np.arange(6), new)

    slate = with_new_sales(np.arange(6)[:4], is_new, slots=slots, limit=4, drawn=uniforms(3, slots))

    assert (slate.picks.tolist(), slate.propensities.tolist()) == (picks, propensities)


def test_fewer_candidates_than_places_are_all_shown() -> None:
    is_new = np.array([True, True])

    slate = with_new_sales(np.array([1, 0]), is_new, slots=1, limit=10, drawn=uniforms(3, 1))

    assert slate.picks.tolist() == [1, 0]
    assert slate.propensities.tolist() == [1.0, 1.0]


def test_log_odds_of_certainties_are_finite() -> None:
    assert log_odds(np.array([0.0, 0.5, 1.0])) == pytest.approx([-27.631021, 0.0, 27.631021])
