"""Shadow checks: rankings of a candidate for requests that the serving bundle answers."""

from functools import partial

from models.experiments.analysis.guardrail import State
from models.promotion.check import Finding, at_least
from models.promotion.count import ShadowCounts
from models.promotion.rule import ShadowRules


def shadow_findings(
    rules: ShadowRules, counts: ShadowCounts, *, n_without: int
) -> tuple[Finding, ...]:
    """Check a shadow against its rules.

    Failures stop the candidate as soon as they exceed the limit for the required number of
    answers; all other rules are decided once there are enough answers.

    Args:
        rules: The rules.
        counts: Sums of the workers' counts.
        n_without: Workers that have not loaded the candidate.
    """
    n = counts.scored + counts.failed
    enough = n >= rules.min_answers
    of = max(n, rules.min_answers)
    failed = counts.failed / of
    above = partial(_above, enough=enough)
    return (
        at_least("min_answers", n, limit=rules.min_answers, unit="answers ranked in shadow"),
        # Before there are enough answers, all that are missing count as successes.
        Finding(
            rule="max_failed",
            found=failed,
            limit=rules.max_failed,
            state=State.BREACHED if failed > rules.max_failed else State.HELD,
            said=f"{counts.failed} of {of} rankings failed, at most {rules.max_failed:.1%} may",
        ),
        above("max_slower", counts.slower, rules.max_slower, said="computing takes longer by"),
        _overlap(rules, counts, enough=enough),
        above(
            "max_drift",
            counts.drift,
            rules.max_drift,
            said="purchase probabilities shown are apart by",
        ),
        above(
            "max_missing",
            counts.more_missing,
            rules.max_missing,
            said="more features are missing by",
        ),
        Finding(
            rule="workers",
            found=n_without,
            limit=0,
            state=State.OPEN if n_without else State.HELD,
            said=f"{n_without} workers have not loaded the candidate",
        ),
    )


def _above(rule: str, found: float | None, limit: float, *, enough: bool, said: str) -> Finding:
    state = State.OPEN
    if enough and found is not None:
        state = State.BREACHED if found > limit else State.HELD
    value = "an unknown share" if found is None else f"{found:.1%}"
    return Finding(
        rule=rule,
        found=found,
        limit=limit,
        state=state,
        said=f"{said} {value}, at most {limit:.1%}",
    )


def _overlap(rules: ShadowRules, counts: ShadowCounts, *, enough: bool) -> Finding:
    found = counts.shared / counts.shown if counts.shown else None
    state = State.OPEN
    if enough and found is not None:
        state = State.BREACHED if found < rules.min_overlap else State.HELD
    value = "an unknown share" if found is None else f"{found:.1%}"
    return Finding(
        rule="min_overlap",
        found=found,
        limit=rules.min_overlap,
        state=state,
        said=f"{value} of sales shown are its own too, at least {rules.min_overlap:.1%} must be",
    )
