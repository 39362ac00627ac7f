"""Expected values are computed by hand from the two rounds below."""

import numpy as np
import pytest
from numpy.typing import NDArray

from training.off_policy.estimator import (
    ESTIMATORS,
    clipped,
    independent_positions,
    logged_value,
)
from training.off_policy.rounds import Rounds

# Weights of whole slates are 0.75 and 1; down to the first position 0.5 and 1.
TWO_ROUNDS = Rounds(
    rewards=np.array([[1.0, 0.0], [0.0, 2.0]]),
    logging=np.array([[0.5, 0.5], [0.5, 0.25]]),
    target=np.array([[0.25, 0.75], [0.5, 0.25]]),
    predicted=np.array([[0.5, 0.25], [0.5, 1.0]]),
    expected=np.array([[0.4, 0.3], [0.4, 0.5]]),
    direct=np.array([[0.4, 0.6], [0.4, 0.6]]),
    units=np.array([1, 2]),
)


def single(rewards: list[float], weights: list[float]) -> tuple[Rounds, NDArray[np.float64]]:
    """Rounds of one position under a logging policy that draws one of four sales evenly."""
    n = len(rewards)
    none = np.zeros((n, 1))
    rounds = Rounds(
        rewards=np.array(rewards)[:, None],
        logging=np.full((n, 1), 0.25),
        target=np.array(weights)[:, None] * 0.25,
        predicted=none,
        expected=none,
        direct=none,
        units=np.arange(n),
    )
    return rounds, rounds.weights


def test_weights_are_products_from_the_first_position_down() -> None:
    np.testing.assert_allclose(TWO_ROUNDS.weights, [[0.5, 0.75], [1.0, 1.0]])


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("dm", 0.4 + 0.6),
        ("ips", (0.75 * 1 + 1 * 2) / 2),
        ("snips", (0.75 * 1 + 1 * 2) / (0.75 + 1)),
        ("dr", ((1 + 0.75 * (1 - 0.75)) + (1 + 1 * (2 - 1.5))) / 2),
        ("rips", 0.5 / 1.5 + 2 / 1.75),
        # Round 1: (0.4 + 0.6) + 0.5 (1 - 0.5 - 0.6), then 0.5 · 0.3 + 0.75 (0 - 0.25).
        # Round 2: (0.4 + 0.6) + 1 (0 - 0.5 - 0.6), then 1 · 0.5 + 1 (2 - 1).
        ("cascade-dr", ((0.95 - 0.0375) + (-0.1 + 1.5)) / 2),
    ],
)
def test_an_estimator_gives_what_its_formula_says(name: str, value: float) -> None:
    terms = ESTIMATORS[name](TWO_ROUNDS, TWO_ROUNDS.weights)

    assert terms.value == pytest.approx(value)


def test_the_logged_value_is_the_mean_reward_of_a_slate() -> None:
    assert logged_value(TWO_ROUNDS).value == pytest.approx(1.5)


def test_clipping_cuts_what_is_above_and_nothing_else() -> None:
    rounds, weights = single([1.0, 1.0, 0.0], [4.0, 0.5, 1.0])

    terms = ESTIMATORS["ips"](rounds, clipped(weights, 2.0))

    assert terms.value == pytest.approx((2.0 + 0.5) / 3)


def test_positions_on_their_own_are_averaged_evenly() -> None:
    """Position 1 gives 2 / 3, position 2 gives 1 / 2, however many rows each has."""
    rounds, weights = single([1.0, 0.0, 1.0, 0.0, 0.0], [2.0, 1.0, 1.0, 0.5, 0.5])

    terms = independent_positions(rounds, weights, positions=np.array([1, 1, 2, 2, 2]))

    assert terms.value == pytest.approx((2 / 3 + 1 / 2) / 2)


@pytest.mark.parametrize("name", [name for name in ESTIMATORS if name != "dm"])
def test_a_policy_valued_from_its_own_log_has_the_logged_value(name: str) -> None:
    own = Rounds(
        rewards=TWO_ROUNDS.rewards,
        logging=TWO_ROUNDS.logging,
        target=TWO_ROUNDS.logging,
        predicted=np.full((2, 2), 0.3),
        expected=np.full((2, 2), 0.3),
        direct=np.full((2, 2), 0.3),
        units=TWO_ROUNDS.units,
    )

    assert ESTIMATORS[name](own, own.weights).value == pytest.approx(1.5)


def test_judging_fewer_positions_forgets_what_followed() -> None:
    top = TWO_ROUNDS.top(1)

    assert logged_value(top).value == pytest.approx(0.5)
    assert ESTIMATORS["ips"](top, top.weights).value == pytest.approx(0.25)


@pytest.mark.parametrize("n_positions", [0, 3])
def test_positions_that_slates_lack_are_refused(n_positions: int) -> None:
    with pytest.raises(ValueError, match=f"slates have 2 positions, not {n_positions}"):
        TWO_ROUNDS.top(n_positions)


def rounds_with(**columns: NDArray[np.float64]) -> Rounds:
    """One round of two positions, some columns replaced."""
    half = np.full((1, 2), 0.5)
    names = ("rewards", "logging", "target", "predicted", "expected", "direct")
    return Rounds(**{name: columns.get(name, half) for name in names}, units=np.array([0]))


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"logging": np.array([[0.5, 0.0]])}, r"logging of round 0 at position 2 must be in \(0"),
        ({"target": np.array([[1.5, 0.0]])}, r"target of round 0 at position 1 must be in \[0"),
        ({"rewards": np.array([[0.0, np.nan]])}, "rewards of round 0 at position 2 must be finite"),
        ({"direct": np.zeros((1, 3))}, r"direct has shape \(1, 3\), rewards have \(1, 2\)"),
    ],
)
def test_impossible_rounds_are_refused(
    columns: dict[str, NDArray[np.float64]], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        rounds_with(**columns)
