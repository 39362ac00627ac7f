"""Publishing gate: decides whether a candidate bundle replaces the champion."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from pydantic import JsonValue

from training.statistics.bootstrap import Interval

BASELINE: Final = "popularity"
"""What a first bundle is compared with: its own popularity."""


@dataclass(frozen=True)
class Decision:
    """Decision of the publishing gate.

    Attributes:
        passed: Whether the candidate may be published.
        reasons: Why not, one sentence a measure; or what it is based on.
    """

    passed: bool
    reasons: tuple[str, ...]


def decide(differences: Mapping[str, Interval], *, reference: str) -> Decision:
    """Refuse a candidate that is worse than the reference by any measure, beyond noise.

    Worse beyond noise: the whole 95% interval of the paired difference lies below 0. With
    three measures an equally good candidate is refused in at most 7.5% of the nights.

    Args:
        differences: Candidate less reference by measure, higher is better.
        reference: Name of what it was compared with.
    """
    if not differences:
        return Decision(False, ("nothing was bought after the training data: not judged",))
    worse = {name: found for name, found in differences.items() if found.high < 0}
    if worse:
        told = (_told(name, found, reference) for name, found in worse.items())
        return Decision(False, tuple(told))
    return Decision(True, (f"not worse than {reference} by {', '.join(differences)}",))


def described(difference: Interval) -> dict[str, JsonValue]:
    """Return an interval as JSON."""
    return {
        "value": difference.value,
        "low": difference.low,
        "high": difference.high,
        "n": difference.n,
    }


def _told(name: str, found: Interval, reference: str) -> str:
    return (
        f"{name} is {-found.value:.4g} below {reference} on {found.n} slates "
        f"(95% interval of the difference {found.low:.4g} to {found.high:.4g})"
    )
