"""Guarantees of interleaving, before simulated customers who know nothing of the product."""

import math
from typing import Final

import numpy as np
import polars as pl
import pytest

from models.experiments.analysis.interleaving import InterleavingResults, interleaving_results
from models.experiments.analysis.power import required_units
from models.experiments.analysis.preference import Preference
from models.experiments.analysis.results import experiment_results
from models.experiments.plan.experiment import Unit
from models.promotion.rule import CanaryRules
from tests.proofs import Proof
from tests.shared_slates import Customers, Log, Pair, by_shares, interleaved, true_lift

HALVES: Final = (0.5, 0.5)


def read(log: Log) -> InterleavingResults:
    return interleaving_results(
        log.experiment,
        log.exposures,
        unit=Unit.CUSTOMER,
        events=log.events,
        until=log.until,
    )


def overall(log: Log) -> Preference:
    return read(log).preferences[0]


def off(share: float, n: int) -> float:
    """How far chance may bring a share of ``n`` trials, three standard errors."""
    return 3 * math.sqrt(share * (1 - share) / n)


@pytest.mark.prove
def test_equally_good_bundles_are_seldom_told_apart_at_any_of_fourteen_looks(
    proof: Proof, rng: np.random.Generator
) -> None:
    """A/A: both guess as well as the other, and differ in nine of ten places."""
    n, n_customers, days = proof.scale(1_000), 1_000, 14
    alarms: dict[str, int] = {}
    coins, contested, n_looks = 0, 0.0, 0
    for number in range(n):
        customers = Customers(n_customers, Pair(0.5, 0.5), rng)
        found = read(interleaved(customers, days=days, salt=f"aa-{number}"))
        for one in found.preferences:
            alarms[one.metric] = alarms.get(one.metric, 0) + (one.safe_p_value <= 0.05)
        coins += found.coins.alarm
        contested += (found.contested or 0.0) / n
        n_looks += len(found.preferences[0].looks)

    proof.record(
        "interleaving-without-effect",
        {
            "experiments": n,
            "customers": n_customers,
            "looks": n_looks / n,
            "contested": contested,
            "false_alarms_of_daily_looks": {name: k / n for name, k in alarms.items()},
            "alarms_of_coins": coins,
        },
    )
    assert n_looks / n > days - 1
    assert all(k <= max(1, 0.05 * n) for k in alarms.values()), alarms
    assert coins <= 2 + 0.005 * n


PAIRS: Final = {
    "better, lists apart": (Pair(0.5, 0.6, 0.7), 12_000),
    "better, lists alike": (Pair(0.5, 0.55, 0.95), 10_000),
    "worse, lists apart": (Pair(0.5, 0.4, 0.7), 12_000),
}
"""With the visits in which the power is measured."""


@pytest.mark.prove
def test_a_tenth_of_the_visits_of_an_ab_test_finds_what_it_finds(
    proof: Proof, rng: np.random.Generator
) -> None:
    """Interleaved with daily looks, beside an A/B test of the conversion that is looked at once."""
    n, days = proof.scale(100), 14
    figures: dict[str, dict[str, float]] = {}
    for name, (pair, visits) in PAIRS.items():
        lift = true_lift(pair, rng, n=proof.scale(200_000) + 20_000)
        many = Customers(20_000, pair, rng)
        rate = many.conversion(many.by_serving)
        clicked = float(many.browse(many.by_serving)[0].any(axis=1).mean())
        needed = required_units(lift * rate, rate * (1 - rate), shares=HALVES)
        found = [
            overall(interleaved(Customers(visits, pair, rng), days=days, salt=f"{name}-{number}"))
            for number in range(n)
        ]
        values = [one.preference.value or 0.0 for one in found]
        right = [
            one.safe_p_value <= 0.05 and (value > 0) == (lift > 0)
            for one, value in zip(found, values, strict=True)
        ]
        figures[name] = {
            "true_lift": lift,
            "conversion": rate,
            "visits_with_a_click": clicked,
            "visits_of_the_ab_test": needed,
            "visits": visits,
            "share_of_the_visits": visits / needed,
            "power": float(np.mean(right)),
            "preference": float(np.mean(values)),
        }

    proof.record("interleaving-power", {"experiments": n, "pairs": figures})
    for name, one in figures.items():
        assert one["share_of_the_visits"] <= 0.1, (name, one)
        assert one["power"] >= 0.8 - off(0.8, n), (name, one)


@pytest.mark.prove
def test_a_bad_bundle_is_stopped_in_a_fifth_of_the_canarys_customers(
    proof: Proof, rng: np.random.Generator
) -> None:
    """Its order is by chance. Both are looked at daily, by the rules of a promotion."""
    n, days, pair = proof.scale(100), 28, Pair(0.5, 0.0)
    canary_rules = CanaryRules()
    shared: list[float] = []
    canary: list[float] = []
    for number in range(n):
        log = interleaved(Customers(5_600, pair, rng), days=days, salt=f"bad-{number}")
        looks = overall(log).looks
        worse = [one.until for one in looks if (one.preference.high or 0.0) < 0]
        shared.append(log.came_until(worse[0]) if worse else math.inf)
        log = by_shares(Customers(56_000, pair, rng), days=days, salt=f"canary-{number}")
        results = experiment_results(
            log.experiment,
            log.exposures,
            unit=Unit.CUSTOMER,
            events=log.events,
            until=log.until,
        )
        conversion = next(one for one in results.comparisons if one.metric == canary_rules.metric)
        below = [one.until for one in conversion.looks if (one.lift.high or 0.0) < 0]
        canary.append(log.came_until(below[0]) if below else math.inf)
    medians = float(np.median(shared)), float(np.median(canary))

    proof.record(
        "interleaving-stops-a-bad-bundle",
        {
            "promotions": n,
            "true_lift": true_lift(pair, rng, n=20_000),
            "customers_interleaved": medians[0],
            "customers_of_the_canary": medians[1],
            "most_customers_interleaved": float(np.max(shared)),
            "share": medians[0] / medians[1],
        },
    )
    assert np.max(shared) < math.inf
    assert medians[0] <= medians[1] / 5, (shared, canary)


@pytest.mark.prove
def test_the_preference_has_the_sign_of_the_true_lift(
    proof: Proof, rng: np.random.Generator
) -> None:
    """Pairs of bundles drawn at random, apart by 0.03 to 0.2 of correlation with the truth."""
    n, visits = proof.scale(100), 4_000
    lifts: list[float] = []
    preferences: list[float] = []
    for number in range(n):
        quality = rng.uniform(0.3, 0.6)
        apart = rng.uniform(0.03, 0.2) * rng.choice([-1, 1])
        pair = Pair(quality, quality + apart, rng.uniform(0.5, 0.95))
        lifts.append(true_lift(pair, rng, n=30_000))
        log = interleaved(Customers(visits, pair, rng), days=7, salt=f"sign-{number}")
        preferences.append(overall(log).preference.value or 0.0)
    agreeing = int((np.sign(lifts) == np.sign(preferences)).sum())

    proof.record(
        "interleaving-sign",
        {
            "pairs": n,
            "visits": visits,
            "agreeing": agreeing,
            "smallest_lift": float(np.abs(lifts).min()),
            "median_lift": float(np.median(np.abs(lifts))),
            "rank_correlation": _rank_correlation(lifts, preferences),
        },
    )
    assert agreeing >= 0.95 * n


def _rank_correlation(first: list[float], second: list[float]) -> float | None:
    found = pl.DataFrame({"first": first, "second": second}).select(
        pl.corr("first", "second", method="spearman")
    )
    return float(found.item()) if len(first) > 1 else None
