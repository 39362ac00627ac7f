"""Fits logistic regressions: the offset of the trees, and the baseline of the ranker."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from models.ranker.logistic import LogisticRanker, Scale, transformed
from models.ranker.ranker import sigmoid
from training.ranker.position_bias import examination_posterior
from training.ranker.training_rows import TrainingRows
from training.statistics.newton import newton

# About a hundred weights need no more: 300,000 brought 0.0003 expected purchases@10, which is not
# worth their memory (decision 0026).
MAX_ROWS: Final = 100_000
"""Maximum number of negatives."""

_SKEWED: Final = 2.0  # skewness of an exponential variable
_TOLERANCE: Final = 1e-6  # of weights: far below their own errors
_LONGEST_STEP: Final = 2.0  # in log-odds: few successes make full steps overshoot


def fit_logistic(
    rows: TrainingRows,
    *,
    seed: int,
    p_examined: NDArray[np.float64] | None = None,
    ridge: float = 1.0,
    excluded_features: Sequence[int] = (),
) -> LogisticRanker:
    """Fit P(success) by maximum likelihood with a ridge penalty.

    Of more than `MAX_ROWS` examples all successes are kept and a sample of the others, weighted
    by the inverse of its share.

    Args:
        rows: Examples, both labels among them.
        seed: Draws the sample.
        p_examined: P(examined) of each example, shape ``(n,)``, so that P(success | examined)
            is fitted; 1 if not given.
        ridge: Precision of the prior that a weight is 0, positive.
        excluded_features: Features whose weight is 0.
    """
    chosen, weights = _sample(rows, np.random.default_rng(seed))
    matrix = rows.matrix[chosen]
    known = np.ones(len(rows.labels)) if p_examined is None else p_examined
    scale = _scale(matrix)
    examples = _Examples(
        design=_design(matrix, scale, excluded_features=excluded_features),
        labels=rows.labels[chosen],
        weights=weights,
        p_examined=known[chosen],
    )
    # The intercept is free; its tolerance keeps the system regular.
    penalty = np.append(np.full(examples.design.shape[1] - 1, ridge), _TOLERANCE)
    return _regression(scale, _maximised(examples, penalty))


def fit_shrunk_towards(
    rows: TrainingRows,
    first: LogisticRanker,
    *,
    ridge: float,
    excluded_features: Sequence[int] = (),
) -> LogisticRanker:
    """Fit P(success) from few examples, shrunk towards a multiple of another regression.

    Sales that are opened more are bought more, too: the multiple of the first regression's
    log-odds is free, and each weight's deviation from it is penalised.

    Args:
        rows: Examples, both labels among them.
        first: The other regression, over the same features.
        ridge: Precision of the prior that a deviation is 0, positive.
        excluded_features: Features whose weight is 0 in both regressions.
    """
    design = _design(rows.matrix, first.scale, excluded_features=excluded_features)
    shared = np.concatenate([first.weights, first.unknown_weights, [0.0]])
    leaning = design @ shared
    centre = float(np.average(leaning, weights=rows.weights))
    examples = _Examples(
        design=np.concatenate([(leaning - centre)[:, None], design], axis=1),
        labels=rows.labels,
        weights=rows.weights,
        p_examined=np.ones(len(leaning)),
    )
    penalty = np.concatenate([[1.0], np.full(design.shape[1] - 1, ridge), [_TOLERANCE]])
    multiple, *own = _maximised(examples, penalty)
    found = np.array(own) + multiple * shared
    found[-1] -= multiple * centre
    return _regression(first.scale, found)


@dataclass(frozen=True, eq=False)
class _Examples:
    """Rows of a regression; the last column of the design is 1."""

    design: NDArray[np.float64]
    labels: NDArray[np.float64]
    weights: NDArray[np.float64]
    p_examined: NDArray[np.float64]


def _scale(matrix: NDArray[np.float32]) -> Scale:
    # Features whose third standardised moment is beyond ±2 are taken by their logarithm: a few
    # large counts would otherwise set the scale of all.
    values = matrix.astype(np.float64)
    known = np.isfinite(values)
    n_known = np.maximum(known.sum(axis=0), 1)
    centred = np.where(known, values, 0.0)
    centred = np.where(known, centred - centred.sum(axis=0) / n_known, 0.0)
    spread = np.sqrt(np.square(centred).sum(axis=0) / n_known)
    third = (centred**3).sum(axis=0) / n_known
    skewness = np.divide(third, spread**3, out=np.zeros_like(third), where=spread > 0)
    logarithmic = (np.abs(skewness) > _SKEWED).astype(np.float64)
    values = transformed(matrix, logarithmic)
    known = ~np.isnan(values)
    n_known = np.maximum(known.sum(axis=0), 1)
    centres = np.where(known, values, 0.0).sum(axis=0) / n_known
    spread = np.sqrt(np.where(known, np.square(values - centres), 0.0).sum(axis=0) / n_known)
    return Scale(logarithmic, centres, np.where(spread > 0, spread, 1.0))


def _design(
    matrix: NDArray[np.float32], scale: Scale, *, excluded_features: Sequence[int] = ()
) -> NDArray[np.float64]:
    features = scale.standardised(matrix)
    features.z[:, excluded_features] = features.unknown[:, excluded_features] = 0.0
    return np.concatenate([features.z, features.unknown, np.ones((len(matrix), 1))], axis=1)


def _regression(scale: Scale, found: NDArray[np.float64]) -> LogisticRanker:
    n_features = len(scale.centres)
    return LogisticRanker(
        scale=scale,
        weights=found[:n_features],
        unknown_weights=found[n_features:-1],
        intercept=float(found[-1]),
    )


def _maximised(examples: _Examples, ridge: NDArray[np.float64]) -> NDArray[np.float64]:
    """Maximise the log likelihood minus half the sum of squared weights times their ridges.

    Expectation-maximisation: each Newton step (IRLS) holds the examination posterior of the last
    point fixed; its gradient is that of the likelihood itself.
    """
    design, weights, labels = examples.design, examples.weights, examples.labels
    share = np.clip(np.average(labels, weights=weights), _TOLERANCE, 1 - _TOLERANCE)
    start = np.zeros(design.shape[1])
    start[-1] = np.log(share / (1 - share))

    def step(found: NDArray[np.float64]) -> NDArray[np.float64]:
        fitted = sigmoid(design @ found)
        posterior = examination_posterior(fitted, p_examined=examples.p_examined, labels=labels)
        expected = weights * posterior
        gradient = design.T @ (expected * (fitted - labels)) + ridge * found
        curvature = (design * (expected * fitted * (1 - fitted))[:, None]).T @ design
        return np.asarray(np.linalg.solve(curvature + np.diag(ridge), gradient), dtype=np.float64)

    return newton(start, step, longest=_LONGEST_STEP, tolerance=_TOLERANCE)


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
    # Those that are left stand for all, so that the intercept stays that of the data.
    weights = rows.weights[chosen]
    weights[rows.labels[chosen] == 0] *= len(others) / n_drawn
    return chosen, weights
