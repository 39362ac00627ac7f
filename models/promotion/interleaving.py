"""Interleaving checks: which bundle customers prefer where a slate has sales of both."""

from collections.abc import Iterator, Mapping

from models.experiments.analysis.guardrail import State
from models.experiments.analysis.interleaving import InterleavingResults
from models.experiments.plan.experiment import INTERLEAVED
from models.promotion.check import Finding
from models.promotion.count import ArmCounts
from models.promotion.rule import InterleavingRules


def interleaving_findings(
    rules: InterleavingRules,
    results: InterleavingResults | None,
    *,
    counts: Mapping[str, int],
    why_none: str,
    is_late: bool,
) -> Iterator[Finding]:
    """Check a candidate that shares slates with the serving bundle.

    What customers do not decide is left to the canary: where both bundles order alike, no customer
    can prefer one.

    Args:
        rules: The rules.
        results: Of the experiment; None where there are none yet.
        counts: Sums of the workers' counts.
        why_none: The reason for that.
        is_late: Whether the stage has lasted for `max_days`.
    """
    yield _failed(rules, ArmCounts.from_counts(INTERLEAVED, counts))
    if results is None:
        said = f"no results of the interleaving yet: {why_none}"
        state = State.HELD if is_late else State.OPEN
        yield Finding(rule="results", found=None, limit=None, state=state, said=said)
        return
    coins = results.coins
    yield Finding(
        rule="coins",
        found=coins.p_value,
        limit=None,
        state=State.BREACHED if coins.alarm else State.HELD,
        said=f"above in {coins.observed} pairs, p {coins.p_value:.2g}",
    )
    yield _preferred(rules, results, is_late=is_late)


def _failed(rules: InterleavingRules, counts: ArmCounts) -> Finding:
    # Before there are enough answers, all that are missing count as successes.
    of = max(counts.answers, rules.min_answers)
    failed = counts.degraded / of
    return Finding(
        rule="max_failed",
        found=failed,
        limit=rules.max_failed,
        state=State.BREACHED if failed > rules.max_failed else State.HELD,
        said=f"it failed in {counts.degraded} of {of} slates, at most {rules.max_failed:.1%} may",
    )


def _preferred(rules: InterleavingRules, results: InterleavingResults, *, is_late: bool) -> Finding:
    one = next(each for each in results.preferences if each.metric == rules.metric)
    found, n = one.preference, one.for_first + one.for_second
    state, limit, bound = State.OPEN, -rules.margin, f"it goes on above {-rules.margin:.1%}"
    if found.sign < 0:
        state, limit, bound = State.BREACHED, 0.0, "it is stopped below 0%"
    elif (found.low is not None and found.low >= -rules.margin) or is_late:
        state = State.HELD
    said = f"{one.for_second} of {n} customers prefer it by {rules.metric}"
    if found.value is not None and found.low is not None and found.high is not None:
        said += f": {found.value:+.1%} ({found.low:+.1%} to {found.high:+.1%})"
    said += f", and {bound} for certain"
    if is_late:
        said += f"; undecided after {rules.max_days:g} days, the canary decides"
    return Finding(rule=rules.metric, found=found.value, limit=limit, state=state, said=said)
