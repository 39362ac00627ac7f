"""Figures of label probabilities, by hand."""

import numpy as np
import pytest

from training.scenes.metric import calibration_error, label_figures


def test_figures_of_three_pictures() -> None:
    probabilities = np.array(
        [
            [0.5, 0.2, 0.1, 0.1, 0.05, 0.05],
            [0.5, 0.2, 0.1, 0.1, 0.06, 0.04],
            [0.3, 0.25, 0.2, 0.15, 0.09, 0.01],
        ],
        dtype=np.float32,
    )

    figures = label_figures(probabilities, np.array([0, 1, 5]))

    assert figures.n == 3
    assert figures.top1 == pytest.approx(1 / 3)
    assert figures.top5 == pytest.approx(2 / 3)
    assert figures.log_loss == pytest.approx(-np.log(0.5 * 0.2 * 0.01) / 3, rel=1e-5)


def test_a_labeller_that_says_nothing_is_never_right() -> None:
    figures = label_figures(np.zeros((4, 6), dtype=np.float32), np.array([0, 1, 2, 3]))

    assert (figures.top1, figures.top5) == (0.0, 0.0)


def test_calibration_error_of_two_bins() -> None:
    """0.9 said and 0.5 right on four pictures, 0.6 said and all right on two."""
    said = [0.9, 0.9, 0.9, 0.9, 0.6, 0.6]
    probabilities = np.array([[one, 1 - one] for one in said], dtype=np.float32)
    targets = np.array([0, 0, 1, 1, 0, 0])

    assert calibration_error(probabilities, targets) == pytest.approx((4 * 0.4 + 2 * 0.4) / 6)
