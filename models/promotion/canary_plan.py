"""The canary as an experiment of the plan: the candidate beside as many who see what serves."""

from datetime import datetime
from typing import Final

from models.experiments.plan.bucketing import BUCKETS
from models.experiments.plan.experiment import Experiment
from models.experiments.plan.plan import Layer, Plan
from models.experiments.plan.plan_edit import (
    ExperimentDraft,
    PlanDraft,
    with_experiment,
    without_experiment,
)
from models.promotion.count import CANDIDATE, SERVING
from models.promotion.promotion import Promotion

LAYER: Final = "promotion"
"""Experiments on bundles belong into this layer, so that none meets a canary."""

_PREFIX: Final = "promotion-"


def with_canary(plan: Plan, promotion: Promotion, *, share_bp: int, now: datetime) -> Plan:
    """Return a plan with the canary of a promotion at a share of all customers.

    Half of its traffic sees the candidate. A larger share adds traffic and moves nobody from
    one side to the other, so that its sides stay comparable over all shares. Canaries of
    earlier promotions go: what came of them is with their decisions.

    Args:
        plan: The plan.
        promotion: The promotion.
        share_bp: Share of customers that see the candidate, at most half of all.
        now: Start of a canary that the plan does not have yet.

    Raises:
        ValueError: If the plan cannot hold it; see `Plan`.
    """
    if plan.default.bundle is not None:
        msg = (
            f"everybody sees bundle {plan.default.bundle}, which the plan's default names, "
            "whatever is activated: take it out there first"
        )
        raise ValueError(msg)
    name = promotion.experiment
    for experiment in plan.experiments:
        if _is_canary(experiment) and experiment.name != name:
            plan = without_experiment(plan, experiment.name)
    held = next((one for one in plan.experiments if one.name == name), None)
    draft = ExperimentDraft.model_validate(
        {
            "name": name,
            "layer": LAYER,
            "salt": name,
            "traffic_bp": 2 * share_bp,
            "starts_at": held.starts_at if held else now,
            "control": SERVING,
            "variants": [
                {
                    "name": CANDIDATE,
                    "share_bp": BUCKETS // 2,
                    "policy": {"bundle": promotion.candidate},
                },
                {"name": SERVING, "share_bp": BUCKETS // 2},
            ],
        }
    )
    return with_experiment(_with_layer(plan, name), draft)


def with_its_canary(draft: PlanDraft, before: Plan) -> PlanDraft:
    """Return a draft with the canary that the plan before it holds, unless it names it.

    Who keeps the plan in a file would otherwise end the promotion that runs.
    """
    kept = [one for one in before.experiments if _is_canary(one)]
    named = {one.name for one in draft.experiments}
    kept = [one for one in kept if one.name not in named]
    if not kept:
        return draft
    whole = Plan.model_validate({**_fields(before), "experiments": kept})
    exact = PlanDraft.model_validate_json(whole.to_json())
    known = {layer.name for layer in draft.layers}
    layers = [one for one in before.layers if one.name == LAYER and LAYER not in known]
    return PlanDraft.model_validate(
        {
            **_fields(draft),
            "layers": [*draft.layers, *layers],
            "experiments": [*draft.experiments, *exact.experiments],
        }
    )


def _is_canary(experiment: Experiment) -> bool:
    return experiment.layer == LAYER and experiment.name.startswith(_PREFIX)


def _fields(plan: Plan | PlanDraft) -> dict[str, object]:
    return {name: getattr(plan, name) for name in plan.model_fields_set}


def _with_layer(plan: Plan, name: str) -> Plan:
    """Deal a canary its customers anew, so that not the same ones are always the first."""
    if any(one.layer == LAYER for one in plan.experiments):
        return plan
    layer = Layer(name=LAYER, salt=f"{name}-traffic")
    layers = [one for one in plan.layers if one.name != LAYER]
    return Plan.model_validate({**_fields(plan), "layers": [*layers, layer]})
