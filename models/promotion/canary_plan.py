"""Experiments of a promotion in the plan: its interleaving, then its canary.

In an interleaving both bundles share each slate; in a canary they get equal shares of customers.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Final

from models.experiments.plan.bucketing import BUCKETS
from models.experiments.plan.experiment import Experiment, Kind
from models.experiments.plan.plan import Layer, Plan, given_fields
from models.experiments.plan.plan_edit import (
    ExperimentDraft,
    PlanDraft,
    with_end,
    with_experiment,
    without_experiment,
)
from models.promotion.count import CANDIDATE, SERVING
from models.promotion.promotion import Promotion

LAYER: Final = "promotion"
"""Layer of promotions; experiments on bundles belong into it, so that they exclude each other."""

PREFIX: Final = "promotion-"
"""Of the names of promotions' experiments."""


def with_canary(plan: Plan, promotion: Promotion, *, share_bp: int, now: datetime) -> Plan:
    """Return a plan with the canary of a promotion at a share of all customers.

    Half of its traffic sees the candidate. A larger share adds traffic and moves no customer from
    one side to the other, so that the sides stay comparable. Canaries of earlier promotions are
    removed; their findings are in their decisions.

    Args:
        plan: The plan.
        promotion: The promotion.
        share_bp: Share of customers that see the candidate, at most half of all.
        now: Start of a canary that the plan does not have yet.

    Raises:
        ValueError: If the plan cannot hold it; see `Plan`.
    """
    variants = [
        {
            "name": CANDIDATE,
            "share_bp": BUCKETS // 2,
            "policy": {"bundle": promotion.candidate},
        },
        {"name": SERVING, "share_bp": BUCKETS // 2},
    ]
    terms = {
        "name": promotion.experiment,
        "traffic_bp": 2 * share_bp,
        "variants": variants,
        "results": promotion.rules.canary.results.model_dump(),
    }
    return _with(plan, promotion, terms, now=now)


def with_interleaving(plan: Plan, promotion: Promotion, *, now: datetime) -> Plan:
    """Return a plan with the interleaving of a promotion.

    Args:
        plan: The plan.
        promotion: The promotion.
        now: Start of an interleaving that the plan does not have yet.

    Raises:
        ValueError: If the plan cannot hold it; see `Plan`.
    """
    terms = {
        "name": promotion.interleaving,
        "kind": Kind.INTERLEAVING,
        "traffic_bp": promotion.rules.interleaving.share_bp,
        "variants": [
            {"name": CANDIDATE, "policy": {"bundle": promotion.candidate}},
            {"name": SERVING},
        ],
        "results": promotion.rules.interleaving.results.model_dump(),
    }
    return _with(plan, promotion, terms, now=now)


def with_ends(plan: Plan, promotion: Promotion, *, now: datetime) -> Plan:
    """Return a plan in which no experiment of a promotion runs.

    Results of ended ones stay readable: those that are over already are left as they are.

    Args:
        plan: The plan.
        promotion: The promotion.
        now: When those that run end, after their start.
    """
    for name in promotion.experiments:
        plan = with_end(plan, name, now=now)
    return plan


def _with(plan: Plan, promotion: Promotion, terms: Mapping[str, object], *, now: datetime) -> Plan:
    if plan.default.bundle is not None:
        msg = (
            f"the plan's default names bundle {plan.default.bundle}, so that no activated bundle "
            "is served: remove it from the default first"
        )
        raise ValueError(msg)
    name = terms["name"]
    for experiment in plan.experiments:
        if not _is_promotions(experiment) or experiment.name == name:
            continue
        # Results of its own interleaving stay readable while it is in canary.
        plan = (
            with_end(plan, experiment.name, now=now)
            if experiment.name in promotion.experiments and experiment.starts_at < now
            else without_experiment(plan, experiment.name)
        )
    held = next((one for one in plan.experiments if one.name == name), None)
    draft = ExperimentDraft.model_validate(
        {
            "layer": LAYER,
            "salt": name,
            "starts_at": held.starts_at if held else now,
            "control": SERVING,
            **terms,
        }
    )
    return with_experiment(_with_layer(plan, promotion.experiment), draft)


def with_its_experiments(draft: PlanDraft, before: Plan) -> PlanDraft:
    """Return a draft with the promotion's experiments of the previous plan, but those it has.

    Otherwise uploading a plan from a file would end the running promotion.
    """
    kept = [one for one in before.experiments if _is_promotions(one)]
    named = {one.name for one in draft.experiments}
    kept = [one for one in kept if one.name not in named]
    if not kept:
        return draft
    whole = Plan.model_validate({**given_fields(before), "experiments": kept})
    exact = PlanDraft.model_validate_json(whole.to_json())
    known = {layer.name for layer in draft.layers}
    layers = [one for one in before.layers if one.name == LAYER and LAYER not in known]
    return PlanDraft.model_validate(
        {
            **given_fields(draft),
            "layers": [*draft.layers, *layers],
            "experiments": [*draft.experiments, *exact.experiments],
        }
    )


def _is_promotions(experiment: Experiment) -> bool:
    return experiment.layer == LAYER and experiment.name.startswith(PREFIX)


def _with_layer(plan: Plan, name: str) -> Plan:
    # A salt of its own, so that each canary starts with other customers.
    if any(one.layer == LAYER for one in plan.experiments):
        return plan
    layer = Layer(name=LAYER, salt=f"{name}-traffic")
    layers = [one for one in plan.layers if one.name != LAYER]
    return Plan.model_validate({**given_fields(plan), "layers": [*layers, layer]})
