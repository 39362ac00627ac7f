"""Fits the logistic regression that the meta-model must beat."""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from models.logistic import LogisticRanker, standardised, transformed
from models.ranker import TrainingRows, sigmoid

MAX_ROWS: Final = 100_000
"""Examples without a purchase that it is fitted on at most: a hundred weights need no more."""

_SKEWED: Final = 2.0
_MAX_STEPS: Final = 50
_CLOSE: Final = 1e-6
_LONGEST_STEP: Final = 2.0


def fit_logistic(rows: TrainingRows, *, seed: int) -> LogisticRanker:
    """Fit P(buys) by maximum likelihood with a ridge penalty.

    Of more than `MAX_ROWS` examples all purchases stay, and a sample of the others, which
    weigh as many as they stand for.

    Args:
        rows: Examples, both labels among them.
        seed: Draws the sample.
    """
    rows = _sample(rows, np.random.default_rng(seed))
    logarithmic = _skewed(rows.matrix)
    values = transformed(rows.matrix, logarithmic)
    known = ~np.isnan(values)
    n_known = np.maximum(known.sum(axis=0), 1)
    centres = np.where(known, values, 0.0).sum(axis=0) / n_known
    spread = np.sqrt(np.where(known, np.square(values - centres), 0.0).sum(axis=0) / n_known)
    scales = np.where(spread > 0, spread, 1.0)
    del values, known
    z, unknown = standardised(rows.matrix, logarithmic=logarithmic, centres=centres, scales=scales)
    weights = _newton(
        np.concatenate([z, unknown, np.ones((len(z), 1))], axis=1), rows.labels, rows.weights
    )
    n_features = len(centres)
    return LogisticRanker(
        logarithmic=logarithmic,
        centres=centres,
        scales=scales,
        weights=weights[:n_features],
        unknown_weights=weights[n_features:-1],
        intercept=float(weights[-1]),
    )


def _newton(
    design: NDArray[np.float64], labels: NDArray[np.float64], weights: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Maximise the likelihood less half the squared length of all but the last weight."""
    ridge = np.append(np.ones(design.shape[1] - 1), _CLOSE)
    found = np.zeros(design.shape[1])
    share = float(np.average(labels, weights=weights))
    found[-1] = np.log(share / (1 - share))
    for _ in range(_MAX_STEPS):
        fitted = sigmoid(design @ found)
        gradient = design.T @ (weights * (fitted - labels)) + ridge * found
        curvature = (design * (weights * fitted * (1 - fitted))[:, None]).T @ design
        step = np.linalg.solve(curvature + np.diag(ridge), gradient)
        # Far from the end a full step can overshoot.
        step *= min(1.0, _LONGEST_STEP / max(float(np.abs(step).max()), _CLOSE))
        found = found - step
        if np.abs(step).max() < _CLOSE:
            break
    return found


def _skewed(matrix: NDArray[np.float32]) -> NDArray[np.float64]:
    """Return 1 for features whose third standardised moment is beyond ±2."""
    values = matrix.astype(np.float64)
    known = np.isfinite(values)
    n_known = np.maximum(known.sum(axis=0), 1)
    centred = np.where(known, values, 0.0)
    centred = np.where(known, centred - centred.sum(axis=0) / n_known, 0.0)
    spread = np.sqrt(np.square(centred).sum(axis=0) / n_known)
    third = (centred**3).sum(axis=0) / n_known
    skewness = np.divide(third, spread**3, out=np.zeros_like(third), where=spread > 0)
    return (np.abs(skewness) > _SKEWED).astype(np.float64)


def _sample(rows: TrainingRows, rng: np.random.Generator) -> TrainingRows:
    if len(rows.labels) <= MAX_ROWS:
        return rows
    others = np.flatnonzero(rows.labels == 0)
    n_drawn = min(len(others), MAX_ROWS)
    drawn = rng.choice(others, size=n_drawn, replace=False)
    chosen = np.sort(np.concatenate([np.flatnonzero(rows.labels != 0), drawn]))
    weights = rows.weights[chosen]
    weights[rows.labels[chosen] == 0] *= len(others) / n_drawn
    return TrainingRows(rows.matrix[chosen], rows.labels[chosen], weights)
