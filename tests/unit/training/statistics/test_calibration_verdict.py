"""Probabilities are called wrong only where their intervals exclude what is wanted."""

import numpy as np
import pytest

from models.ranker.ranker import sigmoid
from training.statistics.bootstrap import Interval
from training.statistics.calibration_verdict import (
    CalibrationVerdict,
    calibration_text,
    calibration_verdict,
)
from training.statistics.reliability import Predictions, reliability


def figures(
    slope: tuple[float, float, float],
    error: tuple[float, float, float] = (0.05, 0.04, 0.09),
    *,
    n_outcomes: int = 400,
) -> dict[str, Interval]:
    n = 100 * n_outcomes
    return {
        "base_rate": Interval(0.01, 0.009, 0.011, n),
        "slope": Interval(*slope, n),
        "calibration_error_share": Interval(*error, n),
        "predicted_over_observed": Interval(0.72, 0.61, 0.844, n),
    }


@pytest.mark.parametrize(
    ("slope", "error", "verdict"),
    [
        ((1.25, 1.06, 1.40), (0.30, 0.20, 0.40), "too_close"),
        ((0.80, 0.70, 0.94), (0.30, 0.20, 0.40), "too_far"),
        # Above 1, but not certainly above 1.05.
        ((1.20, 1.04, 1.40), (0.09, 0.08, 0.20), "too_few_to_tell"),
        # 2 * 0.30 - 0.40 = 0.20 is more than 0.10; 2 * 0.30 - 0.55 = 0.05 is not.
        ((1.00, 0.90, 1.10), (0.30, 0.20, 0.40), "off"),
        ((1.00, 0.90, 1.10), (0.30, 0.20, 0.55), "too_few_to_tell"),
        ((1.01, 0.97, 1.04), (0.06, 0.05, 0.10), "as_wanted"),
        ((1.01, 0.97, 1.04), (0.12, 0.10, 0.20), "too_few_to_tell"),
        # One customer: all resamples agree.
        ((1.50, 1.50, 1.50 + 1e-12), (0.30, 0.30, 0.30), "too_few_to_tell"),
    ],
)
def test_a_verdict_is_that_of_the_intervals(
    slope: tuple[float, float, float], error: tuple[float, float, float], verdict: str
) -> None:
    assert calibration_verdict(figures(slope, error)) == verdict


def test_of_few_outcomes_the_error_says_nothing() -> None:
    few = figures((1.0, 0.9, 1.1), (0.3, 0.2, 0.4), n_outcomes=60)

    assert calibration_verdict(few) is CalibrationVerdict.TOO_FEW
    assert calibration_verdict({}) is CalibrationVerdict.TOO_FEW


def test_the_sentence_says_what_it_means_and_what_to_do() -> None:
    wrong = calibration_text(figures((1.25, 1.06, 1.40)), outcomes="purchases")
    open_ = calibration_text(figures((1.2, 0.9, 1.5), n_outcomes=60), outcomes="purchases")

    assert wrong.startswith("Probabilities are too close to each other: high ones are too low")
    assert "slope 1.25 [1.06, 1.4], error 5% of the base rate" in wrong
    assert "0.72 [0.61, 0.84] predicted for each that happened" in wrong
    off = calibration_text(figures((1.0, 0.9, 1.1), (0.3, 0.2, 0.4)), outcomes="purchases")
    assert wrong.endswith("train on more data.")
    assert off.endswith("train again up to now, as their level follows the latest outcomes.")
    assert open_.startswith("60 purchases are too few to tell whether")
    assert "train on more data" not in open_


@pytest.mark.parametrize(("slope", "verdict"), [(1.0, "too_few_to_tell"), (1.6, "too_close")])
def test_simulated_probabilities_are_judged_by_their_slope(
    slope: float, verdict: str, rng: np.random.Generator
) -> None:
    """Of 600 outcomes or so; the true log-odds are the predicted ones times the slope."""
    predicted = rng.normal(-3.0, 1.0, size=8_000)
    happened = rng.random(8_000) < sigmoid(slope * (predicted + 3.0) - 3.0)
    found = reliability(
        Predictions(sigmoid(predicted), happened.astype(np.float64), np.arange(8_000) // 4), seed=0
    )

    assert calibration_verdict(found.figures) == verdict
