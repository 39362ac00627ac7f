"""Promotion checks: one finding per rule, and the verdict (go, wait or stop) of all findings."""

from collections.abc import Sequence
from enum import StrEnum
from typing import Final

from pydantic import BaseModel, ConfigDict, Field

from models.experiments.analysis.guardrail import State

FINISHED: Final = "every rule holds"


class Verdict(StrEnum):
    """Next step of a candidate."""

    GO = "go"
    WAIT = "wait"
    STOP = "stop"


class Finding(BaseModel):
    """Result of one promotion rule: the value found, the limit, and the state."""

    model_config = ConfigDict(frozen=True)

    rule: str
    found: float | None = Field(description="Null where it is not known.")
    limit: float | None = Field(description="Null where the rule has none.")
    state: State
    said: str = Field(description="The same in words.")


def verdict(findings: Sequence[Finding]) -> Verdict:
    """Return the verdict: any breached rule stops, any open rule waits."""
    # A breach decides even while other rules are open.
    states = {finding.state for finding in findings}
    if State.BREACHED in states:
        return Verdict.STOP
    return Verdict.WAIT if State.OPEN in states else Verdict.GO


def reason(findings: Sequence[Finding]) -> str:
    """Return the findings that decide: the breached ones, otherwise the open ones."""
    for state in (State.BREACHED, State.OPEN):
        named = [finding.said for finding in findings if finding.state is state]
        if named:
            return "; ".join(named)
    return FINISHED


def at_least(rule: str, found: float, *, limit: float, unit: str) -> Finding:
    """Wait until a quantity reaches a limit."""
    state = State.HELD if found >= limit else State.OPEN
    return Finding(
        rule=rule, found=found, limit=limit, state=state, said=f"{found:.6g} of {limit:g} {unit}"
    )


def in_time(findings: Sequence[Finding], hours: float, *, limit: float) -> Finding:
    """Stop a candidate that is undecided for too long."""
    late = verdict(findings) is Verdict.WAIT and hours > limit
    return Finding(
        rule="max_hours",
        found=hours,
        limit=limit,
        state=State.BREACHED if late else State.HELD,
        said=f"undecided after {hours:.1f} of {limit:g} hours: {reason(findings)}",
    )
