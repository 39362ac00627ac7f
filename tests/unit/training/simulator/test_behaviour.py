"""Looks at slates: curves of examination, and attention that similar sales take."""

import numpy as np
import pytest

from training.simulator.behaviour import CURVES, examination, similar_above


@pytest.mark.parametrize("curve", list(CURVES))
def test_the_first_place_is_always_looked_at_and_no_later_one_more_often(curve: str) -> None:
    examined = examination(10, curve)

    assert examined[0] == 1.0
    assert (np.diff(examined) <= 0).all()
    assert (examined > 0).all()


def test_similar_sales_above_are_counted_up_to_two() -> None:
    scenes = np.array([[5, 5, 7, 5, 5], [1, 2, 3, 4, 1]])

    assert similar_above(scenes).tolist() == [[0, 1, 0, 2, 2], [0, 0, 0, 0, 1]]
