"""Verdicts of an A/B test: what came of it, in words, valid at every look."""

from collections.abc import Iterator, Mapping, Sequence
from enum import StrEnum
from typing import Final

from pydantic import BaseModel, ConfigDict

from models.experiments.analysis.comparison import Comparison
from models.experiments.analysis.guardrail import Guardrail, State
from models.experiments.analysis.interval import Interval
from models.experiments.analysis.metric import METRICS
from models.experiments.analysis.sample_ratio import Mismatch
from models.experiments.analysis.sequential_test import MIN_EVENTS
from models.experiments.plan.experiment import Unit


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

# Chosen: from here on one unit outweighs all others of its variant.
_MOST_OF_ONE: Final = 0.5

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
    largest_shares: Mapping[str, float | None],
    unit: Unit,
    unjudged: str,
) -> tuple[ExperimentVerdict, ...]:
    """Return alarms first, then why nothing is known, then a sentence for each variant.

    Args:
        comparisons: Of all variants and metrics.
        guardrails: Of all variants.
        control: Name of the control.
        ratios: Sample ratio tests by what they count.
        control_buyers: Units of the control that bought.
        largest_shares: Share of each variant's revenue that its largest unit has.
        unit: Assignment unit.
        unjudged: Why no unit was analysed; empty if one was.
    """
    alarms = [
        ExperimentVerdict(outcome=Outcome.INVALID, text=_ALARM.format(which=which))
        for which, ratio in ratios.items()
        if ratio.alarm
    ]
    if unjudged:
        return (*alarms, ExperimentVerdict(outcome=Outcome.NO_RESULTS, text=unjudged))
    breached = [one for one in guardrails if one.state is State.BREACHED]
    few = control_buyers if control_buyers < MIN_EVENTS else None
    by_conversion = _of_variants(comparisons, breached, control=control, few_buyers=few)
    return (*alarms, *by_conversion, *_of_revenue(largest_shares, unit))


def _of_revenue(
    largest_shares: Mapping[str, float | None], unit: Unit
) -> Iterator[ExperimentVerdict]:
    for name, share in largest_shares.items():
        if share is not None and share > _MOST_OF_ONE:
            text = f"One {unit} has {share:.1%} of the revenue of {name}: revenue cannot tell."
            yield ExperimentVerdict(outcome=Outcome.UNDECIDED, text=text)


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
        if not one.looks:
            text = f"There are too few purchases to compare {name} with {control}."
            yield ExperimentVerdict(outcome=Outcome.UNDECIDED, text=text)
            continue
        outcome = {1: Outcome.ABOVE, -1: Outcome.BELOW, 0: Outcome.UNDECIDED}[lift.sign]
        said = f"The {BY} of {name} is {outcome} that of {control}"
        if outcome is Outcome.UNDECIDED:
            said = f"The effect of {name} on {BY} may be chance so far"
        names = ", ".join(rail.name for rail in breached if rail.variant == name)
        guards = f"breached guardrails: {names}" if names else "no guardrail is breached"
        base = (
            f" Only {few_buyers} units of {control} bought: read the size of the lift with care."
            if few_buyers is not None and lift.value is not None
            else ""
        )
        size = _size(lift, control=control)
        yield ExperimentVerdict(outcome=outcome, text=f"{said}: {size}; {guards}.{base}")


def _size(lift: Interval, *, control: str) -> str:
    if lift.value is None or lift.low is None:
        return f"no lift, as that of {control} is not above 0 beyond chance"
    upper = "no upper end" if lift.high is None else f"{lift.high:+.2%}"
    return f"{lift.value:+.2%} [{lift.low:+.2%}, {upper}], safe at every look"
