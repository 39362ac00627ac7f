"""Score tests and intervals: published values, hand calculations, and tests without an effect."""

import math
from collections.abc import Sequence
from datetime import timedelta
from itertools import product
from typing import Final

import numpy as np
import polars as pl
import pytest

from models.domain.event import to_us
from models.domain.units import DAY_US
from models.experiments.analysis.comparison import Calendar, Comparison, compare
from models.experiments.analysis.contrast import Contrast
from models.experiments.analysis.estimate import LEVEL, WIDTH, Adjustment, adjustment
from models.experiments.analysis.metric import METRICS
from models.experiments.analysis.moments import Moments
from models.experiments.analysis.sequential_test import may_look
from tests import reference
from tests.proofs import FULL_SCALE, Proof
from tests.trials import START, buyers, sample

DAYS: Final = 28
SHARES: Final = (0.5, 0.1, 0.01)
JUDGED: Final = ("conversion", "revenue", "revenue_per_purchase")


@pytest.mark.parametrize(
    ("own", "control", "low", "high"),
    [
        ((56, 70), (48, 80), 0.0528, 0.3382),
        ((9, 10), (3, 10), 0.1700, 0.8406),
        ((6, 7), (2, 7), 0.0342, 0.8534),
        ((5, 56), (0, 29), -0.0326, 0.1933),
        ((0, 10), (0, 20), -0.1611, 0.2775),
        ((0, 10), (0, 10), -0.2775, 0.2775),
        ((10, 10), (0, 20), 0.7156, 1.0),
        ((10, 10), (0, 10), 0.6636, 1.0),
    ],
    ids=str,
)
def test_intervals_of_shares_are_those_of_the_literature(
    own: tuple[int, int], control: tuple[int, int], low: float, high: float
) -> None:
    """Newcombe, Statistics in Medicine 1998, table II: Miettinen and Nurminen."""
    pair = (buyers(n, of=of) for n, of in (own, control))

    found = Contrast.from_moments(*pair, is_share=True).difference()

    assert found.low == pytest.approx(low, abs=6e-5)
    assert found.high == pytest.approx(high, abs=6e-5)


def test_the_score_has_the_pooled_variance() -> None:
    """30 of 1,000 against 200 of 9,000: 230 of 10,000 together."""
    found = Contrast.from_moments(buyers(30, of=1_000), buyers(200, of=9_000), is_share=True)

    pooled = 0.023 * 0.977 * 10_000 / 9_999
    z = (0.03 - 200 / 9_000) / math.sqrt(pooled * (1 / 1_000 + 1 / 9_000))
    assert found.z_score() == pytest.approx(z)
    assert found.p_value() == pytest.approx(reference.two_sided_tail(z))


def test_large_samples_are_compared_as_by_welch(rng: np.random.Generator) -> None:
    a, b = rng.gamma(2.0, 1.01, size=60_000), rng.gamma(2.0, 1.0, size=60_000)

    found = Contrast.from_moments(sample(a), sample(b))

    assert found.p_value() == pytest.approx(reference.welch(a, b), rel=0.02)


@pytest.mark.parametrize("is_share", [True, False])
@pytest.mark.parametrize("width", [WIDTH, 4.0])
def test_at_both_ends_of_a_lift_the_hypothesis_is_just_rejected(
    width: float, *, is_share: bool
) -> None:
    """The restricted estimate by a search over a grid in place of the closed form."""
    found = Contrast.from_moments(buyers(40, of=500), buyers(300, of=4_500), is_share=is_share)

    lift = found.lift(width=width)

    assert lift.value == pytest.approx(0.08 / (300 / 4_500) - 1)
    for end, side in ((lift.low, 1), (lift.high, -1)):
        assert end is not None
        rates = np.linspace(0.02, 0.2, 2_000_001)
        own = rates * (1 + end)
        likelihood = 40 * np.log(own) + 300 * np.log(rates)
        if is_share:
            likelihood += 460 * np.log1p(-own) + 4_200 * np.log1p(-rates)
            spread, dispersion = own * (1 - own), 5_000 / 4_999
            of_control = rates * (1 - rates)
        else:
            likelihood -= 500 * own + 4_500 * rates
            spread, dispersion, of_control = own, (1 - 0.068) * 5_000 / 4_999, rates
        best = int(likelihood.argmax())
        variance = dispersion * (spread[best] / 500 + (1 + end) ** 2 * of_control[best] / 4_500)
        z = (0.08 - (1 + end) * 300 / 4_500) / math.sqrt(variance)
        assert z == pytest.approx(side * width, rel=1e-5)


@pytest.mark.parametrize("n", [70, 71, 72, 73, 74, 75, 76, 77, 78, 79])
def test_a_lift_excludes_zero_where_the_difference_does(n: int) -> None:
    """Just significant is 75 of 1,000 against 500 of 9,000."""
    found = Contrast.from_moments(buyers(n, of=1_000), buyers(500, of=9_000), is_share=True)
    lows = found.lift().low, found.difference().low

    by_lift, by_difference = (low is not None and low > 0 for low in lows)

    assert by_lift == by_difference == (found.p_value() < LEVEL)


def test_a_covariate_takes_its_share_of_the_variance() -> None:
    pair = buyers(60, of=1_000), buyers(500, of=9_000)
    plain = Contrast.from_moments(*pair, is_share=True)

    found = Contrast.from_moments(*pair, is_share=True, adjusted=Adjustment(reduction=0.75))

    assert found.z_score() == pytest.approx(2 * plain.z_score())


def test_a_control_without_purchases_allows_every_lift_above_one() -> None:
    found = Contrast.from_moments(buyers(8, of=100), buyers(0, of=100), is_share=True).lift()

    assert (found.value, found.high) == (None, None)
    assert found.low is not None
    assert found.low > 0


@pytest.mark.parametrize(("n", "has"), [(0, False), (3, False), (4, True)])
def test_a_control_is_divided_by_from_four_buyers_on(n: int, *, has: bool) -> None:
    """Fieller: ``p > 1.96 sqrt(p (1 - p) / (n - 1))`` is ``sqrt(k) > 1.96`` where few buy."""
    found = Contrast.from_moments(buyers(60, of=1_000), buyers(n, of=1_000), is_share=True)

    lift = found.lift()

    assert found.has_base is has
    assert lift.value == (pytest.approx(14.0) if has else None)
    assert (lift.high is not None) is has
    assert lift.low is not None
    assert lift.low > 0


@pytest.mark.parametrize("is_share", [True, False])
@pytest.mark.parametrize("n_own", [1, 4, 9])
def test_a_covariate_that_moves_the_control_to_0_makes_no_lift_of_it(
    n_own: int, *, is_share: bool
) -> None:
    """None of 502 bought; who bought before is by chance more or less frequent among them."""
    own = np.column_stack([np.arange(506) < n_own, np.ones(506), np.arange(506) % 50 < n_own])
    for n_before in range(0, 200, 20):
        control = np.column_stack([np.zeros(502), np.ones(502), np.arange(502) < n_before])
        pair = [Moments.from_columns(one.astype(np.float64)) for one in (own, control)]

        found = Contrast.from_moments(*pair, is_share=is_share, adjusted=adjustment(pair))

        lift = found.lift()
        assert (lift.value, lift.high) == (None, None)
        assert lift.sign == found.difference().sign == int(found.p_value() < LEVEL)


def test_without_data_nothing_is_known() -> None:
    nothing = Contrast.from_moments(buyers(0, of=0), buyers(3, of=10))

    assert math.isnan(nothing.z_score())
    assert nothing.lift() == nothing.difference()
    assert nothing.lift().value is None
    assert not may_look(nothing)


@pytest.mark.parametrize("price", [9.99, 19.9, 0.1, 1_234.5])
def test_pieces_of_one_price_differ_in_nothing(price: float, rng: np.random.Generator) -> None:
    """Only rounding is left of the variance and of the difference."""
    for _ in range(50):
        pieces = [rng.poisson(0.1, size=n).astype(np.float64) for n in (977, 3_011)]
        pair = (
            Moments.from_columns(np.column_stack([price * n, n, np.zeros(len(n))])) for n in pieces
        )

        found = Contrast.from_moments(*pair)

        assert found.p_value() == 1.0
        assert found.difference().low == pytest.approx(0.0, abs=1e-8)
        assert found.lift().high == pytest.approx(0.0, abs=1e-8)


def test_sums_that_a_few_units_make_up_are_few_events() -> None:
    """Of 100 buyers one pays 901 and the others 1: 1,000^2 / (901^2 + 99) = 1.23 events."""
    paid = np.zeros(10_000)
    paid[:100] = 1.0
    paid[0] = 901.0

    found = Contrast.from_moments(sample(paid), sample(paid))

    assert found.n_events == pytest.approx(2 * 1_000**2 / (901**2 + 99))
    assert not may_look(found)


@pytest.mark.parametrize(
    ("own", "control", "may"),
    [((5, 1_000), (20, 4_000), True), ((12, 500), (12, 500), False), ((9, 900), (91, 9_100), True)],
    ids=str,
)
def test_looks_begin_with_enough_events_on_the_smaller_side(
    own: tuple[int, int], control: tuple[int, int], *, may: bool
) -> None:
    """25 together, and 5 expected on the smaller side."""
    found = Contrast.from_moments(*(buyers(n, of=of) for n, of in (own, control)))

    assert may_look(found) is may


def units(n: int, rate: float, rng: np.random.Generator) -> pl.DataFrame:
    """Units that come evenly over the days; purchases are rare, their revenue has a long tail."""
    bought = rng.random(n) < rate
    # One of ten buyers buys twice.
    purchases = bought * (1 + (rng.random(n) < 0.1))
    paid = purchases * rng.lognormal(5.0, 0.8, size=n)
    columns = {"bought": bought, "purchases": purchases, "revenue": paid}
    first = to_us(START) + rng.integers(0, DAYS * DAY_US, size=n)
    return pl.DataFrame(
        {"first_us": first}
        | {name: values.astype(np.float64) for name, values in columns.items()}
        | {f"{name}_before": np.zeros(n) for name in columns}
    )


def compared(n: int, rate: float, share: float, rng: np.random.Generator) -> list[Comparison]:
    """An experiment without an effect, with a look on every day."""
    n_own = rng.binomial(n, share)
    sides = {"treatment": units(n_own, rate, rng), "control": units(n - n_own, rate, rng)}
    calendar = Calendar(START, START + timedelta(days=DAYS), window_us=0)
    return [
        one
        for metric in METRICS
        if metric.name in JUDGED
        for one in compare(metric, sides, control="control", calendar=calendar, planned_units=n)
    ]


@pytest.mark.prove
def test_rare_purchases_and_unequal_sides_raise_no_false_alarms(
    proof: Proof, rng: np.random.Generator
) -> None:
    """Over the grid of customers, buyers and shares, by daily looks and by one look at the end."""
    n, is_full = proof.scale(1_000), proof.share == FULL_SCALE
    grid = product((20_000, 100_000) if is_full else (20_000,), (0.001, 0.003, 0.01), SHARES)
    figures: dict[str, dict[str, float]] = {}
    for customers, rate, share in grid:
        found = [compared(customers, rate, share, rng) for _ in range(n)]
        for own in zip(*found, strict=True):
            name = f"{customers} customers, {rate:.1%} buy, {share:.0%}: {own[0].metric}"
            figures[name] = figures_of(own)

    proof.record("rare-purchases-without-effect", {"experiments": n, "lines": figures})
    for name, line in figures.items():
        # Of ten experiments two false alarms are chance.
        assert line["false_alarms_of_daily_looks"] <= (0.05 if is_full else 0.2), name
        if is_full and line["looked"] == 1:
            assert 0.93 <= line["coverage_of_one_look"] <= 0.97, name


def figures_of(found: Sequence[Comparison]) -> dict[str, float]:
    looked = [one for one in found if one.looks]
    return {
        "looked": len(looked) / len(found),
        "false_alarms_of_daily_looks": sum(one.safe_p_value <= LEVEL for one in found) / len(found),
        "coverage_of_one_look": sum((one.p_value or 0.0) > LEVEL for one in looked)
        / max(len(looked), 1),
    }
