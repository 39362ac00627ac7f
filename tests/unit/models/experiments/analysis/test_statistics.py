"""Estimates, tests and sizes against hand calculations and scipy."""

import math

import numpy as np
import pytest
from numpy.typing import NDArray

from models.experiments.analysis.distribution import two_sided_tail
from models.experiments.analysis.estimate import LEVEL, adjustment, estimate
from models.experiments.analysis.moments import Moments, running
from models.experiments.analysis.power import (
    minimum_days,
    minimum_detectable_effect,
    required_units,
    standard_error,
)
from models.experiments.analysis.sample_ratio import ALARM, sample_ratio
from models.experiments.analysis.sequential_test import always_valid_p, sequential_width
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


def test_the_safe_p_value_is_one_over_a_likelihood_ratio() -> None:
    """Over outcomes without an effect, the mean of a likelihood ratio is 1."""
    z = np.linspace(-40, 40, 200_001)
    v = 700 * (-2 * math.log(0.05) + math.log(-2 * math.log(0.05)) + 1) / 1_000
    ratio = np.exp(z**2 * v / (2 * (1 + v))) / math.sqrt(1 + v)
    of_three = math.exp(9 * v / (2 * (1 + v))) / math.sqrt(1 + v)

    assert np.trapezoid(ratio * reference.normal_density(z), z) == pytest.approx(1.0, abs=1e-6)
    assert always_valid_p(3.0, 700, planned_units=1_000) == pytest.approx(1 / of_three)


def ratio_p(own: int, other: int, share_bp: int) -> float:
    shares = {"own": share_bp, "other": 10_000 - share_bp}
    return sample_ratio({"own": own, "other": other}, shares).p_value


@pytest.mark.parametrize("share_bp", [5_000, 1_000, 100])
def test_sides_in_their_shares_are_seldom_an_alarm_at_any_of_three_hundred_looks(
    share_bp: int,
) -> None:
    """Exactly, over all sequences: the chance of an alarm at the look after any unit."""
    share, n_looks = share_bp / 10_000, 300
    going_on, stopped = np.ones(1), 0.0
    for n in range(1, n_looks + 1):
        going_on = np.append(going_on * (1 - share), 0.0) + np.append(0.0, going_on * share)
        is_alarm = np.array([ratio_p(own, n - own, share_bp) < ALARM for own in range(n + 1)])
        stopped += float(going_on[is_alarm].sum())
        going_on[is_alarm] = 0.0

    assert 0 < stopped <= ALARM


def test_a_sample_ratio_is_judged_by_the_draws_of_two_urns() -> None:
    """Of 2 and of 1,000 units in the shares, to which each draw adds one like itself (Pólya)."""
    draws, shares = "aabacabaacaaaaaaaaaaaaaaaaab", {"a": 0.2, "b": 0.3, "c": 0.5}
    ratios: list[float] = []
    for n_units in (2, 1_000):
        drawn, ratio = dict.fromkeys(shares, 0), 1.0
        for n, one in enumerate(draws):
            ratio *= (n_units * shares[one] + drawn[one]) / (n_units + n) / shares[one]
            drawn[one] += 1
        ratios.append(ratio)

    counts = {one: draws.count(one) for one in shares}
    found = sample_ratio(counts, {"a": 2_000, "b": 3_000, "c": 5_000})

    assert found.p_value == pytest.approx(2 / sum(ratios))
    assert found.alarm


def test_shares_as_assigned_are_no_alarm() -> None:
    found = sample_ratio({"a": 4_950, "b": 5_050}, {"a": 5_000, "b": 5_000})

    assert found.chi_square == pytest.approx(1.0)
    assert found.p_value == 1.0
    assert not found.alarm


def test_units_that_get_lost_are_an_alarm() -> None:
    """3% of one half never arrive: chi-square 23.1 on 1 degree of freedom."""
    found = sample_ratio({"a": 50_000, "b": 48_500}, {"a": 5_000, "b": 5_000})

    assert found.chi_square == pytest.approx(2 * 750**2 / 49_250)
    assert found.alarm


def test_an_experiment_without_units_is_no_alarm() -> None:
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
