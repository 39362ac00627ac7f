"""Findings of each promotion rule, by hand."""

import math
from datetime import timedelta

import pytest
from pydantic import ValidationError

from models.experiments.analysis.estimate import estimate
from models.experiments.analysis.guardrail import State
from models.experiments.analysis.interval import Interval
from models.experiments.analysis.results import Results, experiment_results
from models.experiments.plan.experiment import Unit
from models.experiments.plan.plan import Plan
from models.promotion.canary import live_findings, sale_findings
from models.promotion.canary_plan import with_canary
from models.promotion.check import Finding, Verdict, verdict
from models.promotion.count import CANDIDATE, SERVING, ArmCounts, ShadowCounts
from models.promotion.estimate import OffPolicyEstimate, PlaceEstimate, estimate_finding
from models.promotion.rule import CanaryRules, EstimateRules, ShadowRules
from models.promotion.shadow import shadow_findings
from tests.promotions import begun
from tests.trials import START, Answer, Did, events, exposures

GOOD = ShadowCounts(
    scored=100,
    serving_us=200_000,
    candidate_us=220_000,
    shown=1_000,
    shared=700,
    serving_ppm=20_000_000,
    candidate_ppm=22_000_000,
    serving_cells=30_000,
    serving_missing=3_000,
    candidate_cells=40_000,
    candidate_missing=4_800,
)
RULES = ShadowRules(min_answers=100)


def by_rule(findings: tuple[Finding, ...] | list[Finding]) -> dict[str, Finding]:
    return {finding.rule: finding for finding in findings}


def changed(**counts: int) -> ShadowCounts:
    named = GOOD.named() | {f"shadow.{name}": n for name, n in counts.items()}
    return ShadowCounts.from_counts(named)


def test_what_a_shadow_shows_is_found_by_hand() -> None:
    found = by_rule(shadow_findings(RULES, GOOD, n_without=0))

    assert {rule: one.found for rule, one in found.items()} == {
        "min_answers": 100,
        "max_failed": 0.0,
        "max_slower": pytest.approx(0.1),  # 220 ms beside 200 ms
        "min_overlap": 0.7,
        "max_drift": pytest.approx(0.1),  # 22 expected purchases beside 20
        "max_missing": pytest.approx(0.02),  # 12% beside 10%
        "workers": 0,
    }
    assert verdict([*found.values()]) is Verdict.GO


@pytest.mark.parametrize(
    ("counts", "rule"),
    [
        ({"candidate_us": 300_001}, "max_slower"),
        ({"shared": 199}, "min_overlap"),
        ({"candidate_ppm": 30_000_001}, "max_drift"),
        ({"candidate_ppm": 9_999_999}, "max_drift"),
        ({"candidate_missing": 6_001}, "max_missing"),
        ({"scored": 98, "failed": 2}, "max_failed"),
    ],
)
def test_what_is_beyond_a_limit_stops_the_shadow(counts: dict[str, int], rule: str) -> None:
    found = by_rule(shadow_findings(RULES, changed(**counts), n_without=0))

    assert [name for name, one in found.items() if one.state is State.BREACHED] == [rule]


def test_before_there_are_enough_answers_only_failures_stop() -> None:
    few = shadow_findings(RULES, changed(scored=99, shared=0), n_without=0)
    failing = shadow_findings(RULES, ShadowCounts(failed=2), n_without=0)

    assert verdict(few) is Verdict.WAIT
    # Two of the first 100 are too many, however the other 98 end.
    assert verdict(failing) is Verdict.STOP


def test_a_worker_without_the_candidate_is_waited_for() -> None:
    assert verdict(shadow_findings(RULES, GOOD, n_without=1)) is Verdict.WAIT


def estimated(low: float, high: float) -> OffPolicyEstimate:
    interval = Interval(value=(low + high) / 2, low=low, high=high)
    return OffPolicyEstimate(
        bundle="b2",
        logged=Interval(value=0.2, low=0.19, high=0.21),
        difference={"cascade-dr": interval},
    )


@pytest.mark.parametrize(
    ("low", "high", "state"),
    [
        (-0.02, 0.1, State.HELD),  # a tenth of 0.2 worse at most
        (-0.021, 0.1, State.OPEN),
        (-0.05, -0.021, State.BREACHED),
    ],
)
def test_an_estimate_must_lie_above_the_margin_with_all_of_its_interval(
    low: float, high: float, state: State
) -> None:
    found = estimate_finding(EstimateRules(margin=0.1), estimated(low, high), drawn_share=1.0)

    assert (found.state, found.found) == (state, pytest.approx(low / 0.2))


@pytest.mark.parametrize(
    ("drawn_share", "state"), [(1.0, State.OPEN), (0.1, State.OPEN), (0.02, State.HELD)]
)
def test_an_estimate_is_waited_for_only_where_enough_answers_are_drawn(
    drawn_share: float, state: State
) -> None:
    found = estimate_finding(EstimateRules(min_drawn=0.1), None, drawn_share=drawn_share)

    assert found.state is state


def test_what_is_not_waited_for_says_how_many_answers_are_drawn() -> None:
    rules = EstimateRules(without_support="stop")

    found = estimate_finding(rules, None, drawn_share=0.02)

    assert found.state is State.BREACHED
    assert "none is awaited: 2.0% of answers are drawn by chance, below 10.0%" in found.said


def test_an_estimate_that_was_submitted_is_judged_though_few_answers_are_drawn() -> None:
    found = estimate_finding(EstimateRules(), estimated(-0.2, -0.1), drawn_share=0.02)

    assert found.state is State.BREACHED


@pytest.mark.parametrize(
    ("low", "high", "state"),
    [(-0.02, 0.1, State.HELD), (-0.021, 0.1, State.OPEN), (-0.05, -0.021, State.BREACHED)],
)
def test_the_first_places_are_judged_where_a_log_says_nothing_of_all(
    low: float, high: float, state: State
) -> None:
    first = PlaceEstimate.model_validate(estimated(low, high).model_dump())
    whole = OffPolicyEstimate(bundle="b2", refusal="too few", first_3=first)
    both = estimated(0.0, 0.1).model_copy(update={"first_3": first})

    found = estimate_finding(EstimateRules(margin=0.1), whole, drawn_share=1.0)

    assert (found.state, found.found) == (state, pytest.approx(low / 0.2))
    assert "of what is logged in the first three places" in found.said
    assert estimate_finding(EstimateRules(), both, drawn_share=1.0).found == 0.0


@pytest.mark.parametrize(
    "estimate",
    [
        OffPolicyEstimate(
            bundle="b2", refusal="too few", first_3=PlaceEstimate(refusal="too few as well")
        ),
        OffPolicyEstimate(bundle="b2", refusal="no support: 7 of 9 logged slates"),
        OffPolicyEstimate(bundle="b2", logged=Interval(value=0.0)),
    ],
)
def test_a_log_that_says_nothing_is_a_rule_of_its_own(estimate: OffPolicyEstimate) -> None:
    lenient, strict = EstimateRules(), EstimateRules(without_support="stop")

    assert estimate_finding(lenient, estimate, drawn_share=1.0).state is State.HELD
    assert estimate_finding(strict, estimate, drawn_share=1.0).state is State.BREACHED


def arm(name: str, *, degraded: int, times_ms: tuple[int, ...]) -> dict[str, int]:
    ticks = [10 * ms for ms in times_ms]
    counts = ArmCounts(
        answers=len(ticks),
        degraded=degraded,
        took=sum(ticks),
        took_squared=sum(tick**2 for tick in ticks),
    )
    return counts.named(name)


def test_means_of_counted_answers_are_those_of_the_answers() -> None:
    one = ArmCounts.from_counts(SERVING, arm(SERVING, degraded=1, times_ms=(2, 4, 4, 6)))

    # Mean 4 ms; variance of one answer (4 + 0 + 0 + 4) / 3 ms², of the mean a quarter of it.
    time, degraded = estimate(one.mean_time()), estimate(one.degraded_share())
    assert time.value == 40.0
    assert time.variance == pytest.approx(100 * 8 / 3 / 4)
    assert degraded.value == 0.25
    assert degraded.variance == pytest.approx(0.25 * 0.75 / 3)


@pytest.mark.parametrize(
    ("degraded", "times_ms", "breached"),
    [
        (0, (2, 3) * 100, []),
        (60, (2, 3) * 100, ["degraded_now"]),
        (0, (4, 5) * 100, ["latency_now"]),
        (2, (2, 3) * 100, []),  # two of 200 may be chance
    ],
)
def test_answers_that_are_worse_for_certain_stop_the_canary(
    degraded: int, times_ms: tuple[int, ...], breached: list[str]
) -> None:
    serving = arm(SERVING, degraded=0, times_ms=(2, 3) * 100)
    counts = arm(CANDIDATE, degraded=degraded, times_ms=times_ms) | serving

    found = live_findings(CanaryRules(), counts)

    assert [one.rule for one in found if one.state is State.BREACHED] == breached


def test_nobody_judges_a_handful_of_answers() -> None:
    counts = arm(CANDIDATE, degraded=99, times_ms=(9,) * 99) | arm(
        SERVING, degraded=0, times_ms=(1,) * 500
    )

    assert list(live_findings(CanaryRules(), counts)) == []


def results(n: int, *, buying: tuple[int, int], lost: int = 0) -> Results:
    """Of ``n`` customers of each side, how many bought; and of the candidate's, who got lost."""
    promotion = begun()
    plan = with_canary(Plan(), promotion, share_bp=5_000, now=START)
    seen = {CANDIDATE: n - lost, SERVING: n}
    answers = [
        Answer(unit=f"{side}-{i}", variant=side, at=i, experiment=promotion.experiment)
        for side, k in seen.items()
        for i in range(k)
    ]
    bought = [
        Did(unit=f"{side}-{i}", at=i + 1)
        for side, k in zip(seen, buying, strict=True)
        for i in range(k)
    ]
    return experiment_results(
        plan.experiments[0],
        exposures(answers),
        unit=Unit.CUSTOMER,
        events=events(bought),
        until=START + timedelta(days=3),
    )


RULES_OF_SALES = CanaryRules(min_units=500, margin=0.2)


def judged(found: Results | None, *, is_last: bool = False) -> dict[str, State]:
    findings = sale_findings(
        RULES_OF_SALES, found, why_none="no export", n_before=100, is_last=is_last
    )
    return {finding.rule: finding.state for finding in findings}


def test_without_results_the_canary_waits() -> None:
    assert judged(None) == {"results": State.OPEN}


def test_customers_that_buy_less_for_certain_stop_the_canary() -> None:
    """300 and 500 of 1,000: the difference is 9.3 standard errors, and 3.2 are safe."""
    assert judged(results(1_000, buying=(300, 500)))["conversion"] is State.BREACHED
    assert judged(results(1_000, buying=(480, 500)))["conversion"] is State.HELD


def test_before_everybody_sees_it_a_candidate_is_no_worse_than_the_margin_for_certain() -> None:
    """A standard error of the lift is 4.5% where half of 1,000 buy, and the margin is 20%."""
    assert judged(results(1_000, buying=(500, 500)), is_last=True)["conversion"] is State.HELD
    assert judged(results(1_000, buying=(440, 500)), is_last=True)["conversion"] is State.OPEN
    assert judged(results(1_000, buying=(440, 500)))["conversion"] is State.HELD


def test_too_few_customers_are_waited_for() -> None:
    """500 are wanted at each share, and the one before had 100."""
    assert judged(results(599, buying=(250, 250)))["min_units"] is State.OPEN
    assert judged(results(600, buying=(250, 250)))["min_units"] is State.HELD


def test_sides_that_are_not_as_large_as_dealt_stop_the_canary() -> None:
    """2,000 and 1,700 customers: chi-square 150² / 1,850 twice, p below 10⁻⁵."""
    assert judged(results(2_000, buying=(0, 0), lost=300))["sample_ratio"] is State.BREACHED
    assert judged(results(2_000, buying=(0, 0)))["sample_ratio"] is State.HELD


@pytest.mark.parametrize("shares", [(), (0,), (5_001,), (100, 100), (1_000, 100)])
def test_shares_that_do_not_rise_up_to_half_are_refused(shares: tuple[int, ...]) -> None:
    with pytest.raises(ValidationError):
        CanaryRules(shares_bp=shares)


def test_all_findings_of_a_shadow_are_finite() -> None:
    """They are kept as JSON, which knows no NaN."""
    for finding in shadow_findings(RULES, ShadowCounts(), n_without=0):
        assert finding.found is None or math.isfinite(finding.found)
