"""The meta-model: calibration, monotone columns, equal results, and its text form."""

import math
from collections.abc import Callable

import numpy as np
import pytest

from models.ranker import (
    Calibration,
    LightGbmRanker,
    TrainingRows,
    TreeConfig,
    fit_trees,
    sigmoid,
    step_tree,
)

NAMES = ("taste", "position")
SMALL = TreeConfig(max_trees=30, leaves=7, min_rows_per_leaf=10, learning_rate=0.2)


def visits(n: int, rng: np.random.Generator, *, effect: float = 0.0) -> TrainingRows:
    """Purchases that follow taste, and position with an effect on the log-odds."""
    matrix = np.column_stack([rng.normal(size=n), rng.integers(1, 11, size=n)])
    log_odds = matrix[:, 0] + effect * matrix[:, 1]
    labels = rng.random(n) < 1 / (1 + np.exp(-log_odds))
    return TrainingRows(matrix.astype(np.float32), labels.astype(np.float64), np.ones(n))


def fitted(rows: TrainingRows, *, decreasing: frozenset[str], seed: int = 1) -> LightGbmRanker:
    trees = fit_trees(
        rows, rows, names=NAMES, decreasing=decreasing, config=SMALL, seed=seed, n_threads=1
    )
    return LightGbmRanker(trees, Calibration(1.0, 0.0))


def test_slope_one_and_intercept_zero_change_nothing() -> None:
    log_odds = np.array([-14.0, -4.6, 0.0, 4.6])

    np.testing.assert_allclose(
        Calibration(1.0, 0.0).apply(log_odds, log_odds - 1), sigmoid(log_odds), rtol=1e-9
    )


def test_calibration_is_a_line_over_log_odds_at_position_1() -> None:
    """Four to one twice, less log 2, are eight to one; a position that takes half leaves four."""
    first = np.log([4.0, 4.0])
    calibrated = Calibration(2.0, -math.log(2)).apply(first - [0.0, math.log(2)], first)

    assert calibrated.tolist() == pytest.approx([8 / 9, 4 / 5])


def test_positions_add_to_calibrated_log_odds_what_the_trees_say(rng: np.random.Generator) -> None:
    ranker = fitted(visits(2_000, rng, effect=-0.5), decreasing=frozenset())
    steep = LightGbmRanker(ranker.booster, Calibration(3.0, -1.0))
    rows = np.column_stack([np.zeros(2), [1, 7]]).astype(np.float32)

    (plain_first, plain), (first, seventh) = (
        np.log(p / (1 - p)) for p in (ranker.probabilities(rows), steep.probabilities(rows))
    )

    assert first == pytest.approx(3 * plain_first - 1)
    assert seventh - first == pytest.approx(plain - plain_first)
    assert plain < plain_first - 1


def test_what_position_does_is_taken_as_given(rng: np.random.Generator) -> None:
    """A given tree says the log-odds of every position, the last for all behind it."""
    rows = visits(2_000, rng)
    told = np.array([1.0, 0.5, 0.5, -1.0])
    tree = step_tree(rows, NAMES.index("position"), log_odds=told, names=NAMES)

    alone = LightGbmRanker(tree, Calibration(1.0, 0.0))
    more = fit_trees(
        rows, rows, names=NAMES, decreasing=frozenset(), config=SMALL, seed=0, first=tree
    )

    places = np.column_stack([np.zeros(6), np.arange(1, 7)]).astype(np.float32)
    np.testing.assert_allclose(alone.log_odds(places), [1, 0.5, 0.5, -1, -1, -1], atol=1e-6)
    assert alone.n_trees == 1
    assert LightGbmRanker(more, Calibration(1.0, 0.0)).n_trees > 1
    assert "Tree=0\nnum_leaves=3" in more.model_to_string()


def test_a_column_that_may_only_lower_does_so_even_where_data_say_otherwise(
    rng: np.random.Generator,
) -> None:
    rows = visits(2_000, rng, effect=0.5)
    positions = np.column_stack([np.zeros(10), np.arange(1, 11)]).astype(np.float32)

    free = fitted(rows, decreasing=frozenset()).probabilities(positions)
    bound = fitted(rows, decreasing=frozenset({"position"})).probabilities(positions)

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
    ranker = LightGbmRanker(fitted(rows, decreasing=frozenset()).booster, Calibration(0.9, -1 / 3))

    restored = LightGbmRanker.from_text(*ranker.to_text())

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
        LightGbmRanker.from_text(damage(model), calibration)


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
        LightGbmRanker.from_text(model, calibration)
