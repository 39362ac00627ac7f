"""Values of candidates from the champion's own log, by hand and in a world that is known."""

from itertools import permutations
from typing import Final

import numpy as np
import pytest

from models.scoring.scorer import META
from models.slate.exploration import plackett_luce_propensities
from tests.proofs import Proof
from tests.unit.training.nightly.own_world import SEES, Candidate, NightLog, night_log, shop_night
from training.nightly.comparison import LOG_LIKELIHOOD, ONE_RATE, Measured, information
from training.nightly.own_log import OwnLog, OwnLogValue, added_value, shared_value, value_of
from training.nightly.publish_gate import GateVerdict, decide, decide_on_own_log
from training.statistics.bootstrap import Interval, mean_interval

N_ANSWERS: Final = 20_000
LINES: Final = {
    "equal": (SEES, 0.0),
    "5% better": (0.584, 0.05),
    "10% better": (0.464, 0.1),
    "5% worse": (0.82, -0.05),
}
"""The candidate's error, found by bisection, and the share of purchases that it brings more."""


def interval(low: float, high: float) -> Interval:
    return Interval((low + high) / 2, low, high, 100)


def test_a_purchase_counts_by_how_much_it_would_be_looked_at() -> None:
    """From the second place, looked at half, to the first; from the first to none."""
    looked_at = np.array([1.0, 0.5, 0.25])

    found = shared_value(np.array([1, 0]), np.array([0, 3]), p_examined=looked_at)

    assert found == pytest.approx(1.0 / 0.5 + 0.0)


def test_the_value_of_added_sales_is_right_on_average() -> None:
    """The mean over all slates that may be drawn, by their probabilities, is the truth.

    Of four sales the candidate shows 2 first and 3 second. A customer who looks buys with the
    probabilities given, at places that are looked at less from one to the next.
    """
    buys, utilities = np.array([0.5, 0.4, 0.3, 0.2]), np.log([4.0, 3.0, 2.0, 1.0])
    looked_at, rank = np.array([1.0, 0.6]), np.array([2, 2, 0, 1])
    expected = 0.0
    for slate in permutations(range(4), 2):
        shown = np.array(slate)
        drawn = plackett_luce_propensities(utilities, shown)
        for place in range(2):
            bought = np.array([place])
            added = added_value(
                bought, rank[shown[bought]], p_examined=looked_at, propensities=drawn
            )
            expected += float(np.prod(drawn) * looked_at[place] * buys[shown[place]] * added)

    assert expected == pytest.approx(1.0 * 0.3 + 0.6 * 0.2)


def test_few_explored_purchases_leave_what_is_added_unjudged() -> None:
    """29 of equal weight are worth 29; 30 are enough. Shared sales bring 90 of 100."""
    for n_explored in (29, 30):
        n = 100 + n_explored
        is_certain = np.arange(n) < 100
        log = OwnLog(
            customers=np.arange(n),
            champion=is_certain.astype(np.float64),
            shared=np.where(is_certain, 0.9, 0.0),
            added=np.where(is_certain, 0.0, 10 / n_explored),
        )

        found = value_of(log, seed=0)

        assert found.explored == pytest.approx(n_explored)
        assert found.at_least is not None
        assert found.at_least.value == pytest.approx(-0.1)
        if n_explored == 30:
            assert found.whole is not None
            assert found.whole.value == pytest.approx(0.0)
        else:
            assert found.whole is None


@pytest.mark.parametrize(
    ("at_least", "whole", "information", "verdict", "said"),
    [
        ((-0.019, 0.1), None, None, GateVerdict.PUBLISH, "without the sales that it alone shows"),
        (
            (-0.3, -0.2),
            (-0.019, 0.2),
            None,
            GateVerdict.PUBLISH,
            r"with c it brings \+9\.1% purchases \(95% interval -1\.9% to \+20\.0%\)",
        ),
        ((-0.3, -0.2), None, None, GateVerdict.ASK, "7 effective explored purchases"),
        ((-0.3, -0.2), (-0.1, 0.1), None, GateVerdict.ASK, r"must not reach below -2%"),
        ((-0.3, -0.2), (-0.1, -0.021), None, GateVerdict.REFUSE, r"-10\.0% to -2\.1%"),
        ((0.1, 0.2), (0.1, 0.2), (-0.3, -0.11), GateVerdict.REFUSE, "probabilities know"),
        ((0.1, 0.2), (0.1, 0.2), (-0.3, -0.09), GateVerdict.PUBLISH, "it brings"),
    ],
)
def test_a_candidate_is_published_refused_or_sent_to_customers(
    at_least: tuple[float, float],
    whole: tuple[float, float] | None,
    information: tuple[float, float] | None,
    verdict: GateVerdict,
    said: str,
) -> None:
    value = OwnLogValue(500.0, interval(*at_least), whole and interval(*whole), 7.0)
    known = None if information is None else interval(*information)

    found = decide_on_own_log(value, known, reference="c", outcomes="purchases")

    assert found.verdict is verdict
    with pytest.raises(AssertionError, match=said):
        raise AssertionError(found.reasons[0])


def test_a_log_without_a_purchase_after_answers_of_the_champion_asks() -> None:
    """Explored purchases alone say what is added, but not to what."""
    nothing = np.zeros(2)
    for added in (nothing, np.ones(2)):
        found = value_of(OwnLog(np.arange(2), nothing, nothing, added), seed=0)

        assert (found.n_purchases, found.at_least, found.whole) == (0.0, None, None)
        decision = decide_on_own_log(found, None, reference="c", outcomes="purchases")
        assert decision.verdict is GateVerdict.ASK
        assert decision.reasons[0].startswith("0 effective purchases followed answers of c")


def test_where_all_answers_are_drawn_nothing_is_left_to_add() -> None:
    """Half of the champion's 200 purchases, so no explored ones are needed to refuse it."""
    n = 200
    values = np.ones(n), np.full(n, 0.5), np.zeros(n)

    found = value_of(OwnLog(np.arange(n), *values, all_drawn=True), seed=0)

    assert found.whole == found.at_least
    decision = decide_on_own_log(found, None, reference="c", outcomes="purchases")
    assert decision.verdict is GateVerdict.REFUSE
    assert decision.reasons[0].startswith(
        "compared with c it brings -50.0% purchases (95% interval"
    )


def test_a_log_of_few_purchases_asks() -> None:
    value = OwnLogValue(29.0, interval(0.1, 0.2), interval(0.1, 0.2), 40.0)

    assert (
        decide_on_own_log(value, None, reference="c", outcomes="purchases").verdict
        is GateVerdict.ASK
    )


def old_verdict(log: NightLog, seed: int) -> GateVerdict:
    """What the gate said that took the log for a judge of both."""
    likelihoods = log.likelihoods[:, 1] - log.likelihoods[:, 0]
    for gained, customers in (
        (log.recall[:, 1] - log.recall[:, 0], log.own.customers),
        (log.reciprocal[:, 1] - log.reciprocal[:, 0], log.own.customers),
        (likelihoods, np.arange(len(likelihoods))),
    ):
        found = mean_interval(gained, customers, seed=seed)
        verdict = decide({"measure": found}, reference="champion", outcomes="purchases").verdict
        if verdict is GateVerdict.REFUSE:  # one measure was enough
            return verdict
    return GateVerdict.PUBLISH


def new_verdict(log: NightLog, seed: int) -> GateVerdict:
    champion, candidate, one_rate = log.likelihoods.T
    customers = np.arange(len(champion))
    new, old = (
        {LOG_LIKELIHOOD: Measured(customers, {META: one, ONE_RATE: one_rate})}
        for one in (candidate, champion)
    )
    known = information(new, old, seed=seed)
    return decide_on_own_log(
        value_of(log.own, seed=seed), known, reference="champion", outcomes="purchases"
    ).verdict


def test_what_a_champion_does_not_know_is_no_measure() -> None:
    """A champion worse than one rate would make a share of less than nothing."""
    customers, low, high = np.arange(3), np.full(3, -2.0), np.full(3, -1.0)
    champion = {LOG_LIKELIHOOD: Measured(customers, {META: low, ONE_RATE: high})}
    candidate = {LOG_LIKELIHOOD: Measured(customers, {META: high, ONE_RATE: high})}

    assert information(candidate, champion, seed=0) is None
    assert information({}, champion, seed=0) is None


def shares(verdicts: list[GateVerdict]) -> dict[str, float]:
    return {one.value: verdicts.count(one) / len(verdicts) for one in GateVerdict}


@pytest.mark.prove
@pytest.mark.parametrize(("common", "n_nights"), [(0.9, 500), (0.97, 100)])
def test_the_gate_judges_on_the_champions_own_log(
    common: float, n_nights: int, proof: Proof
) -> None:
    """Equal and better candidates are not refused, worse ones not published."""
    n_nights = proof.scale(n_nights)
    rng = np.random.default_rng(3)
    verdicts: dict[str, list[GateVerdict]] = {name: [] for name in LINES}
    before: dict[str, list[GateVerdict]] = {name: [] for name in LINES}
    purchases = 0.0
    for seed in range(n_nights):
        night = shop_night(N_ANSWERS, rng)
        for name, (error, _) in LINES.items():
            log = night_log(night, Candidate(error, common), rng)
            verdicts[name].append(new_verdict(log, seed))
            before[name].append(old_verdict(log, seed))
        purchases += float(night.bought.sum()) / n_nights
    found = {name: shares(verdicts[name]) for name in LINES}

    figures = {
        "nights": n_nights,
        "purchases": purchases,
        "lines": found,
        "old": {name: shares(before[name]) for name in LINES},
    }
    proof.record(f"publishing-gate-{common:g}", figures)
    noise = 5 * np.sqrt(0.08 * 0.92 / n_nights)
    assert found["equal"]["refuse"] <= 0.08 + noise
    assert found["5% better"]["refuse"] <= 0.2 + noise
    assert found["10% better"]["refuse"] <= 0.05 + noise
    assert found["5% worse"]["publish"] <= 0.05 + noise


@pytest.mark.parametrize(("error", "lift"), LINES.values())
def test_candidates_of_the_world_are_as_good_as_their_lines_say(error: float, lift: float) -> None:
    assert Candidate(error, 0.9).lift == pytest.approx(lift, abs=0.005)
