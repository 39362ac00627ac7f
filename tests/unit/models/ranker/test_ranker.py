"""The meta-model: calibration, monotone columns, equal results, and its text form."""

import math
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from models.ranker.position_effect import PositionEffect
from models.ranker.ranker import Calibration, LightGbmRanker, sigmoid
from tests.rankers import FLAT, NAMES, fitted, visits


def test_slope_one_and_intercept_zero_change_nothing() -> None:
    log_odds = np.array([-14.0, -4.6, 0.0, 4.6])

    np.testing.assert_allclose(Calibration(1.0, 0.0).apply(log_odds), sigmoid(log_odds), rtol=1e-9)


def test_calibration_is_a_line_over_log_odds() -> None:
    """Four to one twice, less log 2, are eight to one."""
    calibrated = Calibration(2.0, -math.log(2)).apply(np.log([4.0]))

    assert calibrated.tolist() == pytest.approx([8 / 9])


def test_positions_multiply_calibrated_chances(rng: np.random.Generator) -> None:
    """Positions from the last known one on are as good as it."""
    offset = replace(
        FLAT, columns=(1, 1), position_effect=PositionEffect.of_all(np.array([1.0, 0.5, 0.2]))
    )
    ranker = LightGbmRanker(
        fitted(visits(2_000, rng), decreasing=frozenset()).booster, Calibration(3.0, -1.0), offset
    )
    rows = np.column_stack([np.zeros(4), [1, 2, 3, 9]]).astype(np.float32)

    chances = ranker.probabilities(rows)

    assert (chances / chances[0]).tolist() == pytest.approx([1.0, 0.5, 0.2, 0.2])
    assert chances[0] == pytest.approx(sigmoid(3 * ranker.log_odds(rows[:1]) - 1)[0])


def test_no_rows_have_no_probabilities(rng: np.random.Generator) -> None:
    ranker = fitted(visits(200, rng), decreasing=frozenset())

    assert ranker.probabilities(np.empty((0, 2), dtype=np.float32)).shape == (0,)


def test_a_row_is_scored_the_same_alone_and_in_company(rng: np.random.Generator) -> None:
    rows = visits(300, rng)
    ranker = fitted(rows, decreasing=frozenset())

    alone = [ranker.probabilities(row[None])[0] for row in rows.matrix[:40]]

    assert alone == ranker.probabilities(rows.matrix)[:40].tolist()


def test_text_round_trips(rng: np.random.Generator) -> None:
    rows = visits(300, rng)
    ranker = replace(fitted(rows, decreasing=frozenset()), calibration=Calibration(0.9, -1 / 3))

    restored = LightGbmRanker.from_text(*ranker.to_text(), FLAT)

    assert restored.feature_names == NAMES
    assert restored.calibration == ranker.calibration
    expected = ranker.probabilities(rows.matrix)
    assert restored.probabilities(rows.matrix).tobytes() == expected.tobytes()


def cut(model: str) -> str:
    return model[: len(model) // 2]


def without_a_tree(model: str) -> str:
    first, second = model.index("Tree=1\n"), model.index("Tree=2\n")
    return model[:first] + model[second:]


def with_a_longer_number(model: str) -> str:
    return model.replace("leaf_value=", "leaf_value=0", 1)


def without_sizes(model: str) -> str:
    return model.replace("tree_sizes", "tree_count", 1)


def nothing(model: str) -> str:
    return model[:0]


@pytest.mark.parametrize(
    "damage", [nothing, cut, without_a_tree, with_a_longer_number, without_sizes]
)
def test_malformed_trees_are_refused(
    damage: Callable[[str], str], rng: np.random.Generator
) -> None:
    """LightGBM itself ends the process on some of these."""
    model, calibration = fitted(visits(200, rng), decreasing=frozenset()).to_text()

    with pytest.raises(ValueError, match="malformed ranker"):
        LightGbmRanker.from_text(damage(model), calibration, FLAT)


@pytest.mark.parametrize(
    "calibration",
    [
        "",
        "{",
        "[]",
        "{}",
        '{"slope": 1}',
        '{"slope": [], "intercept": 0}',
        '{"slope": "a", "intercept": 0}',
    ],
)
def test_a_malformed_calibration_is_refused(calibration: str, rng: np.random.Generator) -> None:
    model, _ = fitted(visits(200, rng), decreasing=frozenset()).to_text()

    with pytest.raises(ValueError, match=r".+"):
        LightGbmRanker.from_text(model, calibration, FLAT)
