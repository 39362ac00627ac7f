"""Plan diff: the differences between two plans of experiments as lines of text."""

from collections.abc import Iterator
from typing import Final

from models.experiments.plan.bucketing import Buckets, share_bp
from models.experiments.plan.experiment import Kind
from models.experiments.plan.plan import Plan

# Chosen: bounds an audit entry; the last line counts those that are omitted.
MAX_CHANGES: Final = 200

ABSENT: Final = "–"


def changes(before: Plan, after: Plan) -> tuple[str, ...]:
    """Return the differences between two plans, each ``what: before → after``, sorted.

    Buckets are summarised by their share; exact buckets are in the plans.
    """
    old, new = dict(_facts(before)), dict(_facts(after))
    names = sorted(name for name in old.keys() | new.keys() if old.get(name) != new.get(name))
    said = [f"{name}: {old.get(name, ABSENT)} → {new.get(name, ABSENT)}" for name in names]
    if len(said) > MAX_CHANGES:
        n_more = len(said) - MAX_CHANGES + 1
        said = [*said[: MAX_CHANGES - 1], f"and {n_more} more"]
    return tuple(said)


def _facts(plan: Plan) -> Iterator[tuple[str, str]]:
    # An unset field follows the service's settings, and an explicit null does not.
    yield "default", plan.default.model_dump_json(exclude_unset=True, exclude={"rules"})
    for place, rule in enumerate(plan.default.rules.root, start=1):
        said = rule.model_dump_json(exclude_unset=True, exclude={"name"})
        yield f"rule {rule.name}", f"number {place}, {said}"
    if plan.holdout is not None:
        yield "holdout", plan.holdout.model_dump_json()
    for layer in plan.layers:
        yield f"layer {layer.name}", layer.model_dump_json(exclude={"name"})
    for experiment in plan.experiments:
        facts = {
            "layer": experiment.layer,
            "salt": experiment.salt,
            "traffic": _buckets(experiment.traffic),
            "start": experiment.starts_at.isoformat(),
            "end": experiment.ends_at.isoformat() if experiment.ends_at else ABSENT,
            "audience": experiment.audience.model_dump_json(exclude_defaults=True),
            "control": experiment.control,
            "results": experiment.results.model_dump_json(exclude_unset=True),
        }
        if experiment.kind is Kind.INTERLEAVING:
            facts["kind"] = experiment.kind
        for variant in experiment.variants:
            policy = variant.policy.model_dump_json(exclude_unset=True)
            facts[f"variant {variant.name}"] = f"{_buckets(variant.buckets)} {policy}"
        for field, value in facts.items():
            yield f"experiment {experiment.name}, {field}", value


def _buckets(buckets: Buckets) -> str:
    return f"{share_bp(buckets)} bp"
