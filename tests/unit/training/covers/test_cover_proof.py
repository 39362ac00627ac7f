"""Chosen covers in simulated shops: what they gain, what they cost, what a log says of them."""

from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from models.covers.cover_choice import CoverPolicy, cover_chances
from tests.cover_world import SHOWN, Customers, Log, Shop, World, day_of
from tests.proofs import FULL_SCALE, Proof
from training.covers.fit_covers import fit_covers, unfitted
from training.off_policy.policy_value import value_difference, value_policy
from training.off_policy.rounds import Rounds
from training.statistics.bootstrap import Interval, mean_interval

N_DAYS = 45
_LATE = 30
"""Days from which on it is judged: customers then have some twenty clicks."""
_FIRST_NIGHTS, _BETWEEN = 5, 5
"""Fitted in each of the first nights, then every so many days."""


def lived(world: World, n_customers: int) -> Log:
    """Open a shop, fit covers on all clicks by night, and return the days that are judged."""
    shop = Shop(world, n_customers, N_DAYS, np.random.default_rng(1))
    customers, logs = Customers.of(shop), list[Log]()
    blank = model = unfitted(shop.catalogue)
    for day in range(N_DAYS):
        logs.append(day_of(shop, day, customers=customers, model=model, policy=CoverPolicy()))
        if day < _FIRST_NIGHTS or day % _BETWEEN == 0:
            model = fit_covers(blank, Log.join(logs).examples(blank, shop.catalogue))
    return Log.join(logs[_LATE:])


def gain_of(log: Log) -> Interval:
    """Return expected clicks per answer above first pictures, by the true probabilities."""
    own, first = log.expected[:, 0], log.expected[:, 1]
    return mean_interval(SHOWN * (own - first), log.customers, seed=0)


def figures(log: Log, n_customers: int) -> dict[str, object]:
    gain, clicks = gain_of(log), (SHOWN * log.expected.mean(axis=0)).tolist()
    names = ("clicks_an_answer", "by_first_pictures", "by_an_even_draw", "by_the_best")
    return {
        "customers": n_customers,
        **dict(zip(names, clicks, strict=True)),
        "gain": [gain.value, gain.low, gain.high],
    }


@pytest.mark.prove
def test_covers_by_taste_gain_half_of_what_knowing_the_customers_would(proof: Proof) -> None:
    n_customers = max(proof.scale(1_000), 60)

    log = lived(World(), n_customers)

    own, first, _, best = log.expected.sum(axis=0).tolist()
    share = (own - first) / (best - first)
    proof.record("covers_by_taste", {**figures(log, n_customers), "share_of_the_best": share})
    assert gain_of(log).low > 0
    # A small shop learns less of what its customers have in common.
    assert share > (0.5 if proof.share >= FULL_SCALE else 0.3)


@pytest.mark.prove
@pytest.mark.parametrize(("name", "better"), [("alike", 0.0), ("the_shops_choice", 0.3)])
def test_where_taste_does_not_matter_little_is_lost(proof: Proof, name: str, better: float) -> None:
    """Pictures differ for all customers alike, and the first may be the better one."""
    n_customers = max(proof.scale(1_000), 60)

    log = lived(World(taste=0.0, quality=0.3, shops_choice=better), n_customers)

    proof.record(f"covers_without_taste_{name}", figures(log, n_customers))
    by_first = SHOWN * float(log.expected[:, 1].mean())
    assert gain_of(log).high > (-0.02 if proof.share >= FULL_SCALE else -0.15) * by_first


def small_log(
    rng: np.random.Generator, odds: NDArray[np.float64], p_click: NDArray[np.float64]
) -> Rounds:
    """Show each of a shop's sales to each of 300 customers once, by one policy, for another.

    Args:
        rng: Draws covers and clicks.
        odds: Log-odds of the two policies, shape ``(2, n_sales, 9)``.
        p_click: Of each picture, shape ``(n_sales, 9)``.
    """
    n_customers, n_sales = 300, len(p_click)
    logging = cover_chances(odds[0], CoverPolicy(temperature=0.5))
    target = cover_chances(odds[1], CoverPolicy(temperature=0.5))
    # Customers differ in how much they click, which makes their sales depend on each other.
    busy = rng.choice([0.5, 1.5], n_customers)
    sales = np.tile(np.arange(n_sales), n_customers)
    units = np.repeat(np.arange(n_customers), n_sales)
    drawn = (rng.random(len(sales))[:, None] > np.cumsum(logging[sales], axis=1)).sum(axis=1)
    p = p_click * target
    clicked = rng.random(len(sales)) < busy[units] * p_click[sales, drawn]
    direct = p.sum(axis=1)[sales, None]
    return Rounds(
        rewards=clicked.astype(np.float64)[:, None],
        logging=logging[sales, drawn][:, None],
        target=target[sales, drawn][:, None],
        predicted=p_click[sales, drawn][:, None],
        expected=direct,
        direct=direct,
        units=units,
    )


def of_first_pictures(log: Rounds, p_click: NDArray[np.float64]) -> Rounds:
    """Return a log of `small_log` under the policy that always shows first pictures."""
    firsts = np.tile(p_click[:, 0], len(log) // len(p_click))[:, None]
    # A click chance is a shown picture's own: where it is that of the first, the first was shown.
    is_first = (log.predicted == firsts).astype(np.float64)
    return replace(log, target=is_first, expected=firsts, direct=firsts)


@pytest.mark.prove
def test_off_policy_intervals_of_covers_hold_the_truth(proof: Proof) -> None:
    """Ten sales of four pictures, whose clicks neither policy knows."""
    rng = np.random.default_rng(7)
    odds = np.full((2, 10, 9), -np.inf)
    odds[:, :, :4] = rng.normal(0, 0.5, (2, 10, 4))
    p_click = np.zeros((10, 9))
    p_click[:, :4] = rng.uniform(0.05, 0.25, (10, 4))
    target = cover_chances(odds[1], CoverPolicy(temperature=0.5))
    truth = float((target * p_click).sum(axis=1).mean())
    gain = truth - float(p_click[:, 0].mean())
    n_logs = proof.scale(2_000)

    names = ("ips", "snips", "dr")
    held = dict.fromkeys([*names, *(f"{name} - first pictures" for name in names)], 0)
    for seed in range(n_logs):
        log = small_log(rng, odds, p_click)
        found = value_policy(log, seed=seed).target
        differences = value_difference(log, of_first_pictures(log, p_click), seed=seed)
        for name in names:
            held[name] += found[name].low <= truth <= found[name].high
            difference = differences[name]
            held[f"{name} - first pictures"] += difference.low <= gain <= difference.high

    shares = {name: n / n_logs for name, n in held.items()}
    proof.record("covers_off_policy", {"logs": n_logs, "truth": truth, "coverage": shares})
    allowed = max(0.02, 5 * (0.05 * 0.95 / n_logs) ** 0.5)
    assert all(abs(share - 0.95) <= allowed for share in shares.values()), shares
