"""Plan drafts: experiments with shares, from which buckets are allocated."""

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Final, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from models.domain.event import Name
from models.domain.times import Time
from models.experiments.plan.bucketing import (
    BUCKETS,
    EVERY_BUCKET,
    Buckets,
    allocate_beside,
    resized,
)
from models.experiments.plan.experiment import MAX_VARIANTS, Audience, Experiment, Kind, Variant
from models.experiments.plan.plan import MAX_EXPERIMENTS, Holdout, Layer, Plan, given_fields, meet
from models.experiments.plan.rules import Rules
from models.rules.rule import SlateRules
from models.slate.slate_policy import UNCHANGED, PolicyChange, SlatePolicy

_FROZEN: Final = ConfigDict(frozen=True, extra="forbid")


class VariantDraft(BaseModel):
    """Draft of a variant, with its share or its exact buckets; in an interleaving with neither."""

    model_config = _FROZEN

    name: Name
    share_bp: int | None = Field(
        default=None, gt=0, le=BUCKETS, description="Share of units, in basis points."
    )
    buckets: Buckets | None = Field(
        default=None, min_length=1, description="Exact buckets, as a plan shows them."
    )
    policy: PolicyChange = UNCHANGED


class ExperimentTerms(BaseModel):
    """Draft of an experiment without its name."""

    model_config = _FROZEN

    kind: Kind = Field(
        default=Kind.AB,
        description="`ab`: each unit sees one variant. `interleaving`: it sees two in one slate.",
    )
    layer: Name
    salt: str = Field(min_length=1, max_length=128, description="A new salt deals units anew.")
    traffic_bp: int | None = Field(
        default=None,
        gt=0,
        le=BUCKETS,
        description="Share of the layer that takes part, in basis points; unset: all of it.",
    )
    traffic: Buckets | None = Field(
        default=None, min_length=1, description="Exact buckets of the layer instead."
    )
    starts_at: Time
    ends_at: Time | None = None
    audience: Audience = Audience()
    control: Name = Field(description="Name of the variant that the others are compared with.")
    variants: tuple[VariantDraft, ...] = Field(min_length=1, max_length=MAX_VARIANTS)
    results: Rules = Field(default=Rules(), description="How its results are computed.")

    @model_validator(mode="after")
    def _has_whole_shares(self) -> Self:
        if self.traffic_bp is not None and self.traffic is not None:
            msg = "either traffic_bp or traffic, not both"
            raise ValueError(msg)
        for variant in self.variants:
            n_sizes = (variant.share_bp is not None) + (variant.buckets is not None)
            if n_sizes != (self.kind is Kind.AB):
                wanted = "either share_bp or" if self.kind is Kind.AB else "neither share_bp nor"
                msg = f"variant {variant.name} needs {wanted} buckets"
                raise ValueError(msg)
        shares = [variant.share_bp for variant in self.variants if variant.share_bp is not None]
        if 0 < len(shares) < len(self.variants):
            msg = "either all variants name share_bp or all name buckets"
            raise ValueError(msg)
        if shares and sum(shares) != BUCKETS:
            msg = f"shares of the variants must sum to {BUCKETS}, got {sum(shares)}"
            raise ValueError(msg)
        return self

    def named(self, name: str) -> "ExperimentDraft":
        """Return it with its name."""
        return ExperimentDraft.model_validate({"name": name, **given_fields(self)})


class ExperimentDraft(ExperimentTerms):
    """Draft of an experiment, with shares or exact buckets."""

    name: Name


class PlanDraft(BaseModel):
    """Draft of a plan, with shares or exact buckets; the JSON of a `Plan` is valid as well."""

    model_config = _FROZEN

    default: SlatePolicy = SlatePolicy()
    holdout: Holdout | None = None
    layers: tuple[Layer, ...] = Field(default=(), max_length=MAX_EXPERIMENTS)
    experiments: tuple[ExperimentDraft, ...] = Field(default=(), max_length=MAX_EXPERIMENTS)

    def to_plan(self, before: Plan) -> Plan:
        """Return the plan, with buckets allocated so that as few units as possible move.

        Raises:
            ValueError: If the plan contradicts itself; see `Plan`.
        """
        plan = Plan(default=self.default, holdout=self.holdout, layers=self.layers)
        # Exact and unchanged buckets first; the others are allocated from what remains.
        held = {experiment.name: experiment for experiment in before.experiments}
        allocated: dict[str, Experiment] = {}
        for draft in sorted(self.experiments, key=lambda one: one.traffic_bp is not None):
            allocated[draft.name] = _allocated(draft, held.get(draft.name), allocated.values())
        return Plan.model_validate(
            {**dict(plan), "experiments": [allocated[draft.name] for draft in self.experiments]}
        )


def with_experiment(plan: Plan, draft: ExperimentDraft) -> Plan:
    """Return a plan with an experiment added or changed.

    As few units as possible move between its variants, and none of other experiments. Its traffic
    is allocated from the buckets that concurrent experiments of its layer leave free.

    Raises:
        ValueError: If the plan would contradict itself; see `Plan`.
    """
    others = [one for one in plan.experiments if one.name != draft.name]
    before = next((one for one in plan.experiments if one.name == draft.name), None)
    changed = _allocated(draft, before, others)
    experiments = [changed if one.name == draft.name else one for one in plan.experiments]
    if before is None:
        experiments.append(changed)
    return Plan.model_validate({**given_fields(plan), "experiments": experiments})


def require_answerable(plan: Plan, draft: ExperimentDraft, *, now: datetime) -> None:
    """Require that a new experiment, or a change of one, can have results.

    Args:
        plan: The plan so far; an experiment that is in it as drafted is left alone.
        draft: The experiment.
        now: The present time.

    Raises:
        ValueError: If it is over before it was ever in the plan, ends before any window does,
            interleaves a policy with itself, or runs and would have begun at another time.
    """
    policies = [one.policy.fields() for one in draft.variants]
    if draft.kind is Kind.INTERLEAVING and policies[0] == policies[-1]:
        msg = f"variants of {draft.name} have one policy, so that none can be preferred"
        raise ValueError(msg)
    before = next((one for one in plan.experiments if one.name == draft.name), None)
    if before and before.runs_at(now) and before.starts_at != draft.starts_at:
        msg = (
            f"{draft.name} has run since {before.starts_at.isoformat()}, and what it was answered "
            "before a later start would not count: keep its starts_at, or take another name"
        )
        raise ValueError(msg)
    ends_at = draft.ends_at
    if ends_at is None or (before is not None and before.ends_at == ends_at):
        return
    if before is None and ends_at <= now:
        msg = f"{draft.name} ended at {ends_at.isoformat()}, before it was put: give it a later end"
        raise ValueError(msg)
    window_hours = draft.results.window_hours
    if ends_at - draft.starts_at <= timedelta(hours=window_hours):
        msg = (
            f"{draft.name} must last longer than its window of {window_hours:g} hours, as every "
            "unit is observed for so long: give it a later end or smaller results.window_hours"
        )
        raise ValueError(msg)


def with_rules(plan: Plan, rules: SlateRules) -> Plan:
    """Return the plan with other rules of its default policy.

    Raises:
        ValueError: If the plan would contradict itself; see `Plan`.
    """
    default = SlatePolicy.model_validate({**given_fields(plan.default), "rules": rules})
    return Plan.model_validate({**given_fields(plan), "default": default})


def with_end(plan: Plan, name: str, *, now: datetime) -> Plan:
    """Return the plan with an experiment ended at a time after its start; an ended one stays."""

    def ended(one: Experiment) -> Experiment:
        if one.name != name or not one.runs_at(now):
            return one
        # Fields that were not set stay so: `exclude_unset` leaves them out of answers.
        return Experiment.model_validate({**given_fields(one), "ends_at": now})

    experiments = [ended(one) for one in plan.experiments]
    return Plan.model_validate({**given_fields(plan), "experiments": experiments})


def without_experiment(plan: Plan, name: str) -> Plan:
    """Return the plan without an experiment."""
    experiments = [one for one in plan.experiments if one.name != name]
    return Plan.model_validate({**given_fields(plan), "experiments": experiments})


def _allocated(
    draft: ExperimentDraft, before: Experiment | None, others: Iterable[Experiment]
) -> Experiment:
    # Another salt or layer reassigns every unit, so there is nothing to keep.
    same_salt = before if before and before.salt == draft.salt else None
    same_layer = before if before and before.layer == draft.layer else None
    traffic = draft.traffic or EVERY_BUCKET
    if draft.traffic_bp is not None:
        taken = tuple(
            one
            for other in others
            if other.layer == draft.layer and meet(other, draft)
            for one in other.traffic
        )
        held = same_layer.traffic if same_layer else ()
        traffic = allocate_beside(held, draft.traffic_bp, taken=taken)
    fields = given_fields(draft) | {"traffic": traffic, "variants": _variants(draft, same_salt)}
    fields.pop("traffic_bp", None)
    return Experiment.model_validate(fields)


def _variants(draft: ExperimentDraft, before: Experiment | None) -> list[Variant]:
    shares = [variant.share_bp or 0 for variant in draft.variants]
    exact = [variant.buckets for variant in draft.variants]
    if any(shares):
        held = {one.name: one.buckets for one in before.variants} if before else {}
        assigned = resized([held.get(variant.name, ()) for variant in draft.variants], shares)
    else:
        assigned = [buckets or () for buckets in exact]
    return [
        Variant.model_validate(
            {"name": variant.name}
            | ({"buckets": buckets} if buckets else {})
            | ({"policy": variant.policy} if "policy" in variant.model_fields_set else {})
        )
        for variant, buckets in zip(draft.variants, assigned, strict=True)
    ]
