import numpy as np
import pytest

from training.simulator.oracles import Oracles

TRUTH = np.array([[0.3, 0.2, 0.1]], dtype=np.float32)
ALL = np.ones((1, 3), dtype=bool)


def test_expected_purchases_weigh_ranks_by_their_examination() -> None:
    """Best order 0.3, 0.2, 0.1; the knowable order is its reverse."""
    oracles = Oracles()

    oracles.add(TRUTH, 1 - TRUTH, popular=np.array([0.2, 0.3, 0.1], dtype=np.float32), eligible=ALL)

    means = oracles.means()
    second, third = 2**-0.5, 3**-0.5
    assert means["truth"] == pytest.approx(0.3 + 0.2 * second + 0.1 * third)
    assert means["knowable"] == pytest.approx(0.1 + 0.2 * second + 0.3 * third)
    assert means["popularity"] == pytest.approx(0.2 + 0.3 * second + 0.1 * third)
    assert means["random"] == pytest.approx(0.2 * (1 + second + third))


def test_sales_that_are_not_eligible_do_not_count() -> None:
    oracles = Oracles()
    eligible = np.array([[False, True, True]])

    oracles.add(TRUTH, TRUTH, popular=TRUTH[0], eligible=eligible)

    means = oracles.means()
    assert means["truth"] == pytest.approx(0.2 + 0.1 * 2**-0.5)
    assert means["random"] == pytest.approx(0.15 * (1 + 2**-0.5))


def test_values_are_means_over_visits() -> None:
    oracles = Oracles()
    zero = np.zeros((1, 3), dtype=np.float32)
    oracles.add(TRUTH, TRUTH, popular=TRUTH[0], eligible=ALL)
    once = oracles.means()["truth"]

    oracles.add(zero, zero, popular=zero[0], eligible=ALL)

    assert oracles.means()["truth"] == pytest.approx(once / 2)
