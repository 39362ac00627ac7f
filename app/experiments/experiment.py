"""Experiments as data, and the routing of units to variants."""

from bisect import bisect_right
from collections.abc import Sequence
from enum import StrEnum
from itertools import accumulate
from typing import Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from app.errors import UnknownVariantError
from app.experiments.bucket import BUCKETS, bucket


class Policy(StrEnum):
    """How a variant orders the sales."""

    META = "meta"
    POPULARITY = "popularity"


class Variant(BaseModel):
    """One arm of an experiment."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = Field(min_length=1, max_length=128)
    share_bp: int = Field(gt=0, le=BUCKETS, description="Share of units, in basis points.")
    policy: Policy


class Experiment(BaseModel):
    """A split of all units between variants."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = Field(min_length=1, max_length=128)
    salt: str = Field(min_length=1, description="A new salt deals the units anew.")
    variants: tuple[Variant, ...] = Field(min_length=1)

    @model_validator(mode="after")
    def _every_bucket_has_one_variant(self) -> Self:
        total = sum(variant.share_bp for variant in self.variants)
        if total != BUCKETS:
            msg = f"shares must sum to {BUCKETS}, got {total}"
            raise ValueError(msg)
        names = [variant.name for variant in self.variants]
        if len(set(names)) != len(names):
            msg = f"variants must have distinct names, got {names}"
            raise ValueError(msg)
        return self

    def variant(self, name: str) -> Variant:
        """Return a variant by its name.

        Raises:
            UnknownVariantError: If there is none of that name.
        """
        for variant in self.variants:
            if variant.name == name:
                return variant
        raise UnknownVariantError(name, tuple(variant.name for variant in self.variants))


def assign(unit_id: str, experiment: Experiment) -> Variant:
    """Pick the variant of an experiment that a unit sees.

    Pure: the same unit and experiment give the same variant on every replica. The
    variant's ``share_bp / BUCKETS`` is its assignment propensity, which the exposure
    record carries.
    """
    edges = list(accumulate(variant.share_bp for variant in experiment.variants))
    return experiment.variants[bisect_right(edges, bucket(unit_id, experiment.salt))]


def split(name: str, salt: str, *, shares_bp: Sequence[tuple[Policy, int]]) -> Experiment:
    """Build an experiment with one variant per policy, leaving out shares of zero."""
    variants = tuple(
        Variant(name=policy.value, share_bp=share_bp, policy=policy)
        for policy, share_bp in shares_bp
        if share_bp
    )
    return Experiment(name=name, salt=salt, variants=variants)
