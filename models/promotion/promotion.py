"""Promotion: the stage of a candidate bundle, and the decisions that led to it."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final, Self

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from models.experiments.analysis.guardrail import State
from models.experiments.analysis.interleaving import InterleavingResults
from models.experiments.analysis.results import Results
from models.promotion.canary import live_findings, n_analysed, sale_findings
from models.promotion.check import FINISHED, Finding, Verdict, at_least, in_time, reason, verdict
from models.promotion.count import ShadowCounts
from models.promotion.estimate import OffPolicyEstimate, estimate_finding
from models.promotion.interleaving import interleaving_findings
from models.promotion.rule import PromotionRules
from models.promotion.shadow import shadow_findings

_HOUR: Final = timedelta(hours=1)
_HOURS_A_DAY: Final = 24
_FROZEN: Final = ConfigDict(frozen=True, extra="forbid")


class Stage(StrEnum):
    """Stage: shadow, off-policy estimate, interleaving, canary, active for all, or stopped."""

    SHADOW = "shadow"
    ESTIMATE = "estimate"
    INTERLEAVING = "interleaving"
    CANARY = "canary"
    FULL = "full"
    STOPPED = "stopped"


class Decision(BaseModel):
    """Decision of a promotion, with the findings that it is based on."""

    model_config = _FROZEN

    at: AwareDatetime
    who: str = Field(description="A worker by its name, a key, or where the call came from.")
    before: Stage | None = Field(description="Null for the beginning.")
    stage: Stage
    share_bp: int = Field(description="Share of customers that see it from then on.")
    reason: str
    findings: tuple[Finding, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """Evidence on a candidate at one time.

    Attributes:
        serving: The active bundle.
        counts: Sums of the workers' counts for this promotion.
        n_without: Workers that have not loaded the candidate.
        drawn_share: Share of answers that the plan's default policy draws by Plackett-Luce, by
            the plan or else by the service's setting.
        undone: The part of the stage that was reverted by hand; empty if none.
        unloaded: Why no worker can load the candidate; empty where one has, or none tried.
        results: Of the canary's experiment; None where there are none.
        interleaved: Of the interleaving; None where there are none.
        why_none: The reason for that.
    """

    serving: str
    counts: Mapping[str, int]
    n_without: int
    drawn_share: float
    undone: str = ""
    unloaded: str = ""
    results: Results | None = None
    interleaved: InterleavingResults | None = None
    why_none: str = ""


class Promotion(BaseModel):
    """Promotion of a candidate to all customers; immutable, each step returns the next state."""

    model_config = _FROZEN

    number: int = Field(ge=1, description="Counts the promotions of a store.")
    candidate: str = Field(description="Id of the bundle on trial.")
    serving: str = Field(description="Id of the bundle that answers meanwhile.")
    rules: PromotionRules
    stage: Stage
    share_bp: int = Field(description="Share of customers that see it, in basis points.")
    since: AwareDatetime = Field(description="When stage and share began.")
    n_before: int = Field(description="Customers of each side that earlier shares analysed.")
    is_settled: bool = Field(description="Whether plan and bundles are what the stage wants.")
    estimate: OffPolicyEstimate | None = Field(description="The last one handed in.")
    decisions: tuple[Decision, ...] = Field(min_length=1, description="The latest last.")

    @classmethod
    def begun(
        cls,
        number: int,
        candidate: str,
        *,
        serving: str,
        rules: PromotionRules,
        at: datetime,
        who: str,
    ) -> Self:
        """Begin a promotion, in shadow."""
        first = Decision(
            at=at,
            who=who,
            before=None,
            stage=Stage.SHADOW,
            share_bp=0,
            reason="begun",
            findings=(),
        )
        return cls(
            number=number,
            candidate=candidate,
            serving=serving,
            rules=rules,
            stage=Stage.SHADOW,
            share_bp=0,
            since=at,
            n_before=0,
            is_settled=False,
            estimate=None,
            decisions=(first,),
        )

    @property
    def is_over(self) -> bool:
        """Whether the promotion has ended."""
        return self.stage in {Stage.FULL, Stage.STOPPED}

    @property
    def experiment(self) -> str:
        """Name of the canary's experiment."""
        return f"promotion-{self.number}"

    @property
    def interleaving(self) -> str:
        """Name of the experiment in which it shares slates with the serving bundle."""
        return f"{self.experiment}-interleaving"

    @property
    def experiments(self) -> tuple[str, str]:
        """Names of both experiments."""
        return self.interleaving, self.experiment

    @property
    def stage_experiment(self) -> str | None:
        """Name of the experiment of its stage, None for a stage without one."""
        names = {Stage.INTERLEAVING: self.interleaving, Stage.CANARY: self.experiment}
        return names.get(self.stage)

    def settled(self) -> Self:
        """Return it as settled: plan and bundles are in accordance with its stage."""
        return self.model_copy(update={"is_settled": True})

    def unsettled(self) -> Self:
        """Return it as not settled, for a store that lost plan and bundles."""
        return self.model_copy(update={"is_settled": False})

    def with_estimate(self, estimate: OffPolicyEstimate) -> Self:
        """Return it with another estimate."""
        return self.model_copy(update={"estimate": estimate})

    def stopped(
        self, why: str, *, at: datetime, who: str, findings: tuple[Finding, ...] = ()
    ) -> Self:
        """Return it stopped."""
        return self._moved(Stage.STOPPED, 0, at=at, who=who, why=why, findings=findings)

    def without_interleaving(self, why: str, *, at: datetime, who: str) -> Self:
        """Return it in canary at the first share, where its interleaving has no room."""
        stage, share_bp = Stage.CANARY, self.rules.canary.shares_bp[0]
        said = f"no interleaving: {why}"
        return self._moved(stage, share_bp, at=at, who=who, why=said, findings=())

    def findings(self, evidence: Evidence, now: datetime) -> tuple[Finding, ...]:
        """Check the evidence against the rules of its stage; empty after its end."""
        if self.is_over:
            return ()
        undone = evidence.undone
        if evidence.serving != self.serving:
            undone = f"bundle {evidence.serving} was activated instead of {self.serving}"
        hours = (now - self.since) / _HOUR
        found: list[Finding] = []
        unloaded = evidence.unloaded and f"no worker can load the candidate: {evidence.unloaded}"
        found += [
            Finding(rule=rule, found=None, limit=None, state=State.BREACHED, said=said)
            for rule, said in {"by_hand": undone, "loaded": unloaded}.items()
            if said
        ]
        if self.stage is Stage.SHADOW:
            shadow, counts = self.rules.shadow, ShadowCounts.from_counts(evidence.counts)
            found += shadow_findings(shadow, counts, n_without=evidence.n_without)
            limit = shadow.max_hours
        elif self.stage is Stage.ESTIMATE:
            rules = self.rules.estimate
            found.append(estimate_finding(rules, self.estimate, drawn_share=evidence.drawn_share))
            limit = rules.max_hours
        elif self.stage is Stage.INTERLEAVING:
            return (*found, *self._interleaving_findings(evidence, hours))
        else:
            canary, unit = self.rules.canary, "hours at this share"
            found += [
                at_least("min_hours", hours, limit=canary.min_hours, unit=unit),
                *live_findings(canary, evidence.counts),
                *sale_findings(
                    canary,
                    evidence.results,
                    why_none=evidence.why_none,
                    n_before=self.n_before,
                    is_last=self.share_bp == canary.shares_bp[-1],
                ),
            ]
            limit = canary.max_days * _HOURS_A_DAY
        # Last, as it also says which rules are undecided.
        return (*found, in_time(found, hours, limit=limit))

    def _interleaving_findings(self, evidence: Evidence, hours: float) -> Iterator[Finding]:
        rules = self.rules.interleaving
        yield at_least("min_hours", hours, limit=rules.min_hours, unit="hours of shared slates")
        yield from interleaving_findings(
            rules,
            evidence.interleaved,
            counts=evidence.counts,
            why_none=evidence.why_none,
            is_late=hours > rules.max_days * _HOURS_A_DAY,
        )

    def stepped(self, evidence: Evidence, *, now: datetime, who: str) -> Self | None:
        """Return it one step further or stopped; None while rules are open, or after its end."""
        found = self.findings(evidence, now)
        decided = Verdict.WAIT if self.is_over else verdict(found)
        if decided is Verdict.WAIT:
            return None
        if decided is Verdict.STOP:
            return self.stopped(reason(found), at=now, who=who, findings=found)
        stage, share_bp = self._next()
        # What is said of an estimate is not that a rule holds: there may be none.
        why = found[0].said if self.stage is Stage.ESTIMATE else FINISHED
        moved = self._moved(stage, share_bp, at=now, who=who, why=why, findings=found)
        # Each share has to bring customers of its own.
        return moved.model_copy(update={"n_before": n_analysed(evidence.results)})

    def _next(self) -> tuple[Stage, int]:
        """Return the stage and the share that follow where every rule holds."""
        if self.stage is Stage.SHADOW:
            return Stage.ESTIMATE, 0
        if self.stage is Stage.ESTIMATE:
            return Stage.INTERLEAVING, self.rules.interleaving.share_bp
        shares = self.rules.canary.shares_bp
        if self.stage is Stage.INTERLEAVING:
            return Stage.CANARY, shares[0]
        larger = [one for one in shares if one > self.share_bp]
        return (Stage.CANARY, larger[0]) if larger else (Stage.FULL, 0)

    def _moved(
        self,
        stage: Stage,
        share_bp: int,
        *,
        at: datetime,
        who: str,
        why: str,
        findings: tuple[Finding, ...],
    ) -> Self:
        decision = Decision(
            at=at,
            who=who,
            before=self.stage,
            stage=stage,
            share_bp=share_bp,
            reason=why,
            findings=findings,
        )
        return self.model_copy(
            update={
                "stage": stage,
                "share_bp": share_bp,
                "since": at,
                "is_settled": False,
                "decisions": (*self.decisions, decision),
            }
        )
