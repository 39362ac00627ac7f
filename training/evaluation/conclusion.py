"""Conclusion of an evaluation: whether the meta-model is above its parts and the baselines."""

import math
from collections.abc import Mapping
from typing import Final

from models.ranker.objective import Policy, TrainingObjective
from models.scoring.scorer import META
from training.evaluation.evaluate import Evaluation, ProtocolFigures
from training.evaluation.measure import DISCOUNTED_REVENUE, EXPECTED, MRR, PURCHASES, REVENUE
from training.evaluation.own_scores import OWN_SCORES
from training.evaluation.predictions import AS_SHOWN, UNPLACED
from training.evaluation.protocol import ORACLES, Protocol
from training.examples.outcomes import outcome_noun
from training.report.block import Conclusion, Mark, Tone
from training.statistics.calibration_verdict import calibration_text
from training.statistics.difference import ALPHA, Difference, Verdict

METRIC_NAMES: Final[Mapping[str, str]] = {
    PURCHASES: "expected purchases among the first ten sales of a visit",
    REVENUE: "expected revenue of the first ten sales of a visit",
    DISCOUNTED_REVENUE: "revenue, discounted by rank, of a slate that was bought from",
    MRR: "mean reciprocal rank (1: always first, 0.5: always second) of what was bought",
}

_DECIDING: Final[Mapping[TrainingObjective, tuple[str, ...]]] = {
    # The truth of a simulation is of purchases.
    TrainingObjective.CLICK: (MRR,),
    TrainingObjective.PURCHASE: (PURCHASES, MRR),
    TrainingObjective.VALUE: (REVENUE, DISCOUNTED_REVENUE),
}

MARKS: Final[Mapping[Verdict, Mark]] = {
    Verdict.BETTER: Mark("better", Tone.GOOD),
    Verdict.WORSE: Mark("worse", Tone.BAD),
    Verdict.OPEN: Mark("open", Tone.OPEN),
}

_PAIRED_WORDS: Final[Mapping[Verdict, str]] = {
    Verdict.BETTER: "ranks better than",
    Verdict.WORSE: "ranks worse than",
    Verdict.OPEN: "cannot be distinguished from",
}

_OWN_WORDS: Final[Mapping[Verdict, str]] = {
    Verdict.BETTER: "ranks better than the meta-model",
    Verdict.WORSE: "ranks worse than the meta-model",
    Verdict.OPEN: "cannot be distinguished from the meta-model",
}

PAIRED_MARKS: Final = {**MARKS, Verdict.OPEN: Mark("cannot tell", Tone.OPEN)}

RIVAL_MARKS: Final[Mapping[Verdict, Mark]] = {
    Verdict.BETTER: Mark("better", Tone.BAD),
    Verdict.WORSE: Mark("worse", Tone.GOOD),
    Verdict.OPEN: Mark("open", Tone.OPEN),
}
"""Verdicts on others, in the colours of what they say of the meta-model."""

# Other orders of the meta-model, orders that no shop can have, and the user's own, of which there
# is a sentence of its own, are no parts or baselines.
_NO_RIVALS: Final = frozenset({Policy.META_REVENUE, Policy.META_MARGIN, OWN_SCORES, *ORACLES})


def metric_of(figures: ProtocolFigures) -> str:
    """Return the metric that decides: true probabilities have no noise of purchases."""
    wanted = _DECIDING[figures.objective]
    return next((one for one in wanted if one in figures.scorers[META]), wanted[-1])


def metric_name(figures: ProtocolFigures) -> str:
    """Return the name of the metric that decides."""
    return METRIC_NAMES[metric_of(figures)].replace("bought", outcome_name(figures))


def outcome_name(figures: ProtocolFigures) -> str:
    """Return what was done with a sale that counts: bought, or with `CLICK` clicked, too."""
    return "clicked or bought" if figures.objective is TrainingObjective.CLICK else "bought"


def deciding(evaluation: Evaluation) -> ProtocolFigures | None:
    """Return the protocol that decides, None if nothing was measured.

    All open sales where the truth is known, else the lists that customers saw: of a sale that was
    open and not shown, it is unknown whether it would have been bought.
    """
    every = evaluation.protocols
    known = every.get(Protocol.OPEN)
    if known is not None and metric_of(known) in EXPECTED:
        return known
    return every.get(Protocol.SHOWN, known)


def rivals(figures: ProtocolFigures, metric: str) -> dict[str, Difference]:
    """Return the paired differences of other scorers to the meta-model, the best first."""
    found = {
        scorer: differences[metric]
        for scorer, differences in figures.differences.get(META, {}).items()
        if scorer not in _NO_RIVALS and metric in differences
    }
    return dict(sorted(found.items(), key=lambda item: -item[1].interval.value))


def conclusion(evaluation: Evaluation) -> Conclusion:
    """Say whether the meta-model ranks better than its best part and baseline.

    A second sentence compares it with the user's own ranking, if there is one.
    """
    figures = deciding(evaluation)
    against = {} if figures is None else rivals(figures, metric_of(figures))
    if figures is None or not against:
        text = "There is nothing to compare: no outcome follows what was shown then."
        return Conclusion(Mark("cannot tell", Tone.OPEN), text)
    found = _against_parts(figures, against)
    own = figures.differences[META].get(OWN_SCORES, {}).get(metric_of(figures))
    if own is None:
        return found
    text = f"Your own ranking ({OWN_SCORES}) {_OWN_WORDS[own.verdict]}: "
    return Conclusion(found.mark, f"{found.text} {text}{_values(figures, OWN_SCORES, own)}.")


def calibration_conclusion(evaluation: Evaluation) -> str:
    """Say whether probabilities of shown sales are as wanted, or that none could be judged."""
    measured = evaluation.reliability
    found = next((measured[kind] for kind in (AS_SHOWN, UNPLACED) if kind in measured), None)
    if found is None:
        return "Probabilities were not judged: no list that was shown is on record for this time."
    figures = deciding(evaluation)
    objective = TrainingObjective.PURCHASE if figures is None else figures.objective
    return calibration_text(found.figures, outcomes=outcome_noun(objective))


def paired_conclusion(evaluation: Evaluation) -> Conclusion:
    """Say whether the bundle ranks better than the reference bundle, by the metric that decides."""
    figures = deciding(evaluation)
    name = next((name for name, one in evaluation.protocols.items() if one is figures), None)
    if (
        figures is None
        or name is None
        or (metric := metric_of(figures)) not in evaluation.paired[name].differences
    ):
        text = "There is nothing to compare two bundles by: no outcome follows what was shown then."
        return Conclusion(Mark("cannot tell", Tone.OPEN), text)
    paired = evaluation.paired[name]
    found, interval = paired.differences[metric], paired.differences[metric].interval
    gain = f"{interval.value + 0.0:+.3g}"
    if not math.isnan(found.p):
        gain += f" [{interval.low + 0.0:+.3g}, {interval.high + 0.0:+.3g}]"
    text = (
        f"This bundle {_PAIRED_WORDS[found.verdict]} bundle {paired.reference_id}. The "
        f"{metric_name(figures)}: {paired.own[metric].value:.3g} against "
        f"{paired.reference[metric].value:.3g}, difference {gain}, on {interval.n:,} slates of "
        f"the protocol {name}."
    )
    return Conclusion(PAIRED_MARKS[found.verdict], text)


def _against_parts(figures: ProtocolFigures, against: Mapping[str, Difference]) -> Conclusion:
    metric = metric_of(figures)
    better = [name for name, one in against.items() if one.verdict is Verdict.BETTER]
    undecided = [name for name, one in against.items() if one.verdict is Verdict.OPEN]
    best = (better or undecided or list(against))[0]
    values = f"{metric_name(figures)}: {_values(figures, best, against[best])}"
    if math.isnan(against[best].p):
        text = "All slates are of one customer, which says nothing of others"
        text = f"{text}. Beside {best}, the {values}."
        return Conclusion(Mark("cannot tell", Tone.OPEN), text)
    if metric != MRR and not any(one.interval.low or one.interval.high for one in against.values()):
        return _undistinguished(figures)
    if better:
        text = f"The meta-model ranks worse than {best}, by {values}."
        return Conclusion(Mark("below", Tone.BAD), text)
    if not undecided:
        text = f"The meta-model ranks better than each of {len(against)} other scorers"
        return Conclusion(Mark("above all", Tone.GOOD), f"{text}; the best is {best}, by {values}.")
    n_compared = sum(metric in row for row in figures.differences[META].values())
    doubt = _doubt(against[best], n_compared=n_compared)
    text = (
        f"The meta-model ranks better than {len(against) - len(undecided)} of {len(against)} other "
        f"scorers, worse than none; its difference to the best of the others, {best}, "
        f"{doubt}. The {values}."
    )
    return Conclusion(Mark("cannot tell", Tone.OPEN), text)


def _values(figures: ProtocolFigures, name: str, difference: Difference) -> str:
    """Return both values, and the difference as that of the meta-model minus the other."""
    own, its = (figures.scorers[one][metric_of(figures)].value for one in (META, name))
    gap = difference.interval
    # Minus 0 has a sign, 0 minus 0 has none.
    gain = f"{0 - gap.value:+.3g}"
    # One customer's resamples all agree: their interval would be a point.
    if not math.isnan(difference.p):
        gain += f" [{0 - gap.high:+.3g}, {0 - gap.low:+.3g}]"
    return f"{own:.3g} against {its:.3g}, difference {gain}"


def _doubt(difference: Difference, *, n_compared: int) -> str:
    if difference.interval.low <= 0 <= difference.interval.high:
        return "may be chance"
    return (
        f"is one of {n_compared} comparisons: adjusted for them its p-value is "
        f"{difference.p:.2g}, not below {ALPHA:.0%}"
    )


def _undistinguished(figures: ProtocolFigures) -> Conclusion:
    own = figures.scorers[META][metric_of(figures)].value
    why = (
        "of at most ten open sales the first ten are all" if own else "nothing is known to be paid"
    )
    text = (
        f"Every order has the same {metric_name(figures)}, {own:.3g}: {why}. It cannot tell orders"
        " apart; the report and --json have the mean reciprocal rank."
    )
    return Conclusion(Mark("cannot tell", Tone.OPEN), text)
