"""Fits the straight line over log-odds that makes scores probabilities."""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from models.ranker.ranker import Calibration, seen_shares, sigmoid

_STEPS: Final = 50
_TINY: Final = 1e-9
_MIN_SLOPE: Final = 0.05

SLOPE_PRIOR: Final = 400.0
"""Precision of the prior that the slope is 1, a standard deviation of 0.05.

Lines are penalised and trees are stopped, so that log-odds are hardly ever too wide or too narrow
by more; a thousand purchases tell a slope to 0.03 only.
"""


def fit_calibration(
    log_odds: NDArray[np.float64],
    looks: NDArray[np.float64],
    *,
    labels: NDArray[np.float64],
    weights: NDArray[np.float64],
) -> Calibration:
    """Fit slope and intercept of `Calibration.apply` by Newton's method.

    Maximises the weighted log likelihood plus a Gaussian prior of the slope around 1. The
    log-odds are centred, so that slope and intercept do not trade against each other.

    Args:
        log_odds: At position 1, shape ``(n,)``.
        looks: P(looked at) where each was shown, as a share of position 1, shape ``(n,)``.
        labels: 1 for a success, shape ``(n,)``.
        weights: Weight of each row, shape ``(n,)``.

    Returns:
        The line; slope 1 and intercept 0 if the labels are all the same.
    """
    if labels.min(initial=1.0) == labels.max(initial=0.0):
        return Calibration(slope=1.0, intercept=0.0)
    centre = float(np.average(log_odds, weights=weights))
    examples = _Examples(
        design=np.stack([log_odds - centre, np.ones_like(log_odds)], axis=1),
        looks=looks,
        labels=labels,
        weights=weights,
    )
    line = _newton(examples, start=np.array([1.0, centre]))
    slope = max(float(line[0]), _MIN_SLOPE)
    return Calibration(slope=slope, intercept=float(line[1]) - slope * centre)


def recentred(
    line: Calibration,
    log_odds: NDArray[np.float64],
    *,
    looks: NDArray[np.float64],
    labels: NDArray[np.float64],
    weights: NDArray[np.float64],
) -> Calibration:
    """Keep a slope, and fit the intercept with which as many successes are expected as there were.

    Arguments beyond the line are those of `fit_calibration`; labels may not be all the same.
    """
    intercept = line.intercept
    for _ in range(_STEPS):
        chances = sigmoid(np.clip(line.slope * log_odds + intercept, -500.0, 500.0))
        expected = weights * looks * chances
        step = float(weights @ labels - expected.sum()) / float((expected * (1 - chances)).sum())
        intercept += min(max(step, -1.0), 1.0)
        if abs(step) < _TINY:
            break
    return Calibration(line.slope, intercept)


@dataclass(frozen=True, eq=False)
class _Examples:
    design: NDArray[np.float64]
    looks: NDArray[np.float64]
    labels: NDArray[np.float64]
    weights: NDArray[np.float64]


def _newton(examples: _Examples, *, start: NDArray[np.float64]) -> NDArray[np.float64]:
    design, weights = examples.design, examples.weights
    line = start
    prior = np.diag([SLOPE_PRIOR, 0.0])
    for _ in range(_STEPS):
        fitted = sigmoid(np.clip(design @ line, -500.0, 500.0))
        seen = seen_shares(fitted, looks=examples.looks, labels=examples.labels)
        pull = prior @ (line - np.array([1.0, 0.0]))
        gradient = design.T @ (weights * seen * (fitted - examples.labels)) + pull
        curvature = (design * (weights * seen * fitted * (1 - fitted))[:, None]).T @ design + prior
        step = np.linalg.solve(curvature + _TINY * np.eye(2), gradient)
        # A full step can overshoot where the first guess is far off.
        line = line - np.clip(step, -1.0, 1.0)
        if np.abs(step).max() < _TINY:
            break
    return line
