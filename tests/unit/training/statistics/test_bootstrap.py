"""Intervals over customers cover the truth as often as they say."""

import math

import numpy as np
import pytest

from training.statistics.bootstrap import (
    expanded_quantiles,
    mean_interval,
    resample,
    wilson_interval,
)


def test_the_value_is_the_mean_of_what_was_judged() -> None:
    values = np.array([1.0, np.nan, 0.0, 0.5])

    interval = mean_interval(values, np.array([1, 1, 2, 3]), seed=0)

    assert (interval.value, interval.n) == (0.5, 3)
    assert interval.low <= interval.value <= interval.high


def test_95_of_100_intervals_cover_the_mean(rng: np.random.Generator) -> None:
    """Customers with 1 to 5 slates each and effects of their own: slates are not independent."""
    n_worlds, n_customers = 200, 150
    covered = 0
    for world in range(n_worlds):
        customers = np.repeat(np.arange(n_customers), rng.integers(1, 6, size=n_customers))
        effects = rng.normal(0.0, 1.0, size=n_customers)
        values = effects[customers] + rng.normal(0.0, 0.5, size=len(customers))
        interval = mean_interval(values, customers, seed=world)
        covered += interval.low <= 0.0 <= interval.high

    standard_error = math.sqrt(0.95 * 0.05 / n_worlds)
    # Percentile intervals of 150 customers are a little too short.
    assert 0.95 - 0.02 - 3 * standard_error < covered / n_worlds < 0.95 + 3 * standard_error


def test_slates_of_one_customer_widen_the_interval_like_one_value() -> None:
    """Ten times the same values of the same customers say nothing new."""
    values, customers = np.linspace(0, 1, 50), np.arange(50)

    once = mean_interval(values, customers, seed=1)
    tenfold = mean_interval(np.tile(values, 10), np.tile(customers, 10), seed=1)

    assert tenfold.low == pytest.approx(once.low)
    assert tenfold.high == pytest.approx(once.high)


def test_a_single_customer_gives_no_more_than_his_mean() -> None:
    """Nothing is known about others: the interval cannot say how far they differ."""
    interval = mean_interval(np.array([0.0, 1.0]), np.zeros(2, dtype=np.int64), seed=0)

    assert (interval.value, interval.low, interval.high, interval.n) == (0.5, 0.5, 0.5, 2)


@pytest.mark.parametrize("values", [np.array([np.nan, np.nan]), np.array([])])
def test_of_nothing_nothing_is_known(values: np.ndarray) -> None:
    interval = mean_interval(values, np.arange(len(values)), seed=0)

    assert interval.n == 0
    assert all(math.isnan(x) for x in (interval.value, interval.low, interval.high))


def test_scorers_are_compared_on_the_same_resamples(rng: np.random.Generator) -> None:
    """A scorer that is better by a constant has an interval moved by that constant."""
    values, customers = rng.random(80), np.arange(80)

    first, second = (mean_interval(values + gain, customers, seed=3) for gain in (0.0, 0.125))

    assert second.low - first.low == pytest.approx(0.125)
    assert second.high - first.high == pytest.approx(0.125)


@pytest.mark.parametrize(
    ("successes", "trials", "low", "high"),
    [
        (81, 263, 0.2553, 0.3662),
        (15, 148, 0.0624, 0.1605),
        (0, 20, 0, 0.1611),
        (1, 29, 0.0061, 0.1718),
    ],
)
def test_wilson_intervals_are_those_of_the_literature(
    successes: int, trials: int, low: float, high: float
) -> None:
    """Newcombe, Two-sided confidence intervals for the single proportion, 1998, table I."""
    interval = wilson_interval(successes, trials)

    assert interval.value == successes / trials
    assert (interval.low, interval.high) == pytest.approx((low, high), abs=5e-5)


def test_no_trials_give_no_share() -> None:
    assert math.isnan(wilson_interval(0, 0).value)


@pytest.mark.parametrize(("n", "t"), [(31, 2.0423), (101, 1.9840), (1e9, 1.95996)])
def test_percentiles_of_few_values_are_expanded_by_students_distribution(
    n: float, t: float
) -> None:
    """Two-sided 95% quantiles of Student's distribution from printed tables."""
    low, high = expanded_quantiles(n)

    assert low == pytest.approx(math.erfc(math.sqrt(n / (n - 1) / 2) * t) / 2, rel=1e-3)
    assert high == pytest.approx(1 - low)


@pytest.mark.parametrize(("n_customers", "least"), [(2, 0.5), (6, 1 / 32), (40, 2 / 1_001)])
def test_a_p_value_is_no_smaller_than_chance_makes_all_customers_agree(
    n_customers: int, least: float
) -> None:
    """Six customers agree on either side in one of 32 cases: no resample says more than that."""
    values = np.linspace(1.0, 2.0, n_customers)[:, None]

    found = resample(values, np.arange(n_customers), seed=0).p_values()

    assert found == pytest.approx([least])
