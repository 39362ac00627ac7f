import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.serving.selection import best


@pytest.mark.parametrize(
    ("limit", "expected"), [(1, [1]), (3, [1, 0, 2]), (9, [1, 0, 2, 3]), (0, [])]
)
def test_equal_scores_keep_their_order(limit: int, expected: list[int]) -> None:
    assert best(np.array([0.5, 0.9, 0.5, 0.1]), limit).tolist() == expected


@given(st.lists(st.floats(0, 1)), st.integers(1, 20))
def test_a_slate_repeats_nothing_and_leaves_out_nothing_better(
    scores: list[float], limit: int
) -> None:
    chosen: list[int] = best(np.array(scores), limit).tolist()

    assert len(set(chosen)) == len(chosen) == min(limit, len(scores))
    assert [scores[index] for index in chosen] == sorted(scores, reverse=True)[:limit]
