"""Calibration figures recognise what is calibrated, and what is not."""

import numpy as np
import pytest

from training.statistics.reliability import Predictions, reliability

N = 20_000


def figures(
    probabilities: np.ndarray, targets: np.ndarray, customers: np.ndarray | None = None
) -> dict[str, tuple[float, float, float]]:
    known = np.arange(len(targets)) if customers is None else customers
    found = reliability(Predictions(probabilities, targets, known), seed=0).figures
    return {name: (one.low, one.value, one.high) for name, one in found.items()}


def sigmoid(x: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-x))


def test_true_probabilities_have_slope_1_and_intercept_0(rng: np.random.Generator) -> None:
    truth = rng.beta(1, 30, size=N)
    bought = (rng.random(N) < truth).astype(np.float64)

    found = figures(truth, bought)

    assert found["slope"][0] < 1 < found["slope"][2]
    assert found["intercept"][0] < 0 < found["intercept"][2]
    assert found["base_rate"][0] < 1 / 31 < found["base_rate"][2]
    assert found["calibration_error_share"][1] == pytest.approx(
        found["calibration_error"][1] / found["base_rate"][1]
    )


def test_against_the_truth_itself_there_is_no_noise(rng: np.random.Generator) -> None:
    """Log-odds 0.8 times as far apart and moved by 0.3: that is slope and intercept."""
    log_odds = rng.normal(-3, 1, size=2_000)

    found = figures(sigmoid(log_odds), sigmoid(0.8 * log_odds + 0.3))

    assert found["slope"] == pytest.approx((0.8, 0.8, 0.8))
    assert found["intercept"] == pytest.approx((0.3, 0.3, 0.3))


def test_twice_too_high_is_an_error_of_the_whole_base_rate() -> None:
    found = figures(np.tile([0.1, 0.4], 500), np.tile([0.05, 0.2], 500))

    assert found["calibration_error_share"][1] == pytest.approx(1.0)
    assert found["predicted_over_observed"] == pytest.approx((2.0, 2.0, 2.0))


def test_a_tenth_of_the_predictions_is_a_point_of_the_plot() -> None:
    rates = np.repeat(np.arange(10) / 20, 100)

    bins = reliability(Predictions(rates, rates / 2, np.arange(1_000)), seed=0).bins

    assert [one.predicted for one in bins] == pytest.approx(np.arange(10) / 20)
    assert [one.observed for one in bins] == pytest.approx(np.arange(10) / 40)


def test_repeating_customers_do_not_narrow_an_interval(rng: np.random.Generator) -> None:
    p = rng.uniform(0.05, 0.5, size=500)
    bought = (rng.random(500) < p).astype(np.float64)

    once = figures(p, bought)
    tenfold = figures(np.tile(p, 10), np.tile(bought, 10), np.tile(np.arange(500), 10))

    assert tenfold["auc"] == pytest.approx(once["auc"], abs=1e-9)


def test_where_nothing_was_bought_there_is_no_slope() -> None:
    found = figures(np.array([0.1, 0.2]), np.zeros(2))

    assert "slope" not in found
    assert "auc" not in found
    assert found["base_rate"] == (0, 0, 0)
