"""Boosted trees: monotone features, the offset, the position, equal results on any machine."""

from dataclasses import replace

import numpy as np
import pytest

from models.ranker.linear_offset import LinearOffset
from models.ranker.ranker import Calibration, LightGbmRanker
from tests.rankers import FLAT, NAMES, SMALL, fitted, visits
from training.ranker.fit_trees import fit_trees
from training.ranker.position_bias import examination_posterior


def test_what_was_passed_over_was_looked_at_less_often() -> None:
    """By hand: of half looked at and a fifth of these taken, 0.4 of 0.9 that were not taken."""
    shares = examination_posterior(
        np.array([0.2, 0.2, 1.0]),
        p_examined=np.array([0.5, 0.5, 1.0]),
        labels=np.array([1.0, 0.0, 0.0]),
    )

    assert shares.tolist() == pytest.approx([1.0, 4 / 9, 1.0])


def test_trees_do_not_look_at_the_position(rng: np.random.Generator) -> None:
    """What positions do is the offset's, however much they would explain."""
    ranker = fitted(visits(2_000, rng, effect=-0.5), decreasing=frozenset())
    rows = np.column_stack([np.zeros(9), np.arange(1, 10)]).astype(np.float32)

    assert np.ptp(ranker.log_odds(rows)) == 0
    assert ranker.n_trees > 1


def test_trees_are_fitted_to_what_the_margin_leaves(rng: np.random.Generator) -> None:
    """Given the law itself, trees that may learn as they like add hardly anything."""
    rows = visits(4_000, rng)
    slope = replace(FLAT.regression, weights=np.array([1.0, 0.0]))
    law = replace(FLAT, regression=slope)

    def added(offset: LinearOffset) -> float:
        trees = fit_trees(
            rows, rows, names=NAMES, decreasing=frozenset(), config=SMALL, seed=0, offset=offset
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
            offset=FLAT,
            n_threads=n_threads,
        ).model_to_string()
        for seed, n_threads in ((1, 1), (1, 1), (1, 2), (2, 1))
    ]

    trees = [model[: model.index("parameters:")] for model in models]
    assert trees[0] == trees[1] == trees[2]
    assert trees[0] != trees[3]
