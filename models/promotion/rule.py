"""Promotion rules: conditions for showing a bundle to more customers."""

from typing import Annotated, Final, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from models.experiments.plan.bucketing import BUCKETS
from models.experiments.plan.rules import INTERLEAVING_RULES, Rules

# Half of all: an equal share of customers sees the serving bundle.
MAX_SHARE_BP: Final = BUCKETS // 2
"""Maximum share of a canary."""

_FROZEN: Final = ConfigDict(frozen=True, extra="forbid")

Share = Annotated[float, Field(ge=0, le=1)]
ShareBp = Annotated[int, Field(gt=0, le=MAX_SHARE_BP)]


# Defaults of all rules are chosen, not measured; an operator sets them by the shop's traffic.
_DIVIDED: Final = Rules(window_hours=24.0)
_SHARED: Final = _DIVIDED.completed_by(INTERLEAVING_RULES)


class ShadowRules(BaseModel):
    """Conditions on a candidate in shadow."""

    model_config = _FROZEN

    min_answers: int = Field(default=500, ge=1, description="Answers that it ranked again.")
    max_hours: float = Field(default=72.0, gt=0, description="Undecided for longer: stopped.")
    max_failed: Share = Field(default=0.01, description="Share of rankings that failed.")
    max_slower: float = Field(
        default=0.5, ge=0, description="Computing time beyond the serving bundle's, as a share."
    )
    min_overlap: Share = Field(
        default=0.2, description="Sales of an answer that it shows too, as a share."
    )
    max_drift: float = Field(
        default=0.5,
        gt=0,
        description="Mean purchase probability shown, apart from the serving bundle's, as a share.",
    )
    max_missing: Share = Field(
        default=0.05, description="Missing features, more than the serving bundle's, as a share."
    )


class EstimateRules(BaseModel):
    """Conditions on the off-policy estimate of a candidate."""

    model_config = _FROZEN

    estimator: Literal["dm", "ips", "snips", "dr", "rips", "cascade-dr"] = "cascade-dr"
    margin: Share = Field(
        default=0.1, description="Worse by so much of the logged value at most, for certain."
    )
    min_drawn: Share = Field(
        default=0.1,
        description="Share of answers drawn by Plackett-Luce from which an estimate is awaited; of "
        "fewer `without_support` decides at once, unless one was submitted.",
    )
    without_support: Literal["canary", "stop"] = Field(
        default="canary",
        description="What follows where no estimate is awaited, or the log supports none.",
    )
    max_hours: float = Field(default=168.0, gt=0, description="No estimate for longer: stopped.")


class InterleavingRules(BaseModel):
    """Conditions on a candidate that shares slates; without room in the plan, canary follows."""

    model_config = _FROZEN

    share_bp: int = Field(
        default=200,
        gt=0,
        le=BUCKETS,
        description="Share of customers whose slates are shared, in basis points.",
    )
    metric: Literal["overall", "purchases", "clicks"] = "overall"
    margin: Share = Field(
        default=0.1,
        description="Preferred less by so much at most, for certain, before a canary; one that is "
        "preferred less for certain, by however little, is stopped.",
    )
    min_hours: float = Field(default=24.0, ge=0, description="Shared for so long at least.")
    max_days: float = Field(
        default=7.0, gt=0, description="Undecided for longer: the canary decides."
    )
    min_answers: int = Field(default=500, ge=1, description="Answers before failures are a share.")
    max_failed: Share = Field(
        default=0.01, description="Share of answers in which it could not rank."
    )
    results: Rules = Field(
        default=_SHARED,
        description="How the experiment is read; `planned_units` are customers who prefer one.",
    )

    @field_validator("results")
    @classmethod
    def _is_completed(cls, given: Rules) -> Rules:
        return given.completed_by(_SHARED)


class CanaryRules(BaseModel):
    """Conditions on a candidate in canary."""

    model_config = _FROZEN

    shares_bp: tuple[ShareBp, ...] = Field(
        default=(100, 1_000, MAX_SHARE_BP),
        min_length=1,
        max_length=20,
        description="Shares of customers one after the other, rising, in basis points.",
    )
    metric: Literal["conversion", "purchases", "revenue"] = "conversion"
    min_units: int = Field(
        default=1_000, ge=1, description="Customers of each side that come at each share."
    )
    min_hours: float = Field(default=24.0, ge=0, description="At each share at least.")
    max_days: float = Field(default=28.0, gt=0, description="Undecided for longer: stopped.")
    margin: Share = Field(
        default=0.1, description="Worse by so much at most, for certain, before all see it."
    )
    results: Rules = Field(default=_DIVIDED, description="How the experiment is read.")

    @field_validator("results")
    @classmethod
    def _is_completed(cls, given: Rules) -> Rules:
        return given.completed_by(_DIVIDED)

    @model_validator(mode="after")
    def _rises(self) -> Self:
        if list(self.shares_bp) != sorted(set(self.shares_bp)):
            said = ", ".join(map(str, self.shares_bp))
            msg = f"shares of the canary must rise, got {said}"
            raise ValueError(msg)
        return self


class PromotionRules(BaseModel):
    """The rules of every stage of a promotion."""

    model_config = _FROZEN

    shadow: ShadowRules = ShadowRules()
    estimate: EstimateRules = EstimateRules()
    interleaving: InterleavingRules = InterleavingRules()
    canary: CanaryRules = CanaryRules()
