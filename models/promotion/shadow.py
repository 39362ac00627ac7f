"""Shadow checks: rankings of a candidate for requests that the serving bundle answers."""

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
    return (
        at_least("min_answers", n, limit=rules.min_answers, unit="answers ranked in shadow"),
        _failed(rules, counts),
        _above(
            "max_slower",
            _more(counts.candidate_us, counts.serving_us),
            rules.max_slower,
            enough=enough,
            said="computing takes longer by",
        ),
        _overlap(rules, counts, enough=enough),
        _above(
            "max_drift",
            _apart(counts),
            rules.max_drift,
            enough=enough,
            said="purchase probabilities shown are apart by",
        ),
        _above(
            "max_missing",
            _missing(counts),
            rules.max_missing,
            enough=enough,
            said="more features are missing by",
        ),
        _workers(n_without),
    )


def _failed(rules: ShadowRules, counts: ShadowCounts) -> Finding:
    n = max(counts.scored + counts.failed, rules.min_answers)
    share = counts.failed / n
    return Finding(
        rule="max_failed",
        found=share,
        limit=rules.max_failed,
        state=State.BREACHED if share > rules.max_failed else State.HELD,
        said=f"{counts.failed} of {n} rankings failed, at most {rules.max_failed:.1%} may",
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


def _workers(n_without: int) -> Finding:
    return Finding(
        rule="workers",
        found=n_without,
        limit=0,
        state=State.OPEN if n_without else State.HELD,
        said=f"{n_without} workers have not loaded the candidate",
    )


def _more(candidate: int, serving: int) -> float | None:
    return candidate / serving - 1 if serving else None


def _apart(counts: ShadowCounts) -> float | None:
    more = _more(counts.candidate_ppm, counts.serving_ppm)
    return None if more is None else abs(more)


def _missing(counts: ShadowCounts) -> float | None:
    if not (counts.candidate_cells and counts.serving_cells):
        return None
    own = counts.candidate_missing / counts.candidate_cells
    return own - counts.serving_missing / counts.serving_cells
