"""Shadow checks: rankings of a candidate for requests that the serving bundle answers."""

from functools import partial
from typing import Literal

from models.experiments.analysis.guardrail import State
from models.promotion.check import Finding, at_least
from models.promotion.count import ShadowCounts
from models.promotion.rule import ShadowRules

_Limit = Literal["max_slower", "min_overlap", "max_drift", "max_missing"]


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
    judged = partial(_judged, rules, enough=enough)
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
        judged("max_slower", counts.slower, said="computing takes longer by {}"),
        judged("min_overlap", counts.overlap, said="{} of sales shown are its own too"),
        judged("max_drift", counts.drift, said="purchase probabilities shown are apart by {}"),
        judged("max_missing", counts.more_missing, said="more features are missing by {}"),
        Finding(
            rule="workers",
            found=n_without,
            limit=0,
            state=State.OPEN if n_without else State.HELD,
            said=f"{n_without} workers have not loaded the candidate",
        ),
    )


def _judged(
    rules: ShadowRules, rule: _Limit, found: float | None, *, enough: bool, said: str
) -> Finding:
    limit, is_least = float(getattr(rules, rule)), rule == "min_overlap"
    state = State.OPEN
    if enough and found is not None:
        breaks = found < limit if is_least else found > limit
        state = State.BREACHED if breaks else State.HELD
    bound = f"at least {limit:.1%} must be" if is_least else f"at most {limit:.1%}"
    if found is None:
        words = f"{rule} is not known yet ({bound})"
    else:
        words = f"{said.format(f'{found:.1%}')}, {bound}"
    return Finding(rule=rule, found=found, limit=limit, state=state, said=words)
