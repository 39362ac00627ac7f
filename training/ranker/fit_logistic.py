"""Fits logistic regressions: what the trees start from, and what the meta-model must beat."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from models.ranker.logistic import LogisticRanker, Scale, transformed
from models.ranker.ranker import TrainingRows, seen_shares, sigmoid

MAX_ROWS: Final = 100_000
"""Examples without a purchase that it is fitted on at most: a hundred weights need no more."""

_SKEWED: Final = 2.0
_MAX_STEPS: Final = 50
_CLOSE: Final = 1e-6
_LONGEST_STEP: Final = 2.0


def fit_logistic(
    rows: TrainingRows,
    *,
    seed: int,
    looks: NDArray[np.float64] | None = None,
    ridge: float = 1.0,
    blind: Sequence[int] = (),
) -> LogisticRanker:
    """Fit P(success) by maximum likelihood with a ridge penalty.

    Of more than `MAX_ROWS` examples all successes stay, and a sample of the others, which
    weigh as many as they stand for.

    Args:
        rows: Examples, both labels among them.
        seed: Draws the sample.
        looks: P(looked at) of each example: what is fitted is P(success | looked at), shape
            ``(n,)``; all were if not given.
        ridge: Precision of the prior that a weight is 0, positive.
        blind: Features that have no weight.
    """
    chosen, weights = _sample(rows, np.random.default_rng(seed))
    matrix = rows.matrix[chosen]
    known = np.ones(len(rows.labels)) if looks is None else looks
    scale = _scale(matrix)
    examples = _Examples(
        design=_design(matrix, scale, blind=blind),
        labels=rows.labels[chosen],
        weights=weights,
        looks=known[chosen],
    )
    penalty = np.append(np.full(examples.design.shape[1] - 1, ridge), _CLOSE)
    return _regression(scale, _newton(examples, penalty))


def fit_leaning(
    rows: TrainingRows, first: LogisticRanker, *, ridge: float, blind: Sequence[int] = ()
) -> LogisticRanker:
    """Fit P(success) where examples are few, near a multiple of another regression.

    What makes a sale opened makes it bought as well, only less so: the multiple of the first
    regression's log-odds is free, and what is left of each weight is penalised.

    Args:
        rows: Examples, both labels among them.
        first: The other regression, over the same features.
        ridge: Precision of the prior that what is left is 0, positive.
        blind: Features that have no weight, here nor there.
    """
    design = _design(rows.matrix, first.scale, blind=blind)
    told = np.concatenate([first.weights, first.unknown_weights, [0.0]])
    leaning = design @ told
    centre = float(np.average(leaning, weights=rows.weights))
    examples = _Examples(
        design=np.concatenate([(leaning - centre)[:, None], design], axis=1),
        labels=rows.labels,
        weights=rows.weights,
        looks=np.ones(len(leaning)),
    )
    penalty = np.concatenate([[1.0], np.full(design.shape[1] - 1, ridge), [_CLOSE]])
    multiple, *own = _newton(examples, penalty)
    found = np.array(own) + multiple * told
    found[-1] -= multiple * centre
    return _regression(first.scale, found)


@dataclass(frozen=True, eq=False)
class _Examples:
    """Rows of a regression; the last column of the design is 1."""

    design: NDArray[np.float64]
    labels: NDArray[np.float64]
    weights: NDArray[np.float64]
    looks: NDArray[np.float64]


def _scale(matrix: NDArray[np.float32]) -> Scale:
    logarithmic = _skewed(matrix)
    values = transformed(matrix, logarithmic)
    known = ~np.isnan(values)
    n_known = np.maximum(known.sum(axis=0), 1)
    centres = np.where(known, values, 0.0).sum(axis=0) / n_known
    spread = np.sqrt(np.where(known, np.square(values - centres), 0.0).sum(axis=0) / n_known)
    return Scale(logarithmic, centres, np.where(spread > 0, spread, 1.0))


def _design(
    matrix: NDArray[np.float32], scale: Scale, *, blind: Sequence[int] = ()
) -> NDArray[np.float64]:
    features = scale.standardised(matrix)
    features.z[:, blind] = features.unknown[:, blind] = 0.0
    return np.concatenate([features.z, features.unknown, np.ones((len(matrix), 1))], axis=1)


def _regression(scale: Scale, found: NDArray[np.float64]) -> LogisticRanker:
    n_features = len(scale.centres)
    return LogisticRanker(
        scale=scale,
        weights=found[:n_features],
        unknown_weights=found[n_features:-1],
        intercept=float(found[-1]),
    )


def _newton(examples: _Examples, ridge: NDArray[np.float64]) -> NDArray[np.float64]:
    """Maximise the likelihood less half the sum of squared weights times their ridges.

    Each step takes who looked for known, as far as the last one tells: steps of expectation and
    maximisation, whose gradient is that of the likelihood itself.
    """
    design, weights, labels = examples.design, examples.weights, examples.labels
    found = np.zeros(design.shape[1])
    share = np.clip(np.average(labels, weights=weights), _CLOSE, 1 - _CLOSE)
    found[-1] = np.log(share / (1 - share))
    for _ in range(_MAX_STEPS):
        fitted = sigmoid(design @ found)
        seen = weights * seen_shares(fitted, looks=examples.looks, labels=labels)
        gradient = design.T @ (seen * (fitted - labels)) + ridge * found
        curvature = (design * (seen * fitted * (1 - fitted))[:, None]).T @ design
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


def _sample(
    rows: TrainingRows, rng: np.random.Generator
) -> tuple[NDArray[np.intp], NDArray[np.float64]]:
    """Return which examples to fit on, and their weights."""
    if len(rows.labels) <= MAX_ROWS:
        return np.arange(len(rows.labels)), rows.weights
    others = np.flatnonzero(rows.labels == 0)
    n_drawn = min(len(others), MAX_ROWS)
    drawn = rng.choice(others, size=n_drawn, replace=False)
    chosen = np.sort(np.concatenate([np.flatnonzero(rows.labels != 0), drawn]))
    weights = rows.weights[chosen]
    weights[rows.labels[chosen] == 0] *= len(others) / n_drawn
    return chosen, weights
