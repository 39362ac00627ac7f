"""Baselines of the head: logistic regressions on the same folds."""

# scikit-learn ships no types.
# pyright: reportUnknownVariableType=false, reportUnknownMemberType=false
# pyright: reportUnknownArgumentType=false

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from training.scenes.head import softmax
from training.scenes.metric import label_figures
from training.scenes.model import best_temperature

# scikit-learn's C, in steps of about 3, all below its default of 1.0: features are many.
_PENALTIES = (0.001, 0.003, 0.01, 0.03, 0.1)
_DEFAULT_PENALTY = 1.0  # scikit-learn's
_N_ITERATIONS = 1_000  # above scikit-learn's default of 100, so that the baseline converges


@dataclass(frozen=True, slots=True)
class Split:
    """Rows of one fold.

    Attributes:
        kept: Rows that a model is fitted to.
        held_back: Rows that it is judged on.
    """

    kept: NDArray[np.int64]
    held_back: NDArray[np.int64]


def default_regression(
    features: NDArray[np.float32], targets: NDArray[np.int64], *, splits: Sequence[Split]
) -> NDArray[np.float32]:
    """Compute out-of-fold probabilities of a logistic regression as scikit-learn fits it.

    Args:
        features: Shape ``(n, n_features)``; standardised before the fit.
        targets: Labels, shape ``(n,)``.
        splits: The folds.

    Returns:
        Shape ``(n, n_labels)``.
    """
    return softmax(_logits(features, targets, splits=splits, penalty=_DEFAULT_PENALTY))


def tuned_regression(
    features: NDArray[np.float32], targets: NDArray[np.int64], *, splits: Sequence[Split]
) -> NDArray[np.float32]:
    """Compute `default_regression` with penalty and temperature chosen on the other folds."""
    tried = [_logits(features, targets, splits=splits, penalty=penalty) for penalty in _PENALTIES]
    return calibrated(tried, targets, splits=splits)


def calibrated(
    candidates: Sequence[NDArray[np.float32]],
    targets: NDArray[np.int64],
    *,
    splits: Sequence[Split],
) -> NDArray[np.float32]:
    """Give each fold the candidate and the temperature that serve the other folds best.

    Args:
        candidates: Out-of-fold logits, each of shape ``(n, n_labels)``.
        targets: Labels, shape ``(n,)``.
        splits: The folds.

    Returns:
        Probabilities, shape ``(n, n_labels)``.
    """
    probabilities = np.empty_like(candidates[0])
    for split in splits:
        others = targets[split.kept]
        tried = [
            (label_figures(_softened(one[split.kept], warmth), others).log_loss, position, warmth)
            for position, one in enumerate(candidates)
            for warmth in (best_temperature(one[split.kept], others),)
        ]
        # The position breaks a tie, so that the first of equal candidates is taken.
        _, position, warmth = min(tried)
        probabilities[split.held_back] = _softened(candidates[position][split.held_back], warmth)
    return probabilities


def _logits(
    features: NDArray[np.float32],
    targets: NDArray[np.int64],
    *,
    splits: Sequence[Split],
    penalty: float,
) -> NDArray[np.float32]:
    logits = np.empty((len(targets), int(targets.max()) + 1), dtype=np.float32)
    for split in splits:
        regression = LogisticRegression(C=penalty, max_iter=_N_ITERATIONS)
        model = make_pipeline(StandardScaler(), regression)
        model.fit(features[split.kept], targets[split.kept])
        # Of two labels it knows one log-odds only; the logarithms of its shares are logits too.
        logits[split.held_back] = model.predict_log_proba(features[split.held_back])
    return logits


def _softened(logits: NDArray[np.float32], temperature: float) -> NDArray[np.float32]:
    return softmax(logits / np.float32(temperature))
