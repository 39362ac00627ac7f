"""Logistic regressions fitted on data whose law is known."""

from dataclasses import replace

import numpy as np
import pytest

from models.ranker.logistic import LogisticRanker, Scale
from training.ranker.fit_logistic import (
    MAX_ROWS,
    PreparedRegression,
    fit_logistic,
    fit_shrunk_towards,
)
from training.ranker.training_rows import TrainingRows

NAN = float("nan")


def test_a_known_law_is_found_again(rng: np.random.Generator) -> None:
    """Log-odds are -1 + 0.8 x, and +1 where the second value is unknown; the third is skewed."""
    n = 40_000
    matrix = np.column_stack(
        [rng.normal(size=n), np.where(rng.random(n) < 0.3, NAN, 5.0), rng.lognormal(0, 2, size=n)]
    ).astype(np.float32)
    law = -1 + 0.8 * matrix[:, 0] + np.isnan(matrix[:, 1])
    labels = (rng.random(n) < 1 / (1 + np.exp(-law))).astype(np.float64)

    fitted = fit_logistic(TrainingRows(matrix, labels, np.ones(n)), seed=1)

    assert fitted.scale.logarithmic.tolist() == [0.0, 0.0, 1.0]
    assert np.sqrt(np.square(fitted.log_odds(matrix) - law).mean()) < 0.05


def opened(rng: np.random.Generator, n: int, *, own: float) -> TrainingRows:
    """What was opened; whether it is bought goes half as far as opening, and on its own way."""
    matrix = rng.normal(size=(n, 4)).astype(np.float32)
    law = -1 + 0.5 * (1.2 * matrix[:, 0] - 0.8 * matrix[:, 1]) + own * matrix[:, 2]
    labels = (rng.random(n) < 1 / (1 + np.exp(-law))).astype(np.float64)
    return TrainingRows(matrix, labels, np.ones(n))


OPENING = LogisticRanker(
    scale=Scale(np.zeros(4), np.zeros(4), np.ones(4)),
    weights=np.array([1.2, -0.8, 0.0, 0.0]),
    unknown_weights=np.zeros(4),
    intercept=-3.0,
)


def test_few_examples_leave_hardly_more_than_a_multiple_of_the_other(
    rng: np.random.Generator,
) -> None:
    """Of 200 examples four free weights would have standard errors of 0.17 each."""
    rows = opened(rng, 200, own=0.0)

    leaning = fit_shrunk_towards(rows, OPENING, ridge=1e6, seed=0)
    free = fit_shrunk_towards(rows, OPENING, ridge=1e-3, seed=0)

    multiples = leaning.weights[:2] / OPENING.weights[:2]
    assert multiples == pytest.approx(multiples[0], abs=0.01)
    assert 0.2 < multiples[0] < 0.8
    assert np.abs(leaning.weights[2:]).max() < 0.001 < np.abs(free.weights[2:]).max()


def test_a_strong_prior_is_what_is_found_and_a_weak_one_is_not(rng: np.random.Generator) -> None:
    """A feature that is the same in all examples keeps its mean either way."""
    rows = opened(rng, 4_000, own=0.0)
    rows.matrix[:, 3] = 0
    prior = replace(OPENING, weights=np.array([1.2, -0.8, 0.5, 0.3]))

    strong = fit_logistic(rows, seed=0, ridge=1e9, prior=prior)
    weak = fit_logistic(rows, seed=0, ridge=1e-3, prior=prior)

    assert strong.weights.tolist() == pytest.approx([1.2, -0.8, 0.5, 0.3], abs=1e-4)
    assert weak.weights.tolist() == pytest.approx([0.6, -0.4, 0.0, 0.3], abs=0.15)
    assert strong.scale.equals(OPENING.scale)


def test_many_examples_find_what_the_other_does_not_know(rng: np.random.Generator) -> None:
    rows = opened(rng, 40_000, own=0.7)

    weights = fit_shrunk_towards(rows, OPENING, ridge=300.0, seed=0, excluded_features=[3]).weights

    assert weights.tolist() == pytest.approx([0.6, -0.4, 0.7, 0.0], abs=0.08)
    assert weights[3] == 0


def test_each_feature_may_have_a_ridge_of_its_own(rng: np.random.Generator) -> None:
    """A boundless penalty is a weight of 0, known or not, and leaves the others as they are."""
    matrix = rng.normal(size=(2_000, 2)).astype(np.float32)
    matrix[:500, 1] = NAN
    labels = (rng.random(2_000) < 1 / (1 + np.exp(-matrix[:, 0]))).astype(np.float64)
    rows = TrainingRows(matrix, labels, np.ones(2_000))

    fitted = fit_logistic(rows, seed=1, ridge=np.array([1.0, 1e12]))
    alone = fit_logistic(rows, seed=1, excluded_features=[1])

    np.testing.assert_allclose(fitted.weights, alone.weights, atol=1e-6)
    np.testing.assert_allclose(fitted.unknown_weights, 0, atol=1e-6)


def test_what_was_seldom_looked_at_is_not_taken_for_disliked(rng: np.random.Generator) -> None:
    """Half of the sales, those of a high first value, stand where one of four looks."""
    n = 60_000
    matrix = rng.normal(size=(n, 2)).astype(np.float32)
    p_examined = np.where(matrix[:, 0] > 0, 0.25, 1.0)
    law = -1 + 0.8 * matrix[:, 0]
    labels = (rng.random(n) < p_examined / (1 + np.exp(-law))).astype(np.float64)
    rows = TrainingRows(matrix, labels, np.ones(n))

    fitted = fit_logistic(rows, seed=1, p_examined=p_examined)
    deceived = fit_logistic(rows, seed=1)

    assert np.sqrt(np.square(fitted.log_odds(matrix) - law).mean()) < 0.06
    assert deceived.weights[0] < 0.3


def test_a_fit_that_starts_at_another_one_ends_where_one_from_nothing_does(
    rng: np.random.Generator,
) -> None:
    """To the tolerance of a weight; gradients of the loss, computed here, are zero there."""
    n = 4_000
    matrix = rng.normal(size=(n, 2)).astype(np.float32)
    p_examined = np.where(matrix[:, 1] > 0, 0.5, 1.0)
    labels = (rng.random(n) < p_examined / (1 + np.exp(1 - matrix[:, 0]))).astype(np.float64)
    prepared = PreparedRegression.from_rows(TrainingRows(matrix, labels, np.ones(n)), seed=1)

    cold = prepared.fit(p_examined)
    warm = prepared.fit(p_examined, start=prepared.fit())

    chances = 1 / (1 + np.exp(-cold.log_odds(matrix)))
    derivative = (labels - p_examined * chances) * (1 - chances) / (1 - p_examined * chances)
    derivative[labels > 0] = 1 - chances[labels > 0]
    z = cold.scale.standardised(matrix).z
    np.testing.assert_allclose(derivative @ z, cold.weights, atol=0.01)
    assert warm.intercept == pytest.approx(cold.intercept, abs=1e-5)
    np.testing.assert_allclose(warm.weights, cold.weights, atol=1e-5)


def test_examples_that_are_left_out_of_a_sample_are_stood_for() -> None:
    """Of either label more than are fitted on: the odds stay those of all, 300 to 150."""
    labels = np.repeat([1.0, 0.0], [3 * MAX_ROWS, 3 * MAX_ROWS // 2])
    rows = TrainingRows(np.zeros((len(labels), 1), dtype=np.float32), labels, np.ones(len(labels)))

    fitted = fit_logistic(rows, seed=1)

    assert fitted.intercept == pytest.approx(np.log(2.0))


@pytest.mark.parametrize("ridge", [1.0, 30.0, 300.0])
def test_rare_outcomes_are_fitted_to_the_end(rng: np.random.Generator, ridge: float) -> None:
    """Where half a percent succeed and a feature decides, full Newton steps overshoot.

    At the optimum the gradient of the penalised likelihood is 0, to a thousandth of an outcome.
    """
    n = 20_000
    matrix = rng.normal(size=(n, 30)).astype(np.float32)
    matrix[:, 0] = rng.random(n) < 0.01
    law = -6.5 + 6 * matrix[:, 0] + matrix[:, 1]
    labels = (rng.random(n) < 1 / (1 + np.exp(-law))).astype(np.float64)

    fitted = fit_logistic(TrainingRows(matrix, labels, np.ones(n)), seed=1, ridge=ridge)

    missed = 1 / (1 + np.exp(-fitted.log_odds(matrix))) - labels
    gradient = fitted.scale.standardised(matrix).z.T @ missed + ridge * fitted.weights
    assert np.abs(gradient).max() < 1e-3
