"""Experiments as data: validated as a whole, never repaired."""

from collections.abc import Iterable, Mapping
from datetime import datetime
from enum import StrEnum
from functools import cached_property
from typing import Final, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from models.domain.event import Market
from models.domain.times import Time
from models.experiments.plan.bucketing import (
    BUCKETS,
    EVERY_BUCKET,
    BucketRange,
    Buckets,
    overlap,
    resized,
    share_bp,
)
from models.slate.slate_policy import UNCHANGED, Name, PolicyChange

MAX_VARIANTS: Final = 20

_FROZEN: Final = ConfigDict(frozen=True, extra="forbid")


class Unit(StrEnum):
    """What is dealt to variants."""

    CUSTOMER = "customer"
    SESSION = "session"
    DEVICE = "device"


class Visitors(StrEnum):
    """Whom an experiment is for, by what is known of him."""

    ALL = "all"
    NEW = "new"
    RETURNING = "returning"


class Audience(BaseModel):
    """Whom an experiment is for; whoever leaves the audience leaves the experiment."""

    model_config = _FROZEN

    markets: frozenset[Market] | None = Field(default=None, description="Unset: every market.")
    devices: frozenset[str] | None = Field(default=None, description="Unset: every device.")
    visitors: Visitors = Field(
        default=Visitors.ALL, description="New: without any event on record."
    )

    def includes(self, *, market: str | None, device: str | None, is_new: bool | None) -> bool:
        """Tell whether a visit is in the audience; what is not known of it is in none."""
        return (
            (self.markets is None or market in self.markets)
            and (self.devices is None or device in self.devices)
            and (self.visitors is Visitors.ALL or is_new is (self.visitors is Visitors.NEW))
        )


class Variant(BaseModel):
    """One arm of an experiment."""

    model_config = _FROZEN

    name: Name
    buckets: Buckets = Field(min_length=1, description="Buckets of the experiment's own deal.")
    policy: PolicyChange = UNCHANGED

    @cached_property
    def share_bp(self) -> int:
        """Share of the experiment's units, in basis points."""
        return share_bp(self.buckets)


class Experiment(BaseModel):
    """A comparison of policies on part of the units of a layer."""

    model_config = _FROZEN

    name: Name
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

    @model_validator(mode="after")
    def _is_whole(self) -> Self:
        _require_distinct("variants", [variant.name for variant in self.variants])
        _require_apart({variant.name: variant.buckets for variant in self.variants})
        _require_apart({f"traffic {i}": (one,) for i, one in enumerate(self.traffic)})
        total = sum(variant.share_bp for variant in self.variants)
        if total != BUCKETS:
            msg = f"shares of the variants of {self.name} must sum to {BUCKETS}, got {total}"
            raise ValueError(msg)
        if self.control not in {variant.name for variant in self.variants}:
            msg = f"control {self.control!r} is no variant of {self.name}"
            raise ValueError(msg)
        if self.ends_at is not None and self.ends_at <= self.starts_at:
            msg = f"{self.name} must end after its start {self.starts_at.isoformat()}"
            raise ValueError(msg)
        return self

    def runs_at(self, now: datetime) -> bool:
        """Tell whether it runs at a moment: from its start to before its end."""
        return self.starts_at <= now and (self.ends_at is None or now < self.ends_at)

    def variant_of(self, number: int) -> Variant:
        """Return the variant that holds a bucket."""
        return self.variants[self._variant_by_bucket[number]]

    def takes(self, number: int) -> bool:
        """Tell whether a bucket of the layer takes part."""
        return any(number in buckets for buckets in self.traffic)

    @cached_property
    def _variant_by_bucket(self) -> bytes:
        # Buckets that moved often lie in many ranges; a request must not go through them.
        table = bytearray(BUCKETS)
        for index, variant in enumerate(self.variants):
            for one in variant.buckets:
                table[one.start : one.stop] = bytes([index]) * len(one)
        return bytes(table)

    def with_shares(self, shares_bp: Mapping[str, int]) -> Self:
        """Return it with other shares of its variants; only units move that must.

        Args:
            shares_bp: Share by variant, summing to `BUCKETS`.

        Raises:
            ValueError: If the variants are others or the shares do not sum.
        """
        names = [variant.name for variant in self.variants]
        if sorted(names) != sorted(shares_bp):
            msg = f"{self.name} has the variants {', '.join(names)}, got {', '.join(shares_bp)}"
            raise ValueError(msg)
        dealt = resized([one.buckets for one in self.variants], [shares_bp[name] for name in names])
        variants = [
            {**variant.model_dump(exclude={"buckets"}, exclude_unset=True), "buckets": buckets}
            for variant, buckets in zip(self.variants, dealt, strict=True)
        ]
        return self.model_validate(
            {**self.model_dump(exclude={"variants"}, exclude_unset=True), "variants": variants}
        )


def dealt_in_order(shares_bp: Iterable[int]) -> tuple[Buckets, ...]:
    """Deal buckets to the variants of a new experiment: the first holds the lowest."""
    shares = list(shares_bp)
    return resized([()] * len(shares), shares)


def _require_distinct(what: str, names: list[str]) -> None:
    if len(set(names)) != len(names):
        msg = f"{what} must have distinct names, got {', '.join(names)}"
        raise ValueError(msg)


def _require_apart(held: Mapping[str, tuple[BucketRange, ...]]) -> None:
    items = list(held.items())
    for index, (name, buckets) in enumerate(items):
        for other, others in items[index + 1 :]:
            common = overlap(buckets, others)
            if common is not None:
                msg = f"{name} and {other} both hold bucket {common}"
                raise ValueError(msg)
