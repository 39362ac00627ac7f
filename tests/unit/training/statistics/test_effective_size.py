"""Effective sizes of weighted samples."""

import numpy as np

from training.statistics.effective_size import effective_size


def test_effective_size_is_the_squared_sum_over_the_sum_of_squares() -> None:
    """(1 + 2 + 3)² / (1 + 4 + 9); of equal weights the number; of one weight 1; of none 0."""
    weights = np.array([[1.0, 5.0, 0.0, 0.0], [2.0, 5.0, 7.0, 0.0], [3.0, 5.0, 0.0, 0.0]])

    np.testing.assert_allclose(effective_size(weights), [36 / 14, 3, 1, 0])
    assert float(effective_size(weights[:, 0])) == 36 / 14
    assert float(effective_size(np.zeros(0))) == 0
