"""The model of a large shop: simulations that agree with a hand, and the page that they write."""

import math
from dataclasses import replace

import numpy as np
import pytest

from benchmarks.scale import Luck, Shop, makespan_h, page, stored_share
from tests.proofs import ROOT

CALM = Luck(spread=0.0, slow_share=0.0, lost_per_hour=0.0)


def hours(n_parts: int, luck: Luck, *, machines: int = 2, cores: int = 2, seed: int = 1) -> float:
    rng = np.random.default_rng(seed)
    parts = np.full(n_parts, 360.0)
    return makespan_h(parts, machines=machines, cores=cores, luck=luck, rng=rng)


def test_the_page_is_that_of_the_script() -> None:
    assert page(Shop()) == (ROOT / "docs/scale.md").read_text(encoding="utf-8")


@pytest.mark.parametrize(("n_parts", "expected"), [(1, 0.1), (4, 0.1), (5, 0.2), (40, 1.0)])
def test_equal_parts_on_equal_cores_take_whole_rounds(n_parts: int, expected: float) -> None:
    assert hours(n_parts, CALM) == pytest.approx(expected)


def test_slow_cores_are_given_fewer_parts() -> None:
    """By hand: three usual and one slow core take 10 parts of 0.1 h as 3, 3, 3 and 1: 0.3 h."""
    one_slow = [
        hours(10, replace(CALM, slow_share=0.25, slow_by=3.0), seed=seed) for seed in range(40)
    ]

    assert min(one_slow) == pytest.approx(0.3)
    assert all(any(math.isclose(one, n / 10) for n in range(3, 10)) for one in one_slow)


def test_what_a_lost_machine_computed_is_computed_again() -> None:
    """One of two machines of one core is lost within the first part: the other does both."""
    found = [
        hours(2, replace(CALM, lost_per_hour=2.0), machines=2, cores=1, seed=seed)
        for seed in range(200)
    ]

    lost = [one for one in found if one > 0.1 + 1e-9]
    assert 0 < len(lost) < len(found)
    # The second part begins when the first one ends, or when it is missed.
    assert all(0.1 < one <= 0.2 + 1e-9 or math.isinf(one) for one in lost)


def test_without_machines_a_night_has_no_end() -> None:
    assert hours(40, replace(CALM, lost_per_hour=1e6)) == math.inf


def test_customers_who_come_seldom_expire() -> None:
    """Closed form of a gamma mixture: 1 - (1 + 400 * mean / shape) ** -shape."""
    rng = np.random.default_rng(1)
    mean, shape = 0.01, 0.3

    found = stored_share(mean, rng=rng)

    assert found == pytest.approx(1 - (1 + 400 * mean / shape) ** -shape, abs=0.005)
