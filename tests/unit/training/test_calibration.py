"""Calibration finds the line that made the data."""

import math

import numpy as np
import pytest
from numpy.typing import NDArray

from models.ranker import Calibration
from training.calibration import SLOPE_PRIOR, fit_calibration


def simulated(
    rng: np.random.Generator, n: int, *, slope: float, intercept: float
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Scores, and labels drawn with a straight line over their log-odds."""
    log_odds = rng.normal(-2.0, 1.0, size=n)
    truth = 1 / (1 + np.exp(-(slope * log_odds + intercept)))
    return 1 / (1 + np.exp(-log_odds)), (rng.random(n) < truth).astype(np.float64)


@pytest.mark.parametrize(("slope", "intercept"), [(1.0, 0.0), (0.5, -1.0), (1.6, 2.0)])
def test_a_known_line_is_recovered(
    rng: np.random.Generator, *, slope: float, intercept: float
) -> None:
    """Within 5 standard errors: about 0.01 each for 200,000 rows, by Fisher's information."""
    scores, labels = simulated(rng, 200_000, slope=slope, intercept=intercept)

    line = fit_calibration(scores, labels, weights=np.ones(len(scores)))

    assert line.slope == pytest.approx(slope, abs=0.05)
    assert line.intercept == pytest.approx(intercept, abs=0.1)


def test_of_equal_scores_only_the_rate_is_learned() -> None:
    """Closed form: the calibrated probability is the weighted rate."""
    labels, weights = np.array([1.0, 0.0, 0.0]), np.array([1.0, 2.0, 3.0])

    line = fit_calibration(np.full(3, 0.7), labels, weights=weights)

    assert line.slope == pytest.approx(1.0)
    assert line.intercept == pytest.approx(math.log(1 / 5) - math.log(0.7 / 0.3))
    assert line.apply(np.array([0.7]))[0] == pytest.approx(1 / 6)


def test_the_mean_of_calibrated_scores_is_the_observed_rate(rng: np.random.Generator) -> None:
    """The score equation of the intercept, whatever the scores are."""
    scores, labels = rng.uniform(0.3, 0.9, size=1_000), (rng.random(1_000) < 0.03).astype(float)
    weights = rng.uniform(0.5, 2.0, size=1_000)

    calibrated = fit_calibration(scores, labels, weights=weights).apply(scores)

    assert np.average(calibrated, weights=weights) == pytest.approx(
        np.average(labels, weights=weights), rel=1e-6
    )


def test_weights_stand_for_repeated_rows(rng: np.random.Generator) -> None:
    scores, labels = simulated(rng, 500, slope=0.7, intercept=0.3)
    counts = rng.integers(1, 4, size=500)

    weighted = fit_calibration(scores, labels, weights=counts.astype(np.float64))
    repeated = fit_calibration(
        np.repeat(scores, counts), np.repeat(labels, counts), weights=np.ones(int(counts.sum()))
    )

    assert weighted.slope == pytest.approx(repeated.slope)
    assert weighted.intercept == pytest.approx(repeated.intercept)


def test_with_few_purchases_the_slope_stays_near_one(rng: np.random.Generator) -> None:
    """The prior weighs as much as its precision: the information of few rows is far less."""
    scores, labels = simulated(rng, 60, slope=3.0, intercept=0.0)
    log_odds = np.log(scores / (1 - scores))
    assert 0 < labels.sum() < SLOPE_PRIOR
    assert 60 * 0.25 * log_odds.var() < SLOPE_PRIOR

    assert 0.5 < fit_calibration(scores, labels, weights=np.ones(60)).slope < 2.0


@pytest.mark.parametrize("label", [0.0, 1.0])
def test_labels_that_are_all_the_same_leave_scores_as_they_are(label: float) -> None:
    line = fit_calibration(np.array([0.2, 0.6]), np.full(2, label), weights=np.ones(2))

    assert line == Calibration(slope=1.0, intercept=0.0)


def test_scores_that_order_backwards_never_turn_the_order_round(rng: np.random.Generator) -> None:
    scores, labels = simulated(rng, 20_000, slope=-2.0, intercept=0.0)

    assert fit_calibration(scores, labels, weights=np.ones(len(scores))).slope > 0


def test_certain_scores_give_a_finite_line() -> None:
    scores, labels = np.array([0.0, 1.0, 0.0, 1.0]), np.array([0.0, 1.0, 1.0, 0.0])

    line = fit_calibration(scores, labels, weights=np.ones(4))

    assert math.isfinite(line.slope)
    assert math.isfinite(line.intercept)
