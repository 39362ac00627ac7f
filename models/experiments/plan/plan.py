"""Plan: all experiments of a shop, and the routing of visits to variants."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from itertools import combinations
from typing import Final, Protocol, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from models.domain.event import Name
from models.experiments.plan.bucketing import BUCKETS, bucket, overlap
from models.experiments.plan.experiment import (
    INTERLEAVED,
    Experiment,
    Kind,
    Unit,
    Variant,
)
from models.rules.rule import SlateRule, SlateRules
from models.slate.slate_policy import SlatePolicy

HOLDOUT: Final = "holdout"
"""Reserved name of the assignment of held-out units."""

AUDIT: Final = "audit"
"""Reserved name: the service lists changes of the plan under it in the path of experiments."""

# Chosen: routing looks at every experiment of the plan in each request.
MAX_EXPERIMENTS: Final = 100

_FROZEN: Final = ConfigDict(frozen=True, extra="forbid")


def given_fields(model: BaseModel) -> dict[str, object]:
    """Return the fields that a model was given; the others stay out of its JSON."""
    return {name: getattr(model, name) for name in model.model_fields_set}


class UnknownVariantError(ValueError):
    """A forced variant that no experiment of the plan has."""


class ExclusiveVariantsError(ValueError):
    """Forced variants of experiments that exclude each other."""


class Layer(BaseModel):
    """Layer of mutually exclusive experiments; layers are independent of each other."""

    model_config = _FROZEN

    name: Name
    salt: str = Field(min_length=1, max_length=128)
    unit: Unit = Unit.CUSTOMER


class Holdout(BaseModel):
    """Global holdout: customers without experiments, to measure the effect of all experiments."""

    model_config = _FROZEN

    salt: str = Field(min_length=1, max_length=128)
    share_bp: int = Field(gt=0, lt=BUCKETS)


@dataclass(frozen=True, slots=True)
class Visit:
    """Input of routing.

    Attributes:
        now: The time, with a time zone.
        units: Id by unit, as far as the caller gave them.
        market: The market, if known.
        device: The kind of device, if known.
        is_new: Whether the customer has no events; None if that is unknown, which matches no
            audience of new or returning customers.
        forced: Name of the variant by experiment, where another platform decides.
    """

    now: datetime
    units: Mapping[Unit, str]
    market: str | None = None
    device: str | None = None
    is_new: bool | None = True
    forced: Mapping[str, str] = field(default_factory=dict[str, str])


@dataclass(frozen=True, slots=True)
class Assignment:
    """A unit's variant in one experiment.

    Attributes:
        experiment: Name of the experiment, or `HOLDOUT`.
        variant: Name of the variant, or `INTERLEAVED`.
        unit: Assignment unit.
        unit_id: Its id; None where a variant was forced on a visit that does not name it.
        share_bp: The variant's share of the experiment's units: the assignment propensity
            in basis points.
        is_forced: Whether another platform decided instead of the hash.
    """

    experiment: str
    variant: str
    unit: Unit
    unit_id: str | None
    share_bp: int
    is_forced: bool = False


@dataclass(frozen=True, slots=True)
class Interleaving:
    """The second policy of a visit whose slate is interleaved.

    Attributes:
        experiment: Name of the experiment.
        first: Name of the control, whose policy is that of the route.
        second: Name of the other variant.
        policy: The other variant's policy.
    """

    experiment: str
    first: str
    second: str
    policy: SlatePolicy


@dataclass(frozen=True, slots=True)
class Route:
    """Policy of a visit, and the assignments that determined it.

    Attributes:
        policy: The slate policy.
        assignments: Assigned variants by experiment, in the plan's order.
        interleaving: The policy that the slate is shared with, None for a slate of one policy.
    """

    policy: SlatePolicy
    assignments: tuple[Assignment, ...] = ()
    interleaving: Interleaving | None = None


@dataclass(frozen=True, slots=True)
class _Decided:
    """The variant of a visit in one experiment; with a rival, both make the slate."""

    experiment: Experiment
    variant: Variant
    assignment: Assignment
    rival: Variant | None = None


class Plan(BaseModel):
    """Plan of experiments: layers, experiments, holdout and the default policy."""

    model_config = _FROZEN

    default: SlatePolicy = SlatePolicy()
    holdout: Holdout | None = None
    layers: tuple[Layer, ...] = Field(default=(), max_length=MAX_EXPERIMENTS)
    experiments: tuple[Experiment, ...] = Field(default=(), max_length=MAX_EXPERIMENTS)

    @model_validator(mode="after")
    def _is_whole(self) -> Self:
        layers = {layer.name for layer in self.layers}
        _require_distinct("layers", [layer.name for layer in self.layers])
        _require_distinct("experiments", [HOLDOUT, AUDIT, *(one.name for one in self.experiments)])
        self._require_distinct_salts()
        for experiment in self.experiments:
            if experiment.layer not in layers:
                msg = f"{experiment.name} is in layer {experiment.layer!r}, which the plan lacks"
                raise ValueError(msg)
        self._require_rules_of_one_name_alike()
        for first, second in combinations(self.experiments, 2):
            if meet(first, second):
                _require_compatible(first, second)
        return self

    def _require_distinct_salts(self) -> None:
        salted = [(f"layer {one.name}", one.salt) for one in self.layers]
        salted += [(f"experiment {one.name}", one.salt) for one in self.experiments]
        salted += [] if self.holdout is None else [("the holdout", self.holdout.salt)]
        owners: dict[str, str] = {}
        for owner, salt in salted:
            if (other := owners.setdefault(salt, owner)) != owner:
                msg = f"{owner} has the salt {salt!r} of {other}: give it one that is used nowhere"
                raise ValueError(msg)

    @cached_property
    def bundles(self) -> frozenset[str]:
        """Ids of all named bundles."""
        policies = [variant.policy for one in self.experiments for variant in one.variants]
        named = {self.default.bundle, *(policy.bundle for policy in policies)}
        return frozenset(bundle for bundle in named if bundle)

    @cached_property
    def orders(self) -> frozenset[str]:
        """All values of ``order_by`` of its policies."""
        variants = [policy for one in self.experiments for policy in self.policies(one)]
        return frozenset(policy.order_by for policy in (self.default, *variants))

    @property
    def rules(self) -> Iterator[SlateRules]:
        """The rules of the default policy, then those of variants that have their own."""
        yield self.default.rules
        for experiment in self.experiments:
            yield from (one.policy.rules for one in experiment.variants)

    def _require_rules_of_one_name_alike(self) -> None:
        """Refuse two rules of one name: their prices would be one."""
        known: dict[str, SlateRule] = {}
        for rule in (one for rules in self.rules for one in rules.root):
            first = known.setdefault(rule.name, rule)
            if (first.when, first.where, first.action) != (rule.when, rule.where, rule.action):
                msg = f"two rules are named {rule.name} and differ: give one of them another name"
                raise ValueError(msg)

    def policies(self, experiment: Experiment) -> Iterator[SlatePolicy]:
        """Yield the policy of each variant of one of its experiments."""
        return (self.default.changed(variant.policy) for variant in experiment.variants)

    def to_json(self) -> bytes:
        """Serialise; variants list only the fields that they change. `Plan` reads it."""
        return self.model_dump_json(exclude_unset=True).encode()

    def route(self, visit: Visit) -> Route:
        """Return the policy of a visit, and the variants that determine it.

        Pure, without a store: a unit gets the same variants on every replica. A visit without
        an id of the layer's unit is in none of its experiments. A held-out unit gets forced
        variants and no others.

        Raises:
            UnknownVariantError: If a forced variant is not in a running experiment.
            ExclusiveVariantsError: If two variants of one layer are forced.
        """
        held, customer = self.holdout, visit.units.get(Unit.CUSTOMER)
        if held and not (customer and bucket(customer, held.salt) < held.share_bp):
            held = None
        if held and not visit.forced:
            assignment = Assignment(HOLDOUT, HOLDOUT, Unit.CUSTOMER, customer, held.share_bp)
            return Route(self.default, (assignment,))
        # A forced variant holds for a held-out unit too: another platform decided it.
        decided = [one for one in self._decided(visit) if held is None or one.assignment.is_forced]
        known = {one.experiment.name for one in decided}
        for experiment, variant in visit.forced.items():
            if experiment not in known:
                msg = f"no running experiment {experiment!r} has a variant {variant!r}"
                raise UnknownVariantError(msg)
        policy = self._policy(one.variant for one in decided)
        assignments = tuple([one.assignment for one in decided])
        both = next((one for one in decided if one.rival is not None), None)
        if both is None or both.rival is None:
            return Route(policy, assignments)
        # The order of both teams is all that is drawn: its propensities are known exactly.
        certain = {"exploration": None}
        rival = self._policy(one.rival or one.variant for one in decided)
        names = both.experiment.name, both.variant.name, both.rival.name
        interleaving = Interleaving(*names, rival.model_copy(update=certain))
        return Route(policy.model_copy(update=certain), assignments, interleaving)

    def _policy(self, variants: Iterable[Variant]) -> SlatePolicy:
        policy = self.default
        for variant in variants:
            policy = policy.changed(variant.policy)
        return policy

    def _decided(self, visit: Visit) -> Iterator[_Decided]:
        layers = {layer.name: layer for layer in self.layers}
        running = [one for one in self.experiments if one.runs_at(visit.now)]
        forced_layers = _forced_layers(one for one in running if one.name in visit.forced)
        for experiment in running:
            layer, is_forced = layers[experiment.layer], experiment.name in visit.forced
            unit_id = visit.units.get(layer.unit)
            name = None
            if is_forced:
                name = visit.forced[experiment.name]
            elif (
                layer.name not in forced_layers
                and unit_id is not None
                and experiment.audience.includes(
                    market=visit.market, device=visit.device, is_new=visit.is_new
                )
                and experiment.takes(bucket(unit_id, layer.salt))
            ):
                name = _assigned(experiment, unit_id)
            if name is not None:
                found = _found(experiment, name)
                if found is not None:
                    variant, rival, share = found
                    names = experiment.name, name
                    assignment = Assignment(*names, layer.unit, unit_id, share, is_forced)
                    yield _Decided(experiment, variant, assignment, rival)


def _assigned(experiment: Experiment, unit_id: str) -> str:
    if experiment.kind is Kind.INTERLEAVING:
        return INTERLEAVED
    return experiment.variant_for(bucket(unit_id, experiment.salt)).name


def _found(experiment: Experiment, name: str) -> tuple[Variant, Variant | None, int] | None:
    """Return the variant of a name with its rival and its share, None if there is none."""
    if experiment.kind is Kind.INTERLEAVING and name == INTERLEAVED:
        return *experiment.teams, BUCKETS
    found = next((one for one in experiment.variants if one.name == name), None)
    return None if found is None else (found, None, found.share_bp)


def _forced_layers(forced: Iterable[Experiment]) -> Mapping[str, str]:
    # By layer, its forced experiment: no other experiment of the layer may assign the visit.
    layers: dict[str, str] = {}
    for experiment in forced:
        other = layers.setdefault(experiment.layer, experiment.name)
        if other != experiment.name:
            msg = (
                f"{other} and {experiment.name} are both forced and exclude each other: both are "
                f"in layer {experiment.layer}"
            )
            raise ExclusiveVariantsError(msg)
    return layers


class Timed(Protocol):
    """An object with a start and an optional end."""

    @property
    def starts_at(self) -> datetime:
        """The start."""
        ...

    @property
    def ends_at(self) -> datetime | None:
        """The end, exclusive; None for never."""
        ...


def meet(first: Timed, second: Timed) -> bool:
    """Return whether both run at some common time."""
    return (second.ends_at is None or first.starts_at < second.ends_at) and (
        first.ends_at is None or second.starts_at < first.ends_at
    )


def _require_compatible(first: Experiment, second: Experiment) -> None:
    """Require that two experiments cannot change the same field for a unit at the same time."""
    if first.layer == second.layer:
        common = overlap(first.traffic, second.traffic)
        if common is not None:
            msg = (
                f"{first.name} and {second.name} of layer {first.layer} run at the same time "
                f"and both take bucket {common}"
            )
            raise ValueError(msg)
        return
    if first.kind is second.kind is Kind.INTERLEAVING:
        msg = (
            f"{first.name} and {second.name} both interleave at the same time: put them into one "
            "layer, as a slate has two teams"
        )
        raise ValueError(msg)
    both = _fields(first) & _fields(second)
    if both:
        msg = (
            f"{first.name} and {second.name} of different layers both change "
            f"{', '.join(sorted(both))}: put them into one layer"
        )
        raise ValueError(msg)


def _fields(experiment: Experiment) -> set[str]:
    fields = {name for variant in experiment.variants for name in variant.policy.fields()}
    # Interleaved slates do not explore.
    return fields | ({"exploration"} if experiment.kind is Kind.INTERLEAVING else set())


def _require_distinct(what: str, names: list[str]) -> None:
    if len(set(names)) != len(names):
        msg = f"{what} must be distinct, got {', '.join(names)}"
        raise ValueError(msg)
