"""Scorers are compared slate by slate, and only what is beyond chance counts as better."""

import numpy as np
import pytest

from models.experiments.analysis.multiple_tests import holm
from tests.judged import slate
from training.evaluation.comparison import Board
from training.evaluation.measure import PURCHASES
from training.statistics.bootstrap import resample
from training.statistics.difference import Verdict

N = 400


def board(**columns: np.ndarray) -> Board:
    """A slate a customer, with the metric ``gain`` of each scorer."""
    rows = zip(*columns.values(), strict=True)
    slates = [
        slate(customer, {name: {"gain": float(x)} for name, x in zip(columns, row, strict=True)})
        for customer, row in enumerate(rows)
    ]
    return Board(slates, seed=0)


def test_a_small_steady_gain_is_better_although_the_means_overlap(
    rng: np.random.Generator,
) -> None:
    """Slates differ by 1, scorers by 0.02: only the pairing shows it."""
    meta = rng.normal(0, 1, size=N)
    compared = board(meta=meta, steady=meta + 0.02, other=rng.permutation(meta))

    means, differences = compared.means(), compared.differences("meta")

    assert means["steady"]["gain"].low < means["meta"]["gain"].value
    assert differences["steady"]["gain"].verdict == Verdict.BETTER
    assert differences["steady"]["gain"].interval.value == pytest.approx(0.02)
    assert differences["other"]["gain"].verdict == Verdict.OPEN
    assert "meta" not in differences


def test_what_is_worse_is_called_worse() -> None:
    ranks = np.linspace(0, 1, N)

    differences = board(meta=ranks, worse=ranks - 0.1).differences("meta")

    assert differences["worse"]["gain"].verdict == Verdict.WORSE


def test_a_sure_difference_is_a_verdict_beside_as_many_scorers_as_there_are() -> None:
    """12 recommenders, 3 policies, `logistic`, 7 baselines, 3 other orders and 2 oracles."""
    ranks = np.linspace(0, 1, N)
    others = {f"scorer{n}": ranks - 0.1 for n in range(28)}

    differences = board(meta=ranks, **others).differences("meta")

    assert {one["gain"].verdict for one in differences.values()} == {Verdict.WORSE}


def test_of_equal_scorers_one_in_twenty_families_at_most_has_a_winner(
    rng: np.random.Generator,
) -> None:
    """Eight scorers of noise, compared with a ninth; each alone would win 1 time in 40."""
    n_families, winners = 100, 0
    for _ in range(n_families):
        noise = {f"r{index}": rng.normal(size=60) for index in range(8)}
        found = board(meta=np.zeros(60), **noise).differences("meta")
        winners += any(one["gain"].verdict != Verdict.OPEN for one in found.values())

    # Five expected, standard error 2.2; percentile intervals of 60 are a little too short.
    assert winners <= 14


def test_holm_is_that_of_the_literature() -> None:
    """Holm 1979: of 0.01, 0.02, 0.03 the smallest counts threefold, the next twofold."""
    adjusted = holm(np.array([0.03, 0.01, np.nan, 0.02, 0.9]))

    np.testing.assert_allclose(adjusted, [0.06, 0.04, np.nan, 0.06, 0.9])


def test_the_p_value_of_a_mean_is_small_only_away_from_zero(rng: np.random.Generator) -> None:
    noise = rng.normal(size=(N, 1))

    moved = resample(np.hstack([noise - noise.mean(), noise + 1]), np.arange(N), seed=1)

    near, far = moved.p_values()
    assert near > 0.5
    assert far < 0.005


def test_below_two_customers_there_is_no_p_value() -> None:
    """The second column has values of the first customer alone."""
    values = np.array([[1.0, 1.0], [1.0, 1.0], [1.0, np.nan]])

    both, one = resample(values, np.array([0, 0, 1]), seed=0).p_values()

    # Two customers agree by chance in half of the cases.
    assert both == 0.5
    assert np.isnan(one)


def test_the_share_of_the_lift_is_a_ratio_of_means() -> None:
    """Popularity gains 1 and 3, the oracle 3 and 9, the scorer 2 and 4: (1 + 1) / (2 + 6)."""
    gained = {"popularity": (1.0, 3.0), "knowable": (3.0, 9.0), "meta": (2.0, 4.0)}
    slates = [
        slate(customer, {name: {PURCHASES: both[customer]} for name, both in gained.items()})
        for customer in range(2)
    ]

    shares = Board(slates, seed=0).lift_shares("popularity")

    found = {name: row[PURCHASES].value for name, row in shares.items()}
    assert found == {"popularity": 0.0, "knowable": 1.0, "meta": 0.25}


def test_without_a_truth_there_is_no_share() -> None:
    assert board(popularity=np.ones(3), meta=np.ones(3)).lift_shares("popularity") == {}


DAY_US = 86_400_000_000


def test_segments_are_judged_apart() -> None:
    slates = [
        slate(1, {"meta": {"mrr": 0.2}}, market="fr", n_events=0, age_us=DAY_US - 1),
        slate(2, {"meta": {"mrr": 0.4}}, market="uk", n_events=9, age_us=DAY_US),
        slate(3, {"meta": {"mrr": 0.6}}, market="fr", n_events=10),
    ]

    segments = Board(slates, seed=0).segments()

    assert {name: found["meta"]["mrr"].value for name, found in segments.items()} == {
        "bought: new sale": 0.2,
        "bought: older sale": 0.4,
        "customers: cold": 0.2,
        "customers: hot": 0.6,
        "customers: warm": 0.4,
        "market: fr": pytest.approx(0.4),
        "market: uk": 0.4,
    }
    assert segments["market: fr"]["meta"]["mrr"].n == 2
