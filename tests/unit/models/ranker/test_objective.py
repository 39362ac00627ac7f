"""Orders by objective, and the place of sales of unknown value."""

import numpy as np
import pytest

from models.ranker.objective import expected_value, known_margins, usual_margin_share

NAN = float("nan")


def test_worth_is_probability_times_what_a_purchase_brings() -> None:
    worth = expected_value(np.array([0.1, 0.2]), np.array([50.0, -30.0]))

    assert worth.tolist() == pytest.approx([5.0, -6.0])


def test_unknown_worth_follows_the_worst_loss_the_most_probable_first() -> None:
    order = expected_value(np.array([0.001, 0.9, 0.01, 0.002]), np.array([NAN, -1e6, NAN, 0.0]))

    assert np.argsort(-order).tolist() == [3, 1, 2, 0]


def test_the_usual_share_is_the_median_of_those_who_tell() -> None:
    margins = np.array([10.0, 30.0, 80.0, NAN, 5.0])
    prices = np.array([100.0, 100.0, 100.0, 100.0, NAN])

    assert usual_margin_share(margins, prices) == pytest.approx(0.3)
    assert usual_margin_share(np.array([NAN]), np.array([10.0])) == 1.0


def test_a_margin_that_is_told_stays_and_others_are_the_usual_share() -> None:
    filled = known_margins(
        np.array([-5.0, NAN, NAN]), np.array([100.0, 100.0, NAN]), usual_share=0.25
    )

    np.testing.assert_array_equal(filled, [-5.0, 25.0, NAN])
