"""Calibration finds the line that made the data."""

import math

import numpy as np
import pytest
from numpy.typing import NDArray

from models.ranker.ranker import Calibration
from training.ranker.calibration import SLOPE_PRIOR, fit_calibration, out_of_fold, recentred


def simulated(
    rng: np.random.Generator, n: int, *, slope: float, intercept: float
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Log-odds, and labels drawn with a straight line over them."""
    log_odds = rng.normal(-2.0, 1.0, size=n)
    truth = 1 / (1 + np.exp(-(slope * log_odds + intercept)))
    return log_odds, (rng.random(n) < truth).astype(np.float64)


def fitted(
    log_odds: NDArray[np.float64],
    labels: NDArray[np.float64],
    weights: NDArray[np.float64] | None = None,
) -> Calibration:
    """Calibrate what was all shown at position 1."""
    ones = np.ones(len(labels))
    return fit_calibration(
        log_odds, ones, labels=labels, weights=ones if weights is None else weights
    )


@pytest.mark.parametrize(("slope", "intercept"), [(1.0, 0.0), (0.5, -1.0), (1.6, 2.0)])
def test_a_known_line_is_recovered(
    rng: np.random.Generator, *, slope: float, intercept: float
) -> None:
    """Within 5 standard errors: about 0.01 each for 200,000 rows, by Fisher's information."""
    scores, labels = simulated(rng, 200_000, slope=slope, intercept=intercept)

    line = fitted(scores, labels)

    assert line.slope == pytest.approx(slope, abs=0.05)
    assert line.intercept == pytest.approx(intercept, abs=0.1)


def test_the_line_is_that_of_what_was_looked_at(rng: np.random.Generator) -> None:
    """Tastes were shrunk to two thirds, and lower positions are looked at less often.

    A line over what was shown takes the position for dislike. Standard errors are as above.
    """
    n = 200_000
    log_odds, p_examined = rng.normal(-1.0, 1.0, size=n), rng.choice([1.0, 0.5, 0.2], size=n)
    truth = 1 / (1 + np.exp(-(1.5 * log_odds + 0.3)))
    labels = (rng.random(n) < p_examined * truth).astype(np.float64)

    line = fit_calibration(log_odds, p_examined, labels=labels, weights=np.ones(n))

    assert line.slope == pytest.approx(1.5, abs=0.05)
    assert line.intercept == pytest.approx(0.3, abs=0.1)
    assert fitted(log_odds, labels).slope < 1.4


def test_of_equal_scores_only_the_rate_is_learned() -> None:
    """Closed form: the calibrated probability is the weighted rate."""
    labels, weights = np.array([1.0, 0.0, 0.0]), np.array([1.0, 2.0, 3.0])

    score = np.full(3, math.log(0.7 / 0.3))
    line = fitted(score, labels, weights)

    assert line.slope == pytest.approx(1.0)
    assert line.intercept == pytest.approx(math.log(1 / 5) - math.log(0.7 / 0.3))
    assert line.apply(score)[0] == pytest.approx(1 / 6)


def test_the_mean_of_calibrated_scores_is_the_observed_rate(rng: np.random.Generator) -> None:
    """The score equation of the intercept, for any scores."""
    scores, labels = rng.uniform(-1.0, 2.0, size=1_000), (rng.random(1_000) < 0.03).astype(float)
    weights = rng.uniform(0.5, 2.0, size=1_000)

    calibrated = fitted(scores, labels, weights).apply(scores)

    assert np.average(calibrated, weights=weights) == pytest.approx(
        np.average(labels, weights=weights), rel=1e-6
    )


def test_weights_stand_for_repeated_rows(rng: np.random.Generator) -> None:
    scores, labels = simulated(rng, 500, slope=0.7, intercept=0.3)
    counts = rng.integers(1, 4, size=500)

    weighted = fitted(scores, labels, counts.astype(np.float64))
    repeated = fitted(np.repeat(scores, counts), np.repeat(labels, counts))

    assert weighted.slope == pytest.approx(repeated.slope)
    assert weighted.intercept == pytest.approx(repeated.intercept)


def test_with_few_purchases_the_slope_stays_near_one(rng: np.random.Generator) -> None:
    """The prior weighs as much as its precision: the information of few rows is far less."""
    scores, labels = simulated(rng, 30, slope=3.0, intercept=0.0)
    assert 0 < labels.sum() < SLOPE_PRIOR
    assert 30 * 0.25 * scores.var() < SLOPE_PRIOR

    assert 0.5 < fitted(scores, labels).slope < 2.0


def test_a_slope_is_kept_and_as_many_successes_are_expected_as_there_were(
    rng: np.random.Generator,
) -> None:
    """The line that was drawn from is found again by its slope; looks make a half of a chance."""
    n = 200_000
    log_odds, p_examined = rng.normal(-2.0, 1.0, size=n), rng.choice([1.0, 0.5], size=n)
    truth = 1 / (1 + np.exp(-(1.2 * log_odds - 0.7)))
    labels = (rng.random(n) < p_examined * truth).astype(np.float64)
    weights = rng.choice([1.0, 3.0], size=n)

    line = recentred(
        Calibration(1.2, 5.0), log_odds, p_examined=p_examined, labels=labels, weights=weights
    )

    assert line.slope == 1.2
    assert line.intercept == pytest.approx(-0.7, abs=0.05)
    expected = float((weights * p_examined * line.apply(log_odds)).sum())
    assert expected == pytest.approx(float(weights @ labels), rel=1e-6)


def test_the_recent_rate_is_believed_as_far_as_it_is_known() -> None:
    """Closed form where all scores are alike and rare: the logarithm of the rate's change.

    With a precision of 25 and ``n`` expected purchases that became ``2 n``, the change solves
    ``n e^x + 25 x = 2 n``: nearly log 2 for many, little for few.
    """
    line = Calibration(1.0, 0.0)
    for n_rows, n_bought in [(2_000_000, 400), (20_000, 4)]:
        log_odds, weights = np.full(2, math.log(1e-4)), np.array([n_rows - n_bought, n_bought])

        recent = recentred(
            line,
            log_odds,
            p_examined=np.ones(2),
            labels=np.array([0.0, 1.0]),
            weights=weights.astype(np.float64),
            precision=25.0,
        )

        n_expected = n_rows * 1e-4
        moved = recent.intercept
        assert n_expected * math.exp(moved) + 25 * moved == pytest.approx(n_bought, rel=1e-3)
        assert recent.slope == 1.0
    assert moved < 0.1


def test_each_half_of_the_customers_is_calibrated_by_the_other(rng: np.random.Generator) -> None:
    """Customers 2, 6, 10 and so on buy by other rules, which calibrate only 4, 8, 12 and so on."""
    scores, labels = simulated(rng, 40_000, slope=1.0, intercept=0.0)
    customers = 2 * (1 + np.arange(40_000) % 50)
    odd = customers // 2 % 2 == 1
    labels[odd] = (rng.random(int(odd.sum())) < 0.5).astype(np.float64)
    ones = np.ones(40_000)

    found = out_of_fold(scores, ones, labels=labels, weights=ones, customers=customers)

    np.testing.assert_allclose(found[~odd], fitted(scores[odd], labels[odd]).apply(scores[~odd]))
    np.testing.assert_allclose(found[odd], fitted(scores[~odd], labels[~odd]).apply(scores[odd]))


@pytest.mark.parametrize("label", [0.0, 1.0])
def test_labels_that_are_all_the_same_leave_scores_as_they_are(label: float) -> None:
    line = fitted(np.array([-1.0, 0.5]), np.full(2, label))

    assert line == Calibration(slope=1.0, intercept=0.0)


def test_scores_that_order_backwards_never_turn_the_order_round(rng: np.random.Generator) -> None:
    scores, labels = simulated(rng, 20_000, slope=-2.0, intercept=0.0)

    assert fitted(scores, labels).slope > 0


def test_certain_scores_give_a_finite_line() -> None:
    scores, labels = np.array([-40.0, 40.0, -40.0, 40.0]), np.array([0.0, 1.0, 1.0, 0.0])

    line = fitted(scores, labels)

    assert math.isfinite(line.slope)
    assert math.isfinite(line.intercept)


def test_without_labels_the_line_stays() -> None:
    assert fitted(np.empty(0), np.empty(0)) == Calibration(slope=1.0, intercept=0.0)
