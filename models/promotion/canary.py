"""Canary checks: effects of a candidate on the customers who see it."""

from collections.abc import Iterator, Mapping
from typing import Final

from models.experiments.analysis.contrast import Contrast
from models.experiments.analysis.guardrail import MAX_MORE_DEGRADED, State
from models.experiments.analysis.interval import Interval
from models.experiments.analysis.results import Results
from models.experiments.analysis.sequential_test import MIN_UNITS, sequential_width
from models.promotion.check import Finding, at_least
from models.promotion.count import CANDIDATE, SERVING, ArmCounts
from models.promotion.rule import CanaryRules

COVERAGE: Final = "coverage"


def live_findings(rules: CanaryRules, counts: Mapping[str, int]) -> Iterator[Finding]:
    """Compare the answers of both sides, as counted by the workers.

    These findings stop a candidate that is significantly worse, at any look, and delay nothing.
    Answers are treated as independent; `sale_findings` uses units, which are.

    Args:
        rules: The rules.
        counts: Sums of the workers' counts.
    """
    # Too early the interval does not hold, see `MIN_UNITS`.
    own, other = ArmCounts.from_counts(CANDIDATE, counts), ArmCounts.from_counts(SERVING, counts)
    if min(own.answers, other.answers) < MIN_UNITS:
        return
    width = sequential_width(own.answers + other.answers, planned_units=rules.results.planned_units)
    shares = Contrast.from_moments(own.degraded_share(), other.degraded_share(), is_share=True)
    more = shares.difference(width=width)
    yield _guarded("degraded_now", more, MAX_MORE_DEGRADED, said="answers degraded more by")
    slower = Contrast.from_moments(own.mean_time(), other.mean_time()).lift(width=width)
    yield _guarded("latency_now", slower, rules.results.max_slower, said="answers slower by")


def n_analysed(results: Results | None) -> int:
    """Return the analysed customers of the smaller side."""
    if results is None:
        return 0
    analysed = {variant.name: variant.analysed for variant in results.variants}
    return min(analysed.get(name, 0) for name in (CANDIDATE, SERVING))


def sale_findings(
    rules: CanaryRules, results: Results | None, *, why_none: str, n_before: int, is_last: bool
) -> Iterator[Finding]:
    """Compare the outcomes of both sides, by the exported data so far.

    Args:
        rules: The rules.
        results: Of the canary's experiment; None where there are none yet.
        why_none: The reason for that.
        n_before: Customers of each side that were analysed at earlier shares.
        is_last: Whether the next step is all customers: then the candidate must be
            significantly better than minus the margin; before, not significantly worse.
    """
    if results is None:
        said = f"no results of the canary yet: {why_none}"
        yield Finding(rule="results", found=None, limit=None, state=State.OPEN, said=said)
        return
    n = n_analysed(results)
    more = "more customers of each side at this share"
    yield at_least("min_units", n - n_before, limit=rules.min_units, unit=more)
    ratio = results.sample_ratio
    yield Finding(
        rule="sample_ratio",
        found=ratio.p_value,
        limit=None,
        state=State.BREACHED if ratio.alarm else State.HELD,
        said=f"sides of {ratio.observed} customers, p {ratio.p_value:.2g}",
    )
    for one in results.guardrails:
        if one.variant == CANDIDATE and (one.name != COVERAGE or n >= rules.min_units):
            # An open guardrail does not delay: the next share brings more answers.
            yield Finding(
                rule=one.name,
                found=one.change.value,
                limit=one.limit,
                state=State.BREACHED if one.state is State.BREACHED else State.HELD,
                said=f"{one.name} changes by {_in_words(one.change)}, limit {one.limit:+.1%}",
            )
    yield _sold(rules, results, is_last=is_last)


def _sold(rules: CanaryRules, results: Results, *, is_last: bool) -> Finding:
    # The interval of any look: promotions are judged at every step.
    lift = next(
        (
            one.safe_lift
            for one in results.comparisons
            if one.variant == CANDIDATE and one.metric == rules.metric
        ),
        Interval(),
    )
    state = State.HELD
    if lift.high is not None and lift.high < 0:
        state = State.BREACHED
    elif is_last and (lift.low is None or lift.low < -rules.margin):
        state = State.OPEN
    bound = f"must not be below {-rules.margin:.1%}" if is_last else "must not be worse for certain"
    return Finding(
        rule=rules.metric,
        found=lift.value,
        limit=-rules.margin if is_last else 0.0,
        state=state,
        said=f"{rules.metric} changes by {_in_words(lift)} and {bound}",
    )


def _guarded(rule: str, found: Interval, limit: float, *, said: str) -> Finding:
    worse = found.low is not None and found.low > limit
    return Finding(
        rule=rule,
        found=found.value,
        limit=limit,
        state=State.BREACHED if worse else State.HELD,
        said=f"{said} {_in_words(found)}, limit {limit:.1%}",
    )


def _in_words(found: Interval) -> str:
    value, low, high = (
        "unknown" if part is None else f"{part:+.1%}"
        for part in (found.value, found.low, found.high)
    )
    return f"{value} ({low} to {high})"
