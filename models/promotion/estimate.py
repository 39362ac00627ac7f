"""Off-policy check: the estimate of a candidate from the log of served answers."""

from typing import Final

from pydantic import BaseModel, ConfigDict, Field

from models.domain.event import Identifier
from models.experiments.analysis.guardrail import State
from models.experiments.analysis.interval import Interval
from models.promotion.check import Finding
from models.promotion.rule import EstimateRules

RULE: Final = "estimate"


class PlaceEstimate(BaseModel):
    """Off-policy estimate of a bundle, over all places of a slate or over the first ones."""

    model_config = ConfigDict(frozen=True)

    refusal: str | None = Field(
        default=None, max_length=2_000, description="Why the log says nothing of it."
    )
    logged: Interval = Field(
        default=Interval(), description="What the logged answers brought a slate."
    )
    difference: dict[Identifier, Interval] = Field(
        default={}, max_length=20, description="The bundle's less the logged, by estimator."
    )


class OffPolicyEstimate(PlaceEstimate):
    """The part of the output of ``python -m training off-policy --json`` that the rule reads."""

    bundle: str = Field(min_length=1, max_length=128, description="The bundle it is of.")
    first_3: PlaceEstimate | None = Field(
        default=None,
        description="Of the first three places: judged where the log says nothing of all.",
    )


def estimate_finding(
    rules: EstimateRules, estimate: OffPolicyEstimate | None, *, drawn_share: float
) -> Finding:
    """Check an estimate against its rule.

    Args:
        rules: The rule.
        estimate: The last one that was submitted; None without.
        drawn_share: Share of answers that the default policy draws by Plackett-Luce.
    """
    if estimate is None:
        if drawn_share >= rules.min_drawn:
            return _found(State.OPEN, rules, said="no off-policy estimate was submitted yet")
        few = (
            f"none was submitted, and none is awaited: {drawn_share:.1%} of answers are drawn by"
            f" chance, below {rules.min_drawn:.1%}"
        )
        return _unsupported(rules, few)
    if estimate.refusal is None:
        return _judged(rules, estimate, of="")
    if estimate.first_3 is not None and estimate.first_3.refusal is None:
        return _judged(rules, estimate.first_3, of=" in the first three places")
    return _unsupported(rules, estimate.refusal)


def _judged(rules: EstimateRules, estimate: PlaceEstimate, *, of: str) -> Finding:
    logged = estimate.logged.value
    found = estimate.difference.get(rules.estimator, Interval())
    if not logged or logged < 0 or found.low is None or found.high is None:
        return _unsupported(rules, f"no interval by {rules.estimator} of answers that bring any")
    # As a share of what is logged, as the margin is.
    low, high = found.low / logged, found.high / logged
    said = (
        f"by {rules.estimator} it brings {low:+.1%} to {high:+.1%} of what is logged{of},"
        f" and must not be below {-rules.margin:.1%}"
    )
    if low >= -rules.margin:
        return _found(State.HELD, rules, said=said, found=low)
    state = State.BREACHED if high < -rules.margin else State.OPEN
    return _found(state, rules, said=said, found=low)


def _unsupported(rules: EstimateRules, why: str) -> Finding:
    state = State.HELD if rules.without_support == "canary" else State.BREACHED
    return _found(state, rules, said=f"no support, so the rule says {rules.without_support}: {why}")


def _found(state: State, rules: EstimateRules, *, said: str, found: float | None = None) -> Finding:
    return Finding(rule=RULE, found=found, limit=-rules.margin, state=state, said=said)
