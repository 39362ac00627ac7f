"""Metrics of label probabilities: accuracy, log loss, calibration error."""

import numpy as np
from numpy.typing import NDArray

from models.pictures.scene_labeller import LabelFigures

_N_BINS = 15  # as in Guo et al., 2017
_TOP = 5


def label_figures(probabilities: NDArray[np.float32], targets: NDArray[np.int64]) -> LabelFigures:
    """Compute the figures of label probabilities; a label ranks behind those that tie with it.

    Args:
        probabilities: Shape ``(n, n_labels)``.
        targets: The true labels, shape ``(n,)``.

    Returns:
        The figures.
    """
    rows = np.arange(len(targets))
    of_target = probabilities[rows, targets]
    ranks = (probabilities >= of_target[:, None]).sum(axis=1)
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

    ``sum_b n_b / n * |accuracy_b - confidence_b|`` over 15 bins of equal width.

    Args:
        probabilities: Shape ``(n, n_labels)``.
        targets: The true labels, shape ``(n,)``.

    Returns:
        In ``[0, 1]``.

    Source:
        Guo et al., On Calibration of Modern Neural Networks, ICML 2017.
    """
    confidence = probabilities.max(axis=1).astype(np.float64)
    surplus = (probabilities.argmax(axis=1) == targets) - confidence
    bins = np.minimum((confidence * _N_BINS).astype(np.int64), _N_BINS - 1)
    return float(np.abs(np.bincount(bins, weights=surplus)).sum() / len(targets))
