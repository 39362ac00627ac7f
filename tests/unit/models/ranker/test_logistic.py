"""Logistic regression: a row by hand, its bytes, and its contributions."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray

from models.arrays.array_file import Arrays
from models.ranker.logistic import LogisticRanker, Scale, signed_logarithm

NAN = float("nan")
BY_HAND = LogisticRanker(
    scale=Scale(np.array([0.0, 1.0]), np.array([1.0, 0.0]), np.array([2.0, 1.0])),
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


def test_contributions_sum_to_the_log_odds_and_the_intercept_comes_last() -> None:
    matrix = np.array([[3.0, NAN], [-1.0, 2.0]], dtype=np.float32)

    added = BY_HAND.contributions(matrix)

    assert added[0].tolist() == pytest.approx([0.5, 4.0, -2.0])
    assert added.sum(axis=1) == pytest.approx(BY_HAND.log_odds(matrix))


@given(
    matrix=arrays(
        np.float32, st.tuples(st.integers(0, 5), st.just(7)), elements=st.floats(width=32)
    )
)
def test_log_odds_are_those_of_a_plain_computation(matrix: NDArray[np.float32]) -> None:
    """Of any number: NaN, infinite, tiny, and repeated from row to row."""
    rng = np.random.default_rng(1)
    skewed = rng.integers(2, size=7).astype(np.float64)
    scale = Scale(skewed, rng.normal(size=7), rng.exponential(size=7))
    ranker = LogisticRanker(scale, rng.normal(size=7), rng.normal(size=7), 0.5)
    matrix = matrix.repeat(2, axis=0)

    exact = matrix.astype(np.float64)
    taken = np.where(scale.logarithmic > 0, signed_logarithm(exact), exact)
    z = np.clip((taken - scale.centres) / scale.scales, -8, 8)
    expected = 0.5 + np.nan_to_num(z) @ ranker.weights + np.isnan(z) @ ranker.unknown_weights
    np.testing.assert_allclose(ranker.log_odds(matrix), expected, rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(
        ranker.contributions(matrix).sum(axis=1), expected, rtol=1e-12, atol=1e-12
    )


def test_another_number_of_features_is_refused() -> None:
    with pytest.raises(ValueError, match="3 features for a regression over 2"):
        BY_HAND.log_odds(np.zeros((1, 3), dtype=np.float32))
