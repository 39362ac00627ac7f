"""Experiments: variants, traffic and audience; validated as a whole, not repaired."""

from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum
from functools import cached_property
from typing import Final, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from models.domain.event import Identifier, Market, Name
from models.domain.times import Time
from models.experiments.plan.bucketing import (
    BUCKETS,
    EVERY_BUCKET,
    BucketRange,
    Buckets,
    overlap,
    share_bp,
)
from models.experiments.plan.rules import INTERLEAVING_RULES, Rules
from models.slate.slate_policy import UNCHANGED, PolicyChange

MAX_VARIANTS: Final = 20  # chosen, not measured

INTERLEAVED: Final = "interleaved"
"""Reserved name of the assignment of units whose slates are interleaved."""

N_TEAMS: Final = 2

_FROZEN: Final = ConfigDict(frozen=True, extra="forbid")


class Unit(StrEnum):
    """Assignment unit."""

    CUSTOMER = "customer"
    SESSION = "session"
    DEVICE = "device"


class Kind(StrEnum):
    """Kind of an experiment: each unit sees one variant, or two variants in one slate."""

    AB = "ab"
    INTERLEAVING = "interleaving"


class Visitors(StrEnum):
    """Customers that an experiment includes: all, new, or returning."""

    ALL = "all"
    NEW = "new"
    RETURNING = "returning"


class Audience(BaseModel):
    """Audience of an experiment; a customer who leaves it leaves the experiment."""

    model_config = _FROZEN

    markets: frozenset[Market] | None = Field(default=None, description="Unset: every market.")
    devices: frozenset[Identifier] | None = Field(default=None, description="Unset: every device.")
    visitors: Visitors = Field(
        default=Visitors.ALL, description="New: without any event on record."
    )

    def includes(self, *, market: str | None, device: str | None, is_new: bool | None) -> bool:
        """Return whether a visit is in the audience; an unknown property never matches."""
        return (
            (self.markets is None or market in self.markets)
            and (self.devices is None or device in self.devices)
            and (self.visitors is Visitors.ALL or is_new is (self.visitors is Visitors.NEW))
        )


class Variant(BaseModel):
    """One arm of an experiment, or one team of an interleaving."""

    model_config = _FROZEN

    name: Name
    buckets: Buckets = Field(
        default=(), description="Buckets of the experiment's own deal; none in an interleaving."
    )
    policy: PolicyChange = UNCHANGED

    @cached_property
    def share_bp(self) -> int:
        """Share of the experiment's units, in basis points."""
        return share_bp(self.buckets)


class Experiment(BaseModel):
    """Experiment: a randomised comparison of policies on part of the units of a layer."""

    model_config = _FROZEN

    name: Name
    kind: Kind = Kind.AB
    layer: Name
    salt: str = Field(min_length=1, max_length=128, description="A new salt deals units anew.")
    traffic: Buckets = Field(
        default=EVERY_BUCKET, min_length=1, description="Buckets of the layer that take part."
    )
    starts_at: Time
    ends_at: Time | None = None
    audience: Audience = Audience()
    control: Name = Field(description="Name of the variant that the others are compared with.")
    variants: tuple[Variant, ...] = Field(min_length=1, max_length=MAX_VARIANTS)
    results: Rules = Field(default=Rules(), description="How its results are computed.")

    @model_validator(mode="after")
    def _is_whole(self) -> Self:
        names = [variant.name for variant in self.variants]
        if len(set(names)) != len(names):
            msg = f"variants must have distinct names, got {', '.join(names)}"
            raise ValueError(msg)
        _require_apart({f"traffic {i}": (one,) for i, one in enumerate(self.traffic)})
        if self.kind is Kind.INTERLEAVING:
            _require_teams(self)
        else:
            _require_shares(self)
        if self.control not in names:
            msg = f"control {self.control!r} is no variant of {self.name}"
            raise ValueError(msg)
        if self.ends_at is not None and self.ends_at <= self.starts_at:
            msg = f"{self.name} must end after its start {self.starts_at.isoformat()}"
            raise ValueError(msg)
        return self

    def runs_at(self, now: datetime) -> bool:
        """Return whether it runs at a time: from its start, before its end."""
        return self.starts_at <= now and (self.ends_at is None or now < self.ends_at)

    @property
    def read_by(self) -> Rules:
        """How its results are computed: what it says, else the defaults of its kind."""
        usual = INTERLEAVING_RULES if self.kind is Kind.INTERLEAVING else Rules()
        return self.results.completed_by(usual)

    def variant_for(self, number: int) -> Variant:
        """Return the variant of a bucket."""
        return self.variants[self._variant_by_bucket[number]]

    @property
    def teams(self) -> tuple[Variant, Variant]:
        """The variants of an interleaving: the control, and its rival."""
        rival = next(variant for variant in self.variants if variant.name != self.control)
        return self.variant_named(self.control), rival

    def variant_named(self, name: str) -> Variant:
        """Return the variant of a name.

        Raises:
            KeyError: If there is none.
        """
        return {variant.name: variant for variant in self.variants}[name]

    def takes(self, number: int) -> bool:
        """Return whether a bucket of the layer takes part."""
        return any(number in buckets for buckets in self.traffic)

    @cached_property
    def _variant_by_bucket(self) -> bytes:
        # A table by bucket: after many changes a variant may have too many ranges to scan.
        table = bytearray(BUCKETS)
        for index, variant in enumerate(self.variants):
            for one in variant.buckets:
                table[one.start : one.stop] = bytes([index]) * len(one)
        return bytes(table)


def _require_shares(experiment: Experiment) -> None:
    _require_apart({variant.name: variant.buckets for variant in experiment.variants})
    total = 0
    for variant in experiment.variants:
        if not variant.buckets:
            msg = f"variant {variant.name} of {experiment.name} has no buckets"
            raise ValueError(msg)
        total += variant.share_bp
    if total != BUCKETS:
        msg = f"shares of the variants of {experiment.name} must sum to {BUCKETS}, got {total}"
        raise ValueError(msg)


def _require_teams(experiment: Experiment) -> None:
    name, variants = experiment.name, experiment.variants
    if len(variants) != N_TEAMS:
        msg = f"{name} interleaves two variants, got {len(variants)}"
        raise ValueError(msg)
    for variant in variants:
        if variant.name == INTERLEAVED:
            msg = f"{name} cannot name a variant {INTERLEAVED!r}: units are assigned by that name"
            raise ValueError(msg)
        if variant.buckets:
            msg = f"variant {variant.name} of {name} has buckets: every unit sees both variants"
            raise ValueError(msg)
        if "exploration" in variant.policy.model_fields_set:
            msg = (
                f"variant {variant.name} of {name} changes exploration, which interleaved slates "
                "do not have: compare it by shares"
            )
            raise ValueError(msg)
        for field in ("rules", "covers"):
            if field in variant.policy.model_fields_set:
                msg = (
                    f"variant {variant.name} of {name} changes {field}, and an interleaved slate "
                    "has one set of them: compare it by shares"
                )
                raise ValueError(msg)


def _require_apart(held: Mapping[str, tuple[BucketRange, ...]]) -> None:
    items = list(held.items())
    for index, (name, buckets) in enumerate(items):
        for other, others in items[index + 1 :]:
            common = overlap(buckets, others)
            if common is not None:
                msg = f"{name} and {other} both hold bucket {common}"
                raise ValueError(msg)
