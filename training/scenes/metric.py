"""Metrics of label probabilities: accuracy, log loss, calibration error."""

import numpy as np
from numpy.typing import NDArray

from models.pictures.scene_labeller import LabelFigures

_N_BINS = 15  # as in Guo et al., 2017
_TOP = 5


def label_figures(probabilities: NDArray[np.float32], targets: NDArray[np.int64]) -> LabelFigures:
    """Compute the figures of label probabilities ``(n, n_labels)`` for true labels ``(n,)``."""
    of_target = probabilities[np.arange(len(targets)), targets]
    # A label ranks behind those that tie with it: equal probabilities do not count as right.
    ranks = (probabilities >= of_target[:, None]).sum(axis=1)
    # A probability that is 0 in float32 would make the mean infinite.
    loss = -np.log(np.maximum(of_target, np.finfo(np.float32).tiny))
    return LabelFigures(
        n=len(targets),
        top1=float((ranks <= 1).mean()),
        top5=float((ranks <= _TOP).mean()),
        log_loss=float(loss.mean()),
        calibration_error=calibration_error(probabilities, targets),
    )


def calibration_error(probabilities: NDArray[np.float32], targets: NDArray[np.int64]) -> float:
    """Compute the expected calibration error of the most probable label.

    ``sum_b n_b / n * |accuracy_b - confidence_b|`` over 15 bins of equal width, in ``[0, 1]``; of
    probabilities ``(n, n_labels)`` and true labels ``(n,)``.

    Source:
        Guo et al., On Calibration of Modern Neural Networks, ICML 2017.
    """
    confidence = probabilities.max(axis=1).astype(np.float64)
    surplus = (probabilities.argmax(axis=1) == targets) - confidence
    bins = np.minimum((confidence * _N_BINS).astype(np.int64), _N_BINS - 1)
    return float(np.abs(np.bincount(bins, weights=surplus)).sum() / len(targets))
