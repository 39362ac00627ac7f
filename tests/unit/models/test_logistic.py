"""The baseline: a row by hand, bytes, and a fit on data whose law is known."""

import math

import numpy as np
import pytest

from models.arrays import Arrays
from models.logistic import LogisticRanker
from models.ranker import TrainingRows
from training.logistic import fit_logistic

NAN = float("nan")
BY_HAND = LogisticRanker(
    logarithmic=np.array([0.0, 1.0]),
    centres=np.array([1.0, 0.0]),
    scales=np.array([2.0, 1.0]),
    weights=np.array([0.5, -1.0]),
    unknown_weights=np.array([0.25, 4.0]),
    intercept=-2.0,
)


@pytest.mark.parametrize(
    ("row", "expected"),
    [
        ((3.0, 0.0), -2 + 0.5),
        ((1.0, math.e - 1), -2 - 1.0),
        ((1.0, 1 - math.e), -2 + 1.0),
        ((NAN, 0.0), -2 + 0.25),
        ((1.0, NAN), -2 + 4.0),
        ((1e30, 0.0), -2 + 0.5 * 8),
        ((-np.inf, 0.0), -2 - 0.5 * 8),
    ],
)
def test_log_odds_of_a_row_by_hand(row: tuple[float, float], expected: float) -> None:
    log_odds = BY_HAND.log_odds(np.array([row], dtype=np.float32))

    assert log_odds[0] == pytest.approx(expected, abs=1e-6)


def test_bytes_round_trip_and_are_of_so_many_features() -> None:
    content = BY_HAND.to_bytes()
    matrix = np.array([[0.3, NAN]], dtype=np.float32)

    restored = LogisticRanker.from_bytes(content, n_features=2)

    assert restored.log_odds(matrix).tolist() == BY_HAND.log_odds(matrix).tolist()
    with pytest.raises(ValueError, match="not a logistic regression over 3 features"):
        LogisticRanker.from_bytes(content, n_features=3)
    arrays = {k: v for k, v in Arrays.from_bytes(content).arrays.items() if k != "weights"}
    with pytest.raises(ValueError, match="array 'weights' is missing"):
        LogisticRanker.from_bytes(Arrays(arrays).to_bytes(), n_features=2)


def test_a_known_law_is_found_again(rng: np.random.Generator) -> None:
    """Log-odds are -1 + 0.8 x, and +1 where the second value is unknown; the third is skewed."""
    n = 40_000
    matrix = np.column_stack(
        [rng.normal(size=n), np.where(rng.random(n) < 0.3, NAN, 5.0), rng.lognormal(0, 2, size=n)]
    ).astype(np.float32)
    law = -1 + 0.8 * matrix[:, 0] + np.isnan(matrix[:, 1])
    labels = (rng.random(n) < 1 / (1 + np.exp(-law))).astype(np.float64)

    fitted = fit_logistic(TrainingRows(matrix, labels, np.ones(n)), seed=1)

    assert fitted.logarithmic.tolist() == [0.0, 0.0, 1.0]
    assert np.sqrt(np.square(fitted.log_odds(matrix) - law).mean()) < 0.05
