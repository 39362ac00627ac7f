"""Guarantees of slates under every policy."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.catalogue.catalogue import build_catalogue
from models.domain.customer import Window
from models.domain.event import from_us
from models.domain.profile import Profile
from models.domain.units import HOUR_US
from models.pictures.topics import Topics
from models.query.query import Context, Query
from models.scoring.scorer import Scores
from models.slate.slate import best, make_slate
from models.slate.slate_policy import NewSaleSlots, PlackettLuce, SlatePolicy
from tests.shop import sale

NOW_US = 1_800_000_000_000_000
AGES_HOURS = [100, 50, 30, 23, 3, 1, 0]
DESTINATIONS = ["Alps", "Alps", "Rome", "Rome", None, None, "Crete"]

POLICIES = [
    SlatePolicy(),
    SlatePolicy(diversity=0.4),
    SlatePolicy(exploration=NewSaleSlots(slots=2)),
    SlatePolicy(exploration=NewSaleSlots(slots=10), diversity=0.4),
    SlatePolicy(exploration=PlackettLuce(temperature=0.5)),
    SlatePolicy(exploration=PlackettLuce(temperature=10), diversity=0.4),
    SlatePolicy(exploration=PlackettLuce(temperature=1.0, share=0.5)),
]


def question(n: int = len(AGES_HOURS)) -> Query:
    """Sales of several ages and destinations, of which the last ``n`` are candidates."""
    sales = [
        sale(
            f"s{number}",
            now_us=NOW_US,
            opens_at=from_us(NOW_US - hours * HOUR_US),
            destination=destination,
        )
        for number, (hours, destination) in enumerate(zip(AGES_HOURS, DESTINATIONS, strict=True))
    ]
    catalogue = build_catalogue(sales, {}, topics=Topics.none())
    rows = np.array([catalogue.row_for(f"s{number}") for number in range(len(sales))][-n:])
    context = Context(NOW_US)
    return Query(Window.empty(), Profile.empty(), catalogue, context, rows.astype(np.int64))


def scores(probabilities: list[float], order: list[float] | None = None) -> Scores:
    n = len(probabilities)
    nothing = np.full(n, np.nan)
    return Scores(
        order=np.array(order or probabilities),
        probabilities=np.array(probabilities),
        features=np.empty((n, 0), dtype=np.float32),
        prices=nothing,
        margins=nothing,
        sizes=nothing,
    )


@pytest.mark.parametrize("policy", POLICIES)
@given(
    st.lists(st.sampled_from([0.0, 0.1, 0.1, 0.4, 1.0]), min_size=0, max_size=7),
    st.integers(1, 12),
    st.integers(0, 2**128 - 1),
)
def test_every_slate_shows_each_candidate_once_at_most_and_leaves_no_place_empty(
    policy: SlatePolicy, probabilities: list[float], limit: int, seed: int
) -> None:
    n = len(probabilities)
    query = question(n) if n else question().select(np.empty(0, dtype=np.int64))

    slate = make_slate(query, scores(probabilities), policy=policy, limit=limit, seed=seed)

    picks = slate.picks.tolist()
    assert len(picks) == len(slate.propensities) == min(limit, n)
    assert len(set(picks)) == len(picks)
    assert all(0 <= pick < n for pick in picks)
    assert all(0 < p <= 1 for p in slate.propensities.tolist())


@pytest.mark.parametrize("policy", POLICIES)
def test_an_equal_seed_draws_an_equal_slate(policy: SlatePolicy) -> None:
    scored = scores([0.5, 0.4, 0.3, 0.2, 0.1, 0.1, 0.1])

    first, again = (
        make_slate(question(), scored, policy=policy, limit=5, seed=11) for _ in range(2)
    )

    assert first.picks.tolist() == again.picks.tolist()
    assert first.propensities.tolist() == again.propensities.tolist()


def test_without_exploration_every_sale_is_certain_of_its_rank() -> None:
    slate = make_slate(question(), scores([0.1] * 7), policy=SlatePolicy(), limit=3, seed=5)

    assert (slate.picks.tolist(), slate.propensities.tolist()) == ([0, 1, 2], [1.0, 1.0, 1.0])


def test_new_are_sales_that_opened_less_than_so_many_hours_ago() -> None:
    """Of 3 hours old and younger, the second and third last are 3 and 1; the last opens now."""
    policy = SlatePolicy(exploration=NewSaleSlots(slots=1, hours=3))
    scored = scores([0.7, 0.6, 0.5, 0.4, 0.3, 0.2, 0.1])

    entered = {
        make_slate(question(), scored, policy=policy, limit=3, seed=seed).picks.tolist()[-1]
        for seed in range(40)
    }

    assert entered == {5, 6}


def test_another_order_is_drawn_around_with_the_calibrated_odds() -> None:
    """Popularity puts the last first; the odds of the first place are those of the best."""
    scored = scores([0.5, 0.2, 0.1], order=[1.0, 2.0, 3.0])
    policy = SlatePolicy(order_by="popularity", exploration=PlackettLuce(temperature=1.0))
    odds = [1.0, 0.25, 1 / 9]

    slates = [
        make_slate(question(3), scored, policy=policy, limit=1, seed=seed) for seed in range(200)
    ]

    expected = {2: odds[0] / sum(odds), 1: odds[1] / sum(odds), 0: odds[2] / sum(odds)}
    for slate in slates:
        assert slate.propensities[0] == pytest.approx(expected[int(slate.picks[0])])


def test_diversity_decides_what_chance_plays_around() -> None:
    """Alps, Alps, Rome with hardly any temperature: the second Alps waits."""
    scored = scores([0.5, 0.4, 0.3, 0.0, 0.0, 0.0, 0.0])
    policy = SlatePolicy(diversity=0.5, exploration=PlackettLuce(temperature=1e-3))

    slate = make_slate(question(), scored, policy=policy, limit=3, seed=1)

    assert slate.picks.tolist() == [0, 2, 1]


@pytest.mark.parametrize(
    ("limit", "expected"), [(1, [1]), (3, [1, 0, 2]), (9, [1, 0, 2, 3]), (0, [])]
)
def test_equal_scores_keep_their_order(limit: int, expected: list[int]) -> None:
    assert best(np.array([0.5, 0.9, 0.5, 0.1]), limit).tolist() == expected


@given(st.lists(st.floats(0, 1)), st.integers(1, 20))
def test_the_best_repeat_nothing_and_leave_out_nothing_better(
    ordered: list[float], limit: int
) -> None:
    chosen: list[int] = best(np.array(ordered), limit).tolist()

    assert len(set(chosen)) == len(chosen) == min(limit, len(ordered))
    assert [ordered[index] for index in chosen] == sorted(ordered, reverse=True)[:limit]
