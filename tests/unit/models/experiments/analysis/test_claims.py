"""Guarantees of results, on a thousand simulated experiments without an effect and with one."""

import math
from collections.abc import Sequence
from datetime import timedelta
from typing import Final

import numpy as np
import pytest
from numpy.typing import NDArray

from models.dataset.events import EventTable
from models.experiments.analysis.comparison import Comparison
from models.experiments.analysis.interval import Interval
from models.experiments.analysis.power import standard_error
from models.experiments.analysis.results import Results, experiment_results
from models.experiments.plan.experiment import Experiment, Unit
from tests import reference
from tests.proofs import Proof
from tests.trials import DAY_US, DAYS, START, event_columns, is_treated, seen_once, two_arms

RULES: Final = {"window_hours": 24}
UNTIL: Final = START + timedelta(days=DAYS + 1)
N_EXPERIMENTS: Final = 1_000

MEAN, SHAPE, BEFORE, LIFT = 0.5, 0.5, 2.0, 0.1
"""Purchases of a unit: Poisson of a gamma rate; twice as many in the four weeks before."""


def units_of(n: int) -> list[str]:
    return [f"customer-{number}" for number in range(n)]


def arrivals(n: int, rng: np.random.Generator) -> NDArray[np.int64]:
    return rng.integers(0, DAYS * DAY_US, size=n)


def bought(
    units: Sequence[str],
    first: NDArray[np.int64],
    *,
    rates: NDArray[np.float64],
    treated: NDArray[np.bool_],
    rng: np.random.Generator,
) -> EventTable:
    """Purchases in the day after the first exposure and in the four weeks before it."""
    after = rng.poisson(np.where(treated, rates * (1 + LIFT), rates))
    before = rng.poisson(rates * BEFORE)
    numbers = np.repeat(np.arange(len(units)), after)
    earlier = np.repeat(np.arange(len(units)), before)
    whose = np.concatenate([numbers, earlier])
    at = np.concatenate(
        [
            first[numbers] + rng.integers(0, DAY_US, size=len(numbers)),
            first[earlier] - rng.integers(1, 28 * DAY_US, size=len(earlier)),
        ]
    )
    return event_columns(
        [units[int(number)] for number in whose],
        at=at,
        revenue=rng.lognormal(5.0, 0.8, size=len(whose)),
    )


def run(experiment: Experiment, *, treated: NDArray[np.bool_], shop: "Shop") -> Results:
    return experiment_results(
        experiment,
        seen_once(experiment, shop.units, treated=treated, first=shop.first),
        unit=Unit.CUSTOMER,
        events=shop.events,
        until=UNTIL,
    )


class Shop:
    """Units, when each came, and what they bought."""

    def __init__(
        self, n: int, rng: np.random.Generator, *, treated: NDArray[np.bool_] | None = None
    ) -> None:
        self.units = units_of(n)
        self.first = arrivals(n, rng)
        # Who came to the shop first buys most: the raw id tells what is bought.
        rates = rng.gamma(SHAPE, MEAN / SHAPE, size=n)
        rates = rates if treated is not None else rates * np.linspace(1.8, 0.2, n)
        nobody = np.zeros(n, dtype=np.bool_)
        self.events = bought(
            self.units,
            self.first,
            rates=rates,
            treated=nobody if treated is None else treated,
            rng=rng,
        )


def of(found: Results, metric: str) -> Comparison:
    return next(one for one in found.comparisons if one.metric == metric)


def holds(found: Interval, truth: float) -> bool:
    return (found.low is None or found.low <= truth) and (found.high is None or truth <= found.high)


def off(share: float, n: int) -> float:
    """How far from a share of 95% chance may bring ``n`` trials; 0.02 of a thousand."""
    return max(0.02, 2.9 * math.sqrt(share * (1 - share) / n))


@pytest.mark.prove
def test_experiments_without_an_effect_find_none(proof: Proof, rng: np.random.Generator) -> None:
    """A/A: uniform p-values, few false alarms in spite of daily looks, independent deals."""
    n_units, n = 6_000, proof.scale(N_EXPERIMENTS)
    shop = Shop(n_units, rng)
    p_values: dict[str, list[float]] = {}
    alarms: dict[str, int] = {}
    n_mismatches, chi_squares = 0, list[float]()
    deals, worst_share = np.empty((n, n_units), dtype=np.float32), 0.0
    for number in range(n):
        share = (5_000, 2_000, 1_000)[number % 3]
        experiment = two_arms(f"salt-{number}", treatment_bp=share, results=RULES)
        treated = is_treated(experiment, shop.units)
        found = run(experiment, treated=treated, shop=shop)
        error = math.sqrt(share / 10_000 * (1 - share / 10_000) / n_units)
        worst_share = max(worst_share, abs(treated.mean() - share / 10_000) / error)
        deals[number] = (treated - treated.mean()) / treated.std()
        n_mismatches += found.sample_ratio.alarm
        chi_squares.append(found.sample_ratio.chi_square)
        for one in found.comparisons:
            if one.p_value is not None:
                p_values.setdefault(one.metric, []).append(one.p_value)
                alarms[one.metric] = alarms.get(one.metric, 0) + (one.safe_p_value <= 0.05)
    between = (deals @ deals.T / math.sqrt(n_units))[np.triu_indices(n, k=1)]
    ids = np.arange(n_units)
    with_id = deals @ ((ids - ids.mean()) / ids.std()).astype(np.float32) / math.sqrt(n_units)
    uniform = {name: reference.uniform(values) for name, values in p_values.items()}
    ratios = [reference.chi_square_tail(one, degrees=1) for one in chi_squares]

    proof.record(
        "experiments-without-effect",
        {
            "experiments": n,
            "units": n_units,
            "uniformity_p": uniform,
            "false_alarms_of_daily_looks": {name: k / n for name, k in alarms.items()},
            "false_alarms_of_one_look": {
                name: float(np.mean(np.array(values) <= 0.05)) for name, values in p_values.items()
            },
            "sample_ratio_alarms": n_mismatches,
            "sample_ratio_uniformity_p": reference.uniform(ratios),
            "worst_share_standard_errors": worst_share,
            "worst_correlation_between_experiments_standard_errors": float(np.abs(between).max()),
            "mean_square_correlation_between_experiments": float(np.mean(between**2)),
            "worst_correlation_with_id_standard_errors": float(np.abs(with_id).max()),
        },
    )
    assert set(uniform) == {"conversion", "purchases", "revenue", "revenue_per_purchase"}
    assert all(p > 0.001 for p in uniform.values()), uniform
    assert all(k <= max(1, 0.05 * n) for k in alarms.values()), alarms
    assert n_mismatches <= 2
    assert sum(p < 1e-4 for p in ratios) <= 2
    assert worst_share < 5
    # The largest of half a million standard normals lies at about 5.
    assert np.abs(between).max() < 6
    assert abs(np.mean(between**2) - 1) < 5 * math.sqrt(2 / len(between))
    assert np.abs(with_id).max() < 5


@pytest.mark.prove
def test_a_known_lift_is_found_as_often_and_as_exactly_as_promised(
    proof: Proof, rng: np.random.Generator
) -> None:
    """A/B: intervals hold the truth, power is as computed, the covariate explains its share."""
    n_units, n = 8_000, proof.scale(N_EXPERIMENTS)
    found: list[Results] = []
    for number in range(n):
        experiment = two_arms(f"lift-{number}", results=RULES)
        treated = is_treated(experiment, units_of(n_units))
        shop = Shop(n_units, rng, treated=treated)
        found.append(run(experiment, treated=treated, shop=shop))
    truth = {"purchases": LIFT, "revenue": LIFT, "conversion": _true_lift_of_conversion()}
    held = {m: np.mean([holds(of(one, m).lift, t) for one in found]) for m, t in truth.items()}
    raw = np.mean([holds(of(one, "purchases").unadjusted_lift, LIFT) for one in found])
    always = np.mean([_always_holds(of(one, "purchases"), LIFT) for one in found])
    pairs = [of(one, "purchases") for one in found]
    power = float(np.mean([(one.p_value or 0.0) <= 0.05 for one in pairs]))
    reduction, variance = _explained()
    error = standard_error(variance * (1 - reduction), n_units, shares=(0.5, 0.5))
    computed = reference.power(MEAN * LIFT, error)
    reductions = np.array([one.variance_reduction for one in pairs])
    spread = [np.var([s.value or 0.0 for s in lifts]) for lifts in _lifts(pairs)]

    proof.record(
        "experiments-with-lift",
        {
            "experiments": n,
            "units": n_units,
            "true_lift": truth,
            "coverage": {m: float(share) for m, share in held.items()},
            "coverage_without_covariate": float(raw),
            "coverage_of_all_daily_looks": float(always),
            "power": power,
            "power_computed": computed,
            "variance_reduction": float(reductions.mean()),
            "variance_reduction_computed": reduction,
            "variance_of_lift_adjusted_to_unadjusted": float(spread[0] / spread[1]),
        },
    )
    for share in (*held.values(), raw):
        assert abs(share - 0.95) <= off(0.95, n), (held, raw)
    assert always >= 0.95 - off(0.95, n) * (n < N_EXPERIMENTS)
    assert abs(power - computed) < 4 * math.sqrt(computed * (1 - computed) / n)
    assert abs(reductions.mean() - reduction) < 5 * reductions.std() / math.sqrt(n)
    assert abs(math.log(spread[0] / spread[1] / (1 - reduction))) < 5 * math.sqrt(4 * reduction / n)


def _explained() -> tuple[float, float]:
    """Squared correlation and variance of purchases, within variants, averaged over both.

    Poisson of a gamma rate with mean m and variance v: variance m + v, covariance with the
    weeks before k v, their variance k m + k^2 v.
    """
    v = MEAN**2 / SHAPE
    factors = (1.0, 1 + LIFT)
    outcome = sum(f * MEAN + f**2 * v for f in factors) / 2
    across = sum(f * BEFORE * v for f in factors) / 2
    before = BEFORE * MEAN + BEFORE**2 * v
    return across**2 / (outcome * before), outcome


def _true_lift_of_conversion() -> float:
    """Nothing is bought with probability (1 + m / shape)^-shape."""
    control, treatment = (1 - (1 + m / SHAPE) ** -SHAPE for m in (MEAN, MEAN * (1 + LIFT)))
    return treatment / control - 1


def _always_holds(one: Comparison, truth: float) -> bool:
    return all(holds(look.lift, truth) for look in one.looks)


def _lifts(pairs: Sequence[Comparison]) -> tuple[list[Interval], list[Interval]]:
    return [one.lift for one in pairs], [one.unadjusted_lift for one in pairs]
