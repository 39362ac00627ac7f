"""Estimates, tests and sizes against hand calculations and scipy."""

import math

import numpy as np
import pytest
from numpy.typing import NDArray

from models.experiments.analysis.distribution import chi_square_tail, two_sided_tail
from models.experiments.analysis.estimate import LEVEL, adjustment, estimate
from models.experiments.analysis.moments import Moments, running
from models.experiments.analysis.power import (
    minimum_days,
    minimum_detectable_effect,
    required_units,
    standard_error,
)
from models.experiments.analysis.sample_ratio import sample_ratio
from models.experiments.analysis.sequential_test import (
    always_valid_p,
    fair_coin_p,
    sequential_width,
)
from tests import reference

Columns = NDArray[np.float64]


def per_unit(values: Columns, *, before: Columns | None = None) -> Columns:
    """Columns of a mean per unit."""
    return np.column_stack(
        [values, np.ones(len(values)), np.zeros(len(values)) if before is None else before]
    )


@pytest.mark.parametrize("z", [0.0, 0.3, -1.96, 5.0, 12.0])
def test_normal_tails_are_those_of_scipy(z: float) -> None:
    assert two_sided_tail(z) == pytest.approx(reference.two_sided_tail(z), rel=1e-12)


@pytest.mark.parametrize("degrees", [1, 2, 3, 4, 7])
@pytest.mark.parametrize("value", [0.0, 0.1, 3.84, 40.0])
def test_tails_of_chi_square_are_those_of_scipy(degrees: int, value: float) -> None:
    assert chi_square_tail(value, degrees) == pytest.approx(
        reference.chi_square_tail(value, degrees), rel=1e-10
    )


def test_a_mean_has_the_variance_of_its_sample(rng: np.random.Generator) -> None:
    values = rng.gamma(2.0, size=500)

    found = estimate(Moments.from_columns(per_unit(values)))

    assert found.value == pytest.approx(values.mean())
    assert found.variance == pytest.approx(values.var(ddof=1) / 500)


def test_a_ratio_has_the_variance_of_the_delta_method() -> None:
    """Clicks 1, 2, 3 on answers 2, 2, 4: 0.75; residuals -0.5, 0.5, 0 over a mean of 8/3.

    Their variance is 0.25, so that of the ratio is 0.25 / 3 / (8/3)^2.
    """
    columns = np.array([[1.0, 2.0, 0.0], [2.0, 2.0, 0.0], [3.0, 4.0, 0.0]])

    found = estimate(Moments.from_columns(columns))

    assert found.value == pytest.approx(0.75)
    assert found.variance == pytest.approx(0.25 / 3 / (8 / 3) ** 2)


def test_a_covariate_explains_the_squared_correlation(rng: np.random.Generator) -> None:
    """Within variants: the effect of 5 in one of them is no part of it."""
    before = rng.normal(size=(2, 400))
    values = 2 * before + rng.normal(size=(2, 400)) + np.array([[0.0], [5.0]])
    arms = [
        Moments.from_columns(per_unit(v, before=b)) for v, b in zip(values, before, strict=True)
    ]

    found = adjustment(arms)

    centred = [(part - part.mean(axis=1, keepdims=True)).ravel() for part in (values, before)]
    slope, correlation = reference.regression(centred[1], centred[0])
    assert found.theta == pytest.approx(slope)
    assert found.reduction == pytest.approx(correlation**2)
    assert found.centre == pytest.approx(before.mean())


def test_an_adjusted_mean_is_that_of_what_the_covariate_leaves(rng: np.random.Generator) -> None:
    before = rng.normal(size=(2, 300))
    values = 3 * before + rng.normal(size=(2, 300))
    arms = [
        Moments.from_columns(per_unit(v, before=b)) for v, b in zip(values, before, strict=True)
    ]

    known = adjustment(arms)
    found = estimate(arms[0], known)

    left = values[0] - known.theta * (before[0] - before.mean())
    assert found.value == pytest.approx(left.mean())
    assert found.variance == pytest.approx(left.var(ddof=1) / 300)


def test_a_covariate_without_variance_changes_nothing(rng: np.random.Generator) -> None:
    arm = Moments.from_columns(per_unit(rng.normal(size=50)))

    assert estimate(arm, adjustment([arm, arm])) == estimate(arm)


def test_nothing_gives_nothing() -> None:
    nothing = estimate(Moments.from_columns(np.empty((0, 3))))

    assert math.isnan(nothing.value)


def test_moments_run_over_days(rng: np.random.Generator) -> None:
    columns, days = rng.normal(size=(40, 3)), rng.integers(0, 5, size=40)

    for day, known in enumerate(running(columns, days, n_days=5)):
        until = columns[days <= day]
        assert known.n == len(until)
        np.testing.assert_allclose(known.covariance(), np.cov(until.T), rtol=1e-9)


def test_the_safe_width_at_the_planned_size_is_known() -> None:
    """With v = 5.9915 + ln 5.9915 + 1 = 8.7818: sqrt(2 * 9.7818 / 8.7818 * ln(3.1276 / 0.05))."""
    assert sequential_width(1_000, planned_units=1_000) == pytest.approx(3.0355, abs=2e-4)


@pytest.mark.parametrize("n_units", [50, 1_000, 90_000])
def test_the_safe_p_value_is_the_level_where_the_safe_interval_ends(n_units: int) -> None:
    width = sequential_width(n_units, planned_units=1_000)

    assert always_valid_p(width, n_units, planned_units=1_000) == pytest.approx(LEVEL)
    assert always_valid_p(0.0, n_units, planned_units=1_000) == 1.0


def test_fair_coins_are_seldom_suspected_at_any_of_two_hundred_looks() -> None:
    """Exactly, over all sequences: the chance of a p-value below the level at any look."""
    level, going_on, stopped = 0.05, {0: 1.0}, 0.0
    for n in range(1, 201):
        after: dict[int, float] = {}
        for heads, chance in going_on.items():
            for now in (heads, heads + 1):
                after[now] = after.get(now, 0.0) + chance / 2
        going_on = {h: p for h, p in after.items() if fair_coin_p(h, n - h) >= level}
        stopped += sum(after.values()) - sum(going_on.values())

    assert 0.01 < stopped <= level


def test_twenty_coins_on_one_side_are_no_chance() -> None:
    assert fair_coin_p(20, 0) == pytest.approx(21 / 2**20)
    assert fair_coin_p(0, 0) == fair_coin_p(10, 10) == 1.0
    assert fair_coin_p(60_000, 50_000) == pytest.approx(fair_coin_p(50_000, 60_000))


def test_the_safe_p_value_is_one_over_a_likelihood_ratio() -> None:
    """Over outcomes without an effect, the mean of a likelihood ratio is 1."""
    z = np.linspace(-40, 40, 200_001)
    v = 700 * (-2 * math.log(0.05) + math.log(-2 * math.log(0.05)) + 1) / 1_000
    ratio = np.exp(z**2 * v / (2 * (1 + v))) / math.sqrt(1 + v)
    of_three = math.exp(9 * v / (2 * (1 + v))) / math.sqrt(1 + v)

    assert np.trapezoid(ratio * reference.normal_density(z), z) == pytest.approx(1.0, abs=1e-6)
    assert always_valid_p(3.0, 700, planned_units=1_000) == pytest.approx(1 / of_three)


def test_shares_as_dealt_are_no_alarm() -> None:
    found = sample_ratio({"a": 4_950, "b": 5_050}, {"a": 5_000, "b": 5_000})

    assert found.chi_square == pytest.approx(1.0)
    assert found.p_value == pytest.approx(reference.equal_shares([4_950, 5_050]))
    assert not found.alarm


def test_units_that_get_lost_are_an_alarm() -> None:
    """3% of one half never arrive: chi-square 23.1 on 1 degree, p = 1.5e-6."""
    found = sample_ratio({"a": 50_000, "b": 48_500}, {"a": 5_000, "b": 5_000})

    assert found.p_value == pytest.approx(reference.equal_shares([50_000, 48_500]), rel=1e-9)
    assert found.alarm


def test_an_experiment_that_nobody_was_dealt_to_is_no_alarm() -> None:
    assert not sample_ratio({}, {"a": 5_000, "b": 5_000}).alarm


def test_sizes_are_those_of_the_textbook() -> None:
    """16 variance / effect^2 units a variant is the rule of thumb for 80%: 15.7 exactly."""
    n = required_units(0.1, 1.0, shares=(0.5, 0.5))

    assert n == math.ceil(2 * 2 * (1.959964 + 0.841621) ** 2 / 0.01)
    error = standard_error(1.0, n, shares=(0.5, 0.5))
    assert reference.power(0.1, error) == pytest.approx(0.8, abs=1e-3)
    assert minimum_detectable_effect(error) == pytest.approx(0.1, rel=1e-3)


def test_days_are_counted_until_enough_units_came() -> None:
    assert minimum_days([100, 190, 270], 190) == 2
    assert minimum_days([100, 190, 270], 271) is None
