"""Verdicts of an A/B test: what came of it, in words, valid at every look."""

from collections.abc import Iterator, Mapping, Sequence
from enum import StrEnum
from typing import Final

from pydantic import BaseModel, ConfigDict

from models.experiments.analysis.comparison import Comparison
from models.experiments.analysis.guardrail import Guardrail, State
from models.experiments.analysis.metric import METRICS
from models.experiments.analysis.sample_ratio import Mismatch
from models.experiments.analysis.sequential_test import MIN_EVENTS


class Outcome(StrEnum):
    """What a verdict says."""

    INVALID = "invalid"
    NO_RESULTS = "no_results"
    ABOVE = "above"
    BELOW = "below"
    UNDECIDED = "undecided"


class ExperimentVerdict(BaseModel):
    """One sentence on an experiment, or on one of its variants."""

    model_config = ConfigDict(frozen=True)

    outcome: Outcome
    text: str


BY: Final = METRICS[0].name
"""Metric of the verdict."""

# One of two thousand is `models.experiments.analysis.sample_ratio.ALARM`.
_ALARM: Final = (
    "ALARM: {which} units are not in the assigned shares. Chance does that in fewer than one of "
    "two thousand experiments. Find out where units were lost before believing anything below."
)


def verdicts(
    comparisons: Sequence[Comparison],
    guardrails: Sequence[Guardrail],
    *,
    control: str,
    ratios: Mapping[str, Mismatch],
    control_buyers: int,
    unjudged: str,
) -> tuple[ExperimentVerdict, ...]:
    """Return alarms first, then why nothing is known, then a sentence for each variant.

    Args:
        comparisons: Of all variants and metrics.
        guardrails: Of all variants.
        control: Name of the control.
        ratios: Sample ratio tests by what they count.
        control_buyers: Units of the control that bought.
        unjudged: The most frequent reason for which units were left out, if none was analysed.
    """
    alarms = [
        ExperimentVerdict(outcome=Outcome.INVALID, text=_ALARM.format(which=which))
        for which, ratio in ratios.items()
        if ratio.alarm
    ]
    if unjudged:
        text = f"No unit could be analysed. The most frequent reason is: {unjudged}."
        return (*alarms, ExperimentVerdict(outcome=Outcome.NO_RESULTS, text=text))
    breached = [one for one in guardrails if one.state is State.BREACHED]
    few = control_buyers if control_buyers < MIN_EVENTS else None
    return (*alarms, *_of_variants(comparisons, breached, control=control, few_buyers=few))


def _of_variants(
    comparisons: Sequence[Comparison],
    breached: Sequence[Guardrail],
    *,
    control: str,
    few_buyers: int | None,
) -> Iterator[ExperimentVerdict]:
    for one in comparisons:
        if one.metric != BY:
            continue
        lift, name = one.safe_lift, one.variant
        if lift.value is None or lift.low is None:
            text = f"There are too few purchases to compare {name} with {control}."
            yield ExperimentVerdict(outcome=Outcome.UNDECIDED, text=text)
            continue
        outcome = {1: Outcome.ABOVE, -1: Outcome.BELOW, 0: Outcome.UNDECIDED}[lift.sign]
        said = f"The {BY} of {name} is {outcome} that of {control}"
        if outcome is Outcome.UNDECIDED:
            said = f"The effect of {name} on {BY} may be chance so far"
        upper = "no upper end" if lift.high is None else f"{lift.high:+.2%}"
        names = ", ".join(rail.name for rail in breached if rail.variant == name)
        guards = f"breached guardrails: {names}" if names else "no guardrail is breached"
        base = (
            f" Only {few_buyers} units of {control} bought: read the size of the lift with care."
            if few_buyers is not None
            else ""
        )
        interval = f"{lift.value:+.2%} [{lift.low:+.2%}, {upper}], safe at every look"
        yield ExperimentVerdict(outcome=outcome, text=f"{said}: {interval}; {guards}.{base}")
