"""Publishing gate: decides whether a candidate bundle replaces the champion."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from training.nightly.own_log import OwnLogValue
from training.statistics.bootstrap import Interval
from training.statistics.effective_size import MIN_REWARDED

# What a first bundle is compared with: its own popularity, which a shop has without any model.
BASELINE: Final = "popularity"

# Chosen: a loss that one night may bring, and less than what a log of some weeks can see.
MARGIN: Final = 0.02
# Chosen: of what the champion's probabilities know beyond one rate of all sales.
INFORMATION_MARGIN: Final = 0.1


class GateVerdict(StrEnum):
    """Verdict of the publishing gate."""

    PUBLISH = "publish"
    REFUSE = "refuse"
    ASK = "ask"


@dataclass(frozen=True)
class Decision:
    """Decision of the publishing gate.

    Attributes:
        verdict: Whether the candidate is published, refused, or needs customers to judge it.
        reasons: Why, a sentence each.
    """

    verdict: GateVerdict
    reasons: tuple[str, ...]


def decide(differences: Mapping[str, Interval], *, reference: str, outcomes: str) -> Decision:
    """Refuse a candidate that is worse than the reference by any measure, beyond noise.

    For logs that neither made. Worse beyond noise: the whole 95% interval of the paired difference
    lies below 0. With three measures an equally good candidate is refused in at most 7.5% of the
    nights.

    Args:
        differences: Candidate less reference by measure, higher is better.
        reference: Name of what it was compared with.
        outcomes: What followed slates, see `training.examples.outcomes.outcome_noun`.
    """
    if not differences:
        reason = f"no {outcomes} followed the training data, or of one customer alone: not judged"
        return Decision(GateVerdict.REFUSE, (reason,))
    worse = tuple(
        f"{name} is {-found.value:.4g} below {reference} on {found.n} slates "
        f"(95% interval of the difference {found.low:.4g} to {found.high:.4g})"
        for name, found in differences.items()
        if found.high < 0
    )
    if worse:
        return Decision(GateVerdict.REFUSE, worse)
    reason = f"no measure is significantly worse than {reference} ({', '.join(differences)})"
    return Decision(GateVerdict.PUBLISH, (reason,))


def decide_on_own_log(
    value: OwnLogValue, information: Interval | None, *, reference: str, outcomes: str
) -> Decision:
    """Decide on a candidate by a log that the champion made: publish, refuse, or ask customers.

    It is published if its value is certainly not below the champion's by more than `MARGIN`, and
    refused if it certainly is, or if its probabilities certainly know less. A log that shows
    neither is no reason for either.

    Args:
        value: See `training.nightly.own_log.value_of`.
        information: Log likelihood less the champion's, as a share of what the champion's is above
            that of one rate; None if that is unknown.
        reference: Name of the champion.
        outcomes: What is valued, see `training.examples.outcomes.outcome_noun`.
    """
    if information is not None and information.high < -INFORMATION_MARGIN:
        reason = (
            f"its probabilities know {_range(information)} of what those of {reference} know beyond"
            f" one rate, and may know {-INFORMATION_MARGIN:.0%}"
        )
        return Decision(GateVerdict.REFUSE, (reason,))
    found = value.whole or value.at_least
    if found is None or value.n_purchases < MIN_REWARDED:
        reason = (
            f"{value.n_purchases:.0f} effective {outcomes} followed answers of {reference}, or of "
            "its ranker with recommenders of other nights, in its own order, without rules, "
            f"filters, diversity or places for new sales, and {MIN_REWARDED:g} are needed"
        )
        return Decision(GateVerdict.ASK, (reason,))
    said = (
        f"compared with {reference} it brings {found.value:+.1%} {outcomes} (95% interval "
        f"{_range(found)}), and the interval must not reach below {-MARGIN:.0%}"
    )
    if value.whole is None:
        said = (
            f"without the sales that it alone shows, of which {value.explored:.0f} effective "
            f"explored {outcomes} say too little, {said}"
        )
    if found.low >= -MARGIN:
        return Decision(GateVerdict.PUBLISH, (said,))
    if value.whole is not None and found.high < -MARGIN:
        return Decision(GateVerdict.REFUSE, (said,))
    return Decision(GateVerdict.ASK, (said,))


def _range(one: Interval) -> str:
    return f"{one.low:+.1%} to {one.high:+.1%}"
