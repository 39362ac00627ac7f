"""Fits the calibration of the ranker: Platt scaling with a prior on the slope."""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from models.ranker.ranker import Calibration, sigmoid
from training.ranker.position_bias import examination_posterior, log_likelihood
from training.statistics.newton import newton

_TOLERANCE: Final = 1e-9  # of slope and intercept: far below any difference in a probability
_LONGEST_STEP: Final = 1.0  # in log-odds; full steps overshoot where few labels are positive

# Chosen: a slope of 0 or less would reverse the order of the scores.
MIN_SLOPE: Final = 0.05
"""Least slope; where it is reached, scores hardly tell what is bought."""

# Of deviations of 0.05, 0.1, 0.2, 0.3 and none, nearly the least worst error over slopes of 0.7 to
# 1.3 and 50 to 800 purchases. With 0.05, 206 fitted 0.88 where 0.70 was true (decision 0050).
SLOPE_PRIOR: Final = 11.0
"""Precision of the prior that the slope is 1: a standard deviation of 0.3."""

# A change of the rate by a fifth is believed by half with 25 recent purchases; chosen.
RATE_PRIOR: Final = 25.0
"""Precision of the prior that the recent rate is that of all: a standard deviation of 0.2."""


def fit_calibration(
    log_odds: NDArray[np.float64],
    p_examined: NDArray[np.float64],
    *,
    labels: NDArray[np.float64],
    weights: NDArray[np.float64],
) -> Calibration:
    """Fit slope and intercept of `Calibration.apply` by Newton's method.

    Maximises the weighted log likelihood plus a Gaussian prior of the slope around 1. The
    log-odds are centred, so that slope and intercept do not trade against each other.

    Args:
        log_odds: At position 1, shape ``(n,)``.
        p_examined: P(examined) where each was shown, relative to position 1, shape ``(n,)``.
        labels: 1 for a success, shape ``(n,)``.
        weights: Weight of each row, shape ``(n,)``.

    Returns:
        The line; slope 1 and intercept 0 if the labels are all the same, or if there are none.
    """
    if labels.min(initial=1.0) >= labels.max(initial=0.0):
        return Calibration(slope=1.0, intercept=0.0)
    centre = float(np.average(log_odds, weights=weights))
    design = np.stack([log_odds - centre, np.ones_like(log_odds)], axis=1)
    prior = np.diag([SLOPE_PRIOR, 0.0])

    def loss(line: NDArray[np.float64]) -> float:
        likelihood = log_likelihood(design @ line, p_examined=p_examined, labels=labels)
        return float(SLOPE_PRIOR * (line[0] - 1.0) ** 2 / 2 - weights @ likelihood)

    def step(line: NDArray[np.float64]) -> NDArray[np.float64]:
        fitted = sigmoid(np.clip(design @ line, -500.0, 500.0))
        posterior = examination_posterior(fitted, p_examined=p_examined, labels=labels)
        expected = weights * posterior
        pull = prior @ (line - np.array([1.0, 0.0]))
        gradient = design.T @ (expected * (fitted - labels)) + pull
        curvature = (design * (expected * fitted * (1 - fitted))[:, None]).T @ design + prior
        # The identity keeps the system regular where all labels are fitted exactly.
        return np.asarray(np.linalg.solve(curvature + _TOLERANCE * np.eye(2), gradient), np.float64)

    start = np.array([1.0, centre])
    line = newton(start, step, loss=loss, longest=_LONGEST_STEP, tolerance=_TOLERANCE)
    slope = max(float(line[0]), MIN_SLOPE)
    return Calibration(slope=slope, intercept=float(line[1]) - slope * centre)


def recentred(
    line: Calibration,
    log_odds: NDArray[np.float64],
    *,
    p_examined: NDArray[np.float64],
    labels: NDArray[np.float64],
    weights: NDArray[np.float64],
    precision: float = 0.0,
) -> Calibration:
    """Keep the slope; fit the intercept so that expected and observed successes are equal.

    Arguments beyond the line are those of `fit_calibration`. With a ``precision``, that of a prior
    around the intercept of the line, the numbers are equal as far as the labels outweigh it;
    without one labels may not be all the same.
    """

    def loss(intercept: NDArray[np.float64]) -> float:
        total = (weights * p_examined) @ np.logaddexp(0.0, line.slope * log_odds + intercept)
        moved = float(intercept[0]) - line.intercept
        return float(total - weights @ labels * moved + precision * moved**2 / 2)

    def step(intercept: NDArray[np.float64]) -> NDArray[np.float64]:
        chances = sigmoid(np.clip(line.slope * log_odds + intercept, -500.0, 500.0))
        expected = weights * p_examined * chances
        gradient = expected.sum() - weights @ labels + precision * (intercept - line.intercept)
        return gradient / ((expected * (1 - chances)).sum() + precision)

    start = np.array([line.intercept])
    [intercept] = newton(
        start, step, loss=loss, longest=_LONGEST_STEP, tolerance=_TOLERANCE
    ).tolist()
    return Calibration(line.slope, intercept)


def out_of_fold(
    log_odds: NDArray[np.float64],
    p_examined: NDArray[np.float64],
    *,
    labels: NDArray[np.float64],
    weights: NDArray[np.float64],
    customers: NDArray[np.int64],
) -> NDArray[np.float64]:
    """Return calibrated probabilities, each by the line of the other half of the customers.

    Args:
        log_odds: At position 1, shape ``(n,)``.
        p_examined: P(examined) where each was shown, relative to position 1, shape ``(n,)``.
        labels: 1 for a success, shape ``(n,)``.
        weights: Weight of each row, shape ``(n,)``.
        customers: Code of the customer of each, shape ``(n,)``.

    Returns:
        P(success) where each was shown, shape ``(n,)``.
    """
    # Numbers from 0: codes of customers with held-out slates may all be even.
    numbers = np.unique(customers, return_inverse=True)[1]
    probabilities = np.empty(len(labels))
    for half in (0, 1):
        own = numbers % 2 == half
        line = fit_calibration(
            log_odds[~own], p_examined[~own], labels=labels[~own], weights=weights[~own]
        )
        probabilities[own] = p_examined[own] * line.apply(log_odds[own])
    return probabilities
