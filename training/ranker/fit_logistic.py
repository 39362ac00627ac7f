"""Fits logistic regressions: the offset of the trees, and the baseline of the ranker."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final, Self

import numpy as np
from numpy.typing import NDArray

from models.ranker.logistic import LogisticRanker, Scale, signed_logarithm
from models.ranker.ranker import sigmoid
from training.ranker.position_bias import examination_posterior, log_likelihood
from training.ranker.training_rows import TrainingRows
from training.statistics.newton import newton

# About a hundred weights need no more: 300,000 brought 0.0003 expected purchases@10, which is not
# worth their memory (decision 0026).
MAX_ROWS: Final = 100_000
"""Usual maximum number of examples of either label."""

_SKEWED: Final = 2.0  # skewness of an exponential variable
_TOLERANCE: Final = 1e-6  # of weights: far below their own errors
# After a shorter step the curvature is hardly another one: it takes four fifths of a step's time.
_NEAR: Final = 0.05
_LONGEST_STEP: Final = 2.0  # in log-odds: few successes make full steps overshoot
# Of the multiple of log-odds that were fitted to such examples: hardly anything is known of it.
_MULTIPLE_PRECISION: Final = 1.0


def fit_logistic(
    rows: TrainingRows,
    *,
    seed: int,
    p_examined: NDArray[np.float64] | None = None,
    ridge: float | NDArray[np.float64] = 1.0,
    excluded_features: Sequence[int] = (),
    max_rows: int = MAX_ROWS,
    prior: LogisticRanker | None = None,
) -> LogisticRanker:
    """Fit P(success) by maximum likelihood with a ridge penalty.

    Of more than ``max_rows`` examples of either label a sample is kept, weighted by the inverse of
    its share.

    Args:
        rows: Examples, both labels among them.
        seed: Draws the sample.
        p_examined: P(examined) of each example, shape ``(n,)``, so that P(success | examined)
            is fitted; 1 if not given.
        ridge: Precision of the prior of a weight, positive; of all, or one a feature, shape
            ``(n_features,)``.
        excluded_features: Features whose weight is 0.
        max_rows: Maximum number of examples of either label.
        prior: Means of the weights by the prior, and its scale of features, 0 and that of the
            examples if not given. What is the same in all examples keeps its mean.
    """
    prepared = PreparedRegression.from_rows(
        rows,
        seed=seed,
        ridge=ridge,
        excluded_features=excluded_features,
        max_rows=max_rows,
        prior=prior,
    )
    return prepared.fit(p_examined)


def fit_shrunk_towards(
    rows: TrainingRows,
    first: LogisticRanker,
    *,
    ridge: float | NDArray[np.float64],
    seed: int,
    p_examined: NDArray[np.float64] | None = None,
    excluded_features: Sequence[int] = (),
) -> LogisticRanker:
    """Fit P(success) from few examples, shrunk towards a multiple of another regression.

    Sales that are opened more are bought more, too: the multiple of the first regression's
    log-odds is free, and each weight's deviation from it is penalised.

    Args:
        rows: Examples, both labels among them.
        first: The other regression, over the same features.
        ridge: Precision of the prior that a deviation is 0, positive; of all, or one a feature.
        seed: Draws a sample, as for `fit_logistic`.
        p_examined: As for `fit_logistic`.
        excluded_features: Features whose weight is 0 in both regressions.
    """
    chosen, weights = _sample(rows, np.random.default_rng(seed), max_rows=MAX_ROWS)
    design, kept = _design(rows.matrix[chosen], first.scale, excluded_features=excluded_features)
    shared = np.concatenate([first.weights, first.unknown_weights, [0.0]])
    leaning = design @ shared[kept]
    centre = float(np.average(leaning, weights=weights))
    examples = _Examples(
        design=np.concatenate([(leaning - centre)[:, None], design], axis=1),
        labels=rows.labels[chosen],
        weights=weights,
        p_examined=np.ones(len(leaning)) if p_examined is None else p_examined[chosen],
    )
    ridges = np.tile(np.broadcast_to(ridge, len(first.weights)), 2)[kept[:-1]]
    penalty = np.concatenate([[_MULTIPLE_PRECISION], ridges, [_TOLERANCE]])
    found_multiple, *own = _maximised(examples, penalty, means=np.zeros(len(penalty)))
    found = found_multiple * shared
    found[kept] += own
    found[-1] -= found_multiple * centre
    return _regression(first.scale, found)


@dataclass(frozen=True, eq=False)
class _Examples:
    """Rows of a regression; the last column of the design is 1."""

    design: NDArray[np.float64]
    labels: NDArray[np.float64]
    weights: NDArray[np.float64]
    p_examined: NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class PreparedRegression:
    """Logistic regression on one sample of examples, for fits with different P(examined).

    Attributes:
        scale: Of the features.
        chosen: The examples of the sample, shape ``(n_chosen,)``.
        examples: The same, as if all were examined.
        kept: Places of the weights that the design has columns for.
        penalty: Precision of each of them.
        means: Means of all weights by the prior, shape ``(2 * n_features + 1,)``.
    """

    scale: Scale
    chosen: NDArray[np.intp]
    examples: _Examples
    kept: NDArray[np.intp]
    penalty: NDArray[np.float64]
    means: NDArray[np.float64]

    @classmethod
    def from_rows(
        cls,
        rows: TrainingRows,
        *,
        seed: int,
        ridge: float | NDArray[np.float64] = 1.0,
        excluded_features: Sequence[int] = (),
        max_rows: int = MAX_ROWS,
        prior: LogisticRanker | None = None,
    ) -> Self:
        """Draw the sample and make its design; see `fit_logistic`."""
        chosen, weights = _sample(rows, np.random.default_rng(seed), max_rows=max_rows)
        matrix = rows.matrix[chosen]
        scale = fit_scale(matrix) if prior is None else prior.scale
        design, kept = _design(matrix, scale, excluded_features=excluded_features)
        n_features = len(scale.centres)
        # A feature has a weight where it is known, and one where it is not. The intercept is free;
        # its tolerance keeps the system regular.
        penalty = np.append(np.tile(np.broadcast_to(ridge, n_features), 2), _TOLERANCE)[kept]
        means = np.zeros(2 * n_features + 1)
        if prior is not None:
            means[:-1] = np.concatenate([prior.weights, prior.unknown_weights])
        examples = _Examples(design, rows.labels[chosen], weights, np.ones(len(chosen)))
        return cls(scale, chosen, examples, kept, penalty, means)

    def fit(
        self,
        p_examined: NDArray[np.float64] | None = None,
        *,
        start: LogisticRanker | None = None,
    ) -> LogisticRanker:
        """Fit the weights.

        Args:
            p_examined: P(examined) of each of the examples that the sample was drawn from, shape
                ``(n,)``; 1 if not given.
            start: Regression of the same preparation, near the one that is wanted.
        """
        examples = self.examples
        if p_examined is not None:
            examples = replace(examples, p_examined=p_examined[self.chosen])
        found = self.means.copy()
        begin = None
        if start is not None:
            every = [start.weights, start.unknown_weights, [start.intercept]]
            begin = np.concatenate(every)[self.kept]
        found[self.kept] = _maximised(
            examples, self.penalty, means=self.means[self.kept], start=begin
        )
        return _regression(self.scale, found)


def fit_scale(matrix: NDArray[np.float32]) -> Scale:
    """Fit centres and scales of features, shape ``(n, n_features)``; see `_moments`."""
    # A column at a time: temporary arrays of the whole matrix would take most of the time.
    columns = [_moments(column[~np.isnan(column)]) for column in np.ascontiguousarray(matrix.T)]
    logarithmic, centres, scales = np.array(columns).reshape(-1, 3).T.copy()
    return Scale(logarithmic, centres, scales)


def _moments(known: NDArray[np.float32]) -> tuple[float, float, float]:
    """Return whether a feature is taken by its logarithm, its centre and its scale.

    It is if its third standardised moment is beyond ±2: a few large counts would otherwise set
    the scale of all.
    """
    values = known.astype(np.float64)
    if not len(values) or not np.ptp(values):
        return 0.0, float(values[:1].sum()), 1.0
    centred = values - values.mean()
    variance = np.square(centred).mean()
    third = (np.square(centred) * centred).mean()
    logarithmic = variance > 0 and abs(third) > _SKEWED * variance**1.5
    if logarithmic:
        values = signed_logarithm(values)
    spread = float(values.std())
    return float(logarithmic), float(values.mean()), spread if spread > 0 else 1.0


def _design(
    matrix: NDArray[np.float32], scale: Scale, *, excluded_features: Sequence[int] = ()
) -> tuple[NDArray[np.float64], NDArray[np.intp]]:
    """Return the columns that are not 0 everywhere, and the places of their weights.

    The weights of the others are 0. Features that are always known, about half, have such columns.
    """
    features = scale.standardised(matrix)
    features.z[:, excluded_features] = features.unknown[:, excluded_features] = 0.0
    of_z, of_unknown = (np.flatnonzero(part.any(axis=0)) for part in (features.z, features.unknown))
    n_features = len(scale.centres)
    kept = np.concatenate([of_z, n_features + of_unknown, [2 * n_features]])
    ones = np.ones((len(matrix), 1))
    columns = [features.z[:, of_z], features.unknown[:, of_unknown], ones]
    return np.concatenate(columns, axis=1), kept


def _regression(scale: Scale, found: NDArray[np.float64]) -> LogisticRanker:
    n_features = len(scale.centres)
    return LogisticRanker(
        scale=scale,
        weights=found[:n_features],
        unknown_weights=found[n_features:-1],
        intercept=float(found[-1]),
    )


def _maximised(
    examples: _Examples,
    ridge: NDArray[np.float64],
    *,
    means: NDArray[np.float64],
    start: NDArray[np.float64] | None = None,
) -> NDArray[np.float64]:
    """Maximise the log likelihood minus half the sum of squared deviations times their ridges.

    Deviations are those of the weights from ``means``.

    Expectation-maximisation: each Newton step (IRLS) holds the examination posterior of the last
    point fixed; its gradient is that of the likelihood itself.
    """
    design, weights, labels = examples.design, examples.weights, examples.labels
    if start is None:
        share = np.clip(np.average(labels, weights=weights), _TOLERANCE, 1 - _TOLERANCE)
        start = np.append(np.zeros(design.shape[1] - 1), np.log(share / (1 - share)))
    curvature: NDArray[np.float64] | None = None

    def loss(found: NDArray[np.float64]) -> float:
        likelihood = log_likelihood(design @ found, p_examined=examples.p_examined, labels=labels)
        return float(ridge @ np.square(found - means) / 2 - weights @ likelihood)

    def step(found: NDArray[np.float64]) -> NDArray[np.float64]:
        nonlocal curvature
        fitted = sigmoid(design @ found)
        posterior = examination_posterior(fitted, p_examined=examples.p_examined, labels=labels)
        expected = weights * posterior
        gradient = design.T @ (expected * (fitted - labels)) + ridge * (found - means)
        if curvature is None:
            scaled = design * np.sqrt(expected * fitted * (1 - fitted))[:, None]
            curvature = scaled.T @ scaled + np.diag(ridge)
        move = np.asarray(np.linalg.solve(curvature, gradient), dtype=np.float64)
        if np.abs(move).max() > _NEAR:
            curvature = None
        return move

    return newton(start, step, loss=loss, longest=_LONGEST_STEP, tolerance=_TOLERANCE)


def _sample(
    rows: TrainingRows, rng: np.random.Generator, *, max_rows: int
) -> tuple[NDArray[np.intp], NDArray[np.float64]]:
    """Return which examples to fit on, and their weights."""
    if len(rows.labels) <= max_rows:
        return np.arange(len(rows.labels)), rows.weights
    every = [np.flatnonzero(rows.labels == 0), np.flatnonzero(rows.labels != 0)]
    drawn = [rng.choice(one, size=min(len(one), max_rows), replace=False) for one in every]
    # Those that are left stand for all, so that the intercept stays that of the data.
    shares = [len(all_of) / max(len(part), 1) for all_of, part in zip(every, drawn, strict=True)]
    chosen = np.concatenate(drawn)
    weights = rows.weights[chosen] * np.repeat(shares, [len(part) for part in drawn])
    order = np.argsort(chosen)
    return chosen[order], weights[order]
