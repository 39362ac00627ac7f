"""The meta-model: calibration, monotone columns, equal results, and its text form."""

import math
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from models.ranker.linear_offset import LinearOffset
from models.ranker.ranker import (
    Calibration,
    LightGbmRanker,
    TrainingRows,
    TreeConfig,
    fit_trees,
    seen_shares,
    sigmoid,
)
from tests.builders import flat_margin

NAMES = ("taste", "position")
FLAT = flat_margin(2)
SMALL = TreeConfig(max_trees=30, leaves=7, min_rows_per_leaf=10, learning_rate=0.2)


def visits(n: int, rng: np.random.Generator, *, effect: float = 0.0) -> TrainingRows:
    """Purchases that follow taste, and position with an effect on the log-odds."""
    matrix = np.column_stack([rng.normal(size=n), rng.integers(1, 11, size=n)])
    log_odds = matrix[:, 0] + effect * matrix[:, 1]
    labels = rng.random(n) < 1 / (1 + np.exp(-log_odds))
    return TrainingRows(matrix.astype(np.float32), labels.astype(np.float64), np.ones(n))


def fitted(rows: TrainingRows, *, decreasing: frozenset[str], seed: int = 1) -> LightGbmRanker:
    trees = fit_trees(
        rows, rows, names=NAMES, decreasing=decreasing, config=SMALL, seed=seed, margin=FLAT
    )
    return LightGbmRanker(trees, Calibration(1.0, 0.0), FLAT)


def test_slope_one_and_intercept_zero_change_nothing() -> None:
    log_odds = np.array([-14.0, -4.6, 0.0, 4.6])

    np.testing.assert_allclose(Calibration(1.0, 0.0).apply(log_odds), sigmoid(log_odds), rtol=1e-9)


def test_calibration_is_a_line_over_log_odds() -> None:
    """Four to one twice, less log 2, are eight to one."""
    calibrated = Calibration(2.0, -math.log(2)).apply(np.log([4.0]))

    assert calibrated.tolist() == pytest.approx([8 / 9])


def test_positions_multiply_calibrated_chances(rng: np.random.Generator) -> None:
    """Positions from the last known one on are as good as it."""
    margin = replace(FLAT, column=1, examined=np.array([1.0, 0.5, 0.2]))
    ranker = LightGbmRanker(
        fitted(visits(2_000, rng), decreasing=frozenset()).booster, Calibration(3.0, -1.0), margin
    )
    rows = np.column_stack([np.zeros(4), [1, 2, 3, 9]]).astype(np.float32)

    chances = ranker.probabilities(rows)

    assert (chances / chances[0]).tolist() == pytest.approx([1.0, 0.5, 0.2, 0.2])
    assert chances[0] == pytest.approx(sigmoid(3 * ranker.log_odds(rows[:1]) - 1)[0])


def test_what_was_passed_over_was_looked_at_less_often() -> None:
    """By hand: of half looked at and a fifth of these taken, 0.4 of 0.9 that were not taken."""
    shares = seen_shares(
        np.array([0.2, 0.2, 1.0]), looks=np.array([0.5, 0.5, 1.0]), labels=np.array([1.0, 0.0, 0.0])
    )

    assert shares.tolist() == pytest.approx([1.0, 4 / 9, 1.0])


def test_trees_do_not_look_at_the_position(rng: np.random.Generator) -> None:
    """What positions do is the margin's, however much they would explain."""
    ranker = fitted(visits(2_000, rng, effect=-0.5), decreasing=frozenset())
    rows = np.column_stack([np.zeros(9), np.arange(1, 10)]).astype(np.float32)

    assert np.ptp(ranker.log_odds(rows)) == 0
    assert ranker.n_trees > 1


def test_trees_are_fitted_to_what_the_margin_leaves(rng: np.random.Generator) -> None:
    """Given the law itself, trees that may learn as they like add hardly anything."""
    rows = visits(4_000, rng)
    slope = replace(FLAT.regression, weights=np.array([1.0, 0.0]))
    law = replace(FLAT, regression=slope)

    def added(margin: LinearOffset) -> float:
        trees = fit_trees(
            rows, rows, names=NAMES, decreasing=frozenset(), config=SMALL, seed=0, margin=margin
        )
        alone = LightGbmRanker(trees, Calibration(1.0, 0.0), FLAT)
        return float(np.std(alone.log_odds(rows.matrix)))

    assert added(law) < 0.3 * added(FLAT)


def test_a_column_that_may_only_lower_does_so_even_where_data_say_otherwise(
    rng: np.random.Generator,
) -> None:
    rows = visits(2_000, rng)
    tastes = np.column_stack([np.linspace(-2, 2, 10), np.ones(10)]).astype(np.float32)

    free = fitted(rows, decreasing=frozenset()).probabilities(tastes)
    bound = fitted(rows, decreasing=frozenset({"taste"})).probabilities(tastes)

    assert np.any(np.diff(free) > 0)
    assert np.all(np.diff(bound) <= 0)


def test_a_taste_in_the_data_is_learned(rng: np.random.Generator) -> None:
    ranker = fitted(visits(2_000, rng), decreasing=frozenset())

    low, high = ranker.probabilities(np.array([[-2, 1], [2, 1]], dtype=np.float32))

    assert low < 0.3 < 0.7 < high


def test_one_seed_gives_the_same_trees_on_any_number_of_threads(rng: np.random.Generator) -> None:
    rows = visits(500, rng)
    models = [
        fit_trees(
            rows,
            rows,
            names=NAMES,
            decreasing=frozenset(),
            config=SMALL,
            seed=seed,
            margin=FLAT,
            n_threads=n_threads,
        ).model_to_string()
        for seed, n_threads in ((1, 1), (1, 1), (1, 2), (2, 1))
    ]

    trees = [model[: model.index("parameters:")] for model in models]
    assert trees[0] == trees[1] == trees[2]
    assert trees[0] != trees[3]


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
