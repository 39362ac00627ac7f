"""Fits P(success) from few outcomes: around the simple scorer, no further than later slates say."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final, Self

import numpy as np
from numpy.typing import NDArray

from models.features.schema import FeatureSchema
from models.ranker.logistic import LogisticRanker
from training.ranker.fit_logistic import MAX_ROWS, fit_logistic
from training.ranker.simple_scorer import reads, simple_scorer
from training.ranker.training_rows import TrainingRows

RIDGES: Final = (100.0, 300.0, 1_000.0, 3_000.0, 100_000.0)
"""Precisions of the prior that a feature adds nothing, tried; by the last next to none does."""

_SIMPLE_RIDGE: Final = 10.0  # of the simple scorer's own weights, a deviation of 0.3; chosen
# Shares of the slates: each part is predicted by a fit of all before it. Chosen.
_FOLDS: Final = ((0.4, 0.6), (0.6, 0.8), (0.8, 1.0))
_MIN_OUTCOMES: Final = 5  # of a fit that predicts a part; chosen
# Examples of either label of such a fit, of which a training takes thirty. Chosen: beside 300
# outcomes more examples without one say next to nothing.
_FOLD_ROWS: Final = 10_000


@dataclass(frozen=True, eq=False)
class FewOutcomes:
    """Slates with few outcomes, and how a regression is fitted to them.

    Attributes:
        rows: Examples, those of a slate together, slates in the order of time.
        starts: First example of each slate, and the end, shape ``(n_slates + 1,)``.
        p_examined: P(examined) of each example, shape ``(n,)``.
        schema: Names of the columns.
        ridges: The least ridge of each feature, shape ``(n_features,)``.
        excluded_features: Features whose weight is 0.
        seed: Draws samples of the examples.
    """

    rows: TrainingRows
    starts: NDArray[np.int64]
    p_examined: NDArray[np.float64]
    schema: FeatureSchema
    ridges: NDArray[np.float64]
    excluded_features: Sequence[int]
    seed: int

    def fit_forward(self) -> LogisticRanker:
        """Fit with the strongest ridge that predicts later slates from earlier ones well."""
        return self.fit(chosen_ridge(self.forward_gains()))

    def fit(self, ridge: float, *, max_rows: int = MAX_ROWS) -> LogisticRanker:
        """Fit a regression whose weights have the simple scorer's as prior means.

        Args:
            ridge: Of all features that the simple scorer does not read.
            max_rows: As for `fit_logistic`.
        """
        ridges = np.where(reads(self.schema), _SIMPLE_RIDGE, np.maximum(self.ridges, ridge))
        return fit_logistic(
            self.rows,
            seed=self.seed,
            p_examined=self.p_examined,
            ridge=ridges,
            excluded_features=self.excluded_features,
            max_rows=max_rows,
            prior=simple_scorer(self.rows, schema=self.schema),
        )

    def forward_gains(self) -> Mapping[float, NDArray[np.float64]]:
        """Predict each later part of the slates from those before it, by every ridge.

        Returns:
            By ridge, the log probability of the outcomes among the sales of their slate, a mean
            over the outcomes of each slate that has some, shape ``(n_judged,)``.
        """
        n, gains = len(self.starts) - 1, {ridge: list[float]() for ridge in RIDGES}
        for begin, end in _FOLDS:
            earlier, later = (
                self._slates(0, int(n * begin)),
                self._slates(int(n * begin), int(n * end)),
            )
            if earlier.rows.labels.sum() < _MIN_OUTCOMES:
                continue
            for ridge, found in gains.items():
                fitted = earlier.fit(ridge, max_rows=_FOLD_ROWS)
                found += later._log_probabilities(fitted)
        return {ridge: np.array(found) for ridge, found in gains.items()}

    def _slates(self, begin: int, end: int) -> Self:
        first, last = int(self.starts[begin]), int(self.starts[end])
        rows = TrainingRows(
            self.rows.matrix[first:last],
            self.rows.labels[first:last],
            self.rows.weights[first:last],
        )
        starts = self.starts[begin : end + 1] - first
        return replace(self, rows=rows, starts=starts, p_examined=self.p_examined[first:last])

    def _log_probabilities(self, ranker: LogisticRanker) -> list[float]:
        log_odds, found = ranker.log_odds(self.rows.matrix), list[float]()
        for first, last in zip(self.starts[:-1], self.starts[1:], strict=True):
            labels, scores = self.rows.labels[first:last], log_odds[first:last]
            if 0 < labels.sum() < len(labels):
                among = scores - np.logaddexp.reduce(scores)
                found.append(float(among[labels > 0].mean()))
        return found


def chosen_ridge(gains: Mapping[float, NDArray[np.float64]]) -> float:
    """Return the strongest ridge that is no worse than the best, within one standard error.

    Args:
        gains: Log probabilities of the same slates by ridge, shape ``(n,)``.

    Returns:
        The strongest of all with fewer than two slates.

    Source:
        Breiman et al., Classification and Regression Trees, 1984, for the rule of one standard
        error.
    """
    strongest_first = sorted(gains, reverse=True)
    if len(gains[strongest_first[0]]) < 2:  # noqa: PLR2004 - a standard error needs two
        return strongest_first[0]
    best = max(strongest_first, key=lambda ridge: gains[ridge].mean())
    lost = {ridge: gains[best] - gains[ridge] for ridge in strongest_first}
    errors = {ridge: d.std(ddof=1) / np.sqrt(len(d)) for ridge, d in lost.items()}
    return next(ridge for ridge, d in lost.items() if d.mean() <= errors[ridge])
