"""Bucketing: the hash that assigns units to buckets, and ranges of buckets.

``docs/experiments.md`` has test vectors for implementations in other languages.
"""

from collections.abc import Iterable, Sequence
from hashlib import blake2b
from itertools import pairwise
from typing import Final, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

# A bucket is a basis point.
BUCKETS: Final = 10_000


def bucket(unit_id: str, salt: str) -> int:
    """Return the bucket of a unit, in ``[0, 10000)``.

    The first 8 bytes of BLAKE2b over the UTF-8 bytes of ``salt``, one byte ``0x1f`` and
    ``unit_id``, read as a big-endian integer, modulo 10,000.
    """
    digest = blake2b(f"{salt}\x1f{unit_id}".encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") % BUCKETS


class BucketRange(BaseModel):
    """A half-open range of buckets."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    start: int = Field(ge=0, lt=BUCKETS, description="First bucket.")
    stop: int = Field(gt=0, le=BUCKETS, description="First bucket after it.")

    @model_validator(mode="after")
    def _not_empty(self) -> Self:
        if self.start >= self.stop:
            msg = f"a range of buckets must not be empty, got [{self.start}, {self.stop})"
            raise ValueError(msg)
        return self

    def __len__(self) -> int:
        """Return the number of buckets."""
        return self.stop - self.start

    def __contains__(self, number: int) -> bool:
        """Return whether a bucket is in the range."""
        return self.start <= number < self.stop


Buckets = tuple[BucketRange, ...]
"""Ranges that do not overlap, ascending."""

EVERY_BUCKET: Final = (BucketRange(start=0, stop=BUCKETS),)


def share_bp(buckets: Iterable[BucketRange]) -> int:
    """Return the number of buckets in ranges: a share of units in basis points."""
    return sum(map(len, buckets))


def overlap(first: Buckets, second: Buckets) -> int | None:
    """Return the lowest common bucket, None if there is none."""
    common = [
        max(one.start, other.start)
        for one in first
        for other in second
        if max(one.start, other.start) < min(one.stop, other.stop)
    ]
    return min(common, default=None)


def resized(held: Sequence[Buckets], shares_bp: Sequence[int]) -> tuple[Buckets, ...]:
    """Reallocate buckets to other shares, moving as few units as possible.

    A variant with too many gives up its highest buckets; one with too few takes the lowest free
    ones, in the order of the list.

    Args:
        held: Present buckets of each variant, empty for a new one.
        shares_bp: Number of buckets of each, not negative; as many as ``held``.

    Returns:
        Ranges of each, no two of which overlap.

    Raises:
        ValueError: If the shares exceed all buckets.
    """
    wanted = sum(shares_bp)
    if wanted > BUCKETS:
        msg = f"shares must sum to at most {BUCKETS}, got {wanted}"
        raise ValueError(msg)
    kept = [_numbers(ranges)[:share] for ranges, share in zip(held, shares_bp, strict=True)]
    taken = {number for numbers in kept for number in numbers}
    # Ascending, so that two replicas allocate the same ones.
    free = iter([number for number in range(BUCKETS) if number not in taken])
    assigned = [
        sorted([*numbers, *(next(free) for _ in range(share - len(numbers)))])
        for numbers, share in zip(kept, shares_bp, strict=True)
    ]
    return tuple(map(_ranges, assigned))


def allocate_beside(held: Buckets, share: int, *, taken: Iterable[BucketRange]) -> Buckets:
    """Allocate buckets that others leave free, moving as few units as possible.

    Args:
        held: Present buckets; those that others take are given up.
        share: Number of buckets.
        taken: Buckets of others; may overlap.

    Returns:
        Ranges of exactly ``share`` buckets: the lowest of those held, then the lowest free ones.

    Raises:
        ValueError: If too few are free.
    """
    occupied = {number for one in taken for number in range(one.start, one.stop)}
    if share > BUCKETS - len(occupied):
        msg = f"{share} buckets are needed, but only {BUCKETS - len(occupied)} are free"
        raise ValueError(msg)
    kept = [number for number in _numbers(held) if number not in occupied][:share]
    occupied.update(kept)
    free = [number for number in range(BUCKETS) if number not in occupied]
    return _ranges(sorted([*kept, *free[: share - len(kept)]]))


def _numbers(buckets: Buckets) -> list[int]:
    return [number for one in buckets for number in range(one.start, one.stop)]


def _ranges(numbers: Sequence[int]) -> Buckets:
    edges = [i for i in range(len(numbers)) if i == 0 or numbers[i] != numbers[i - 1] + 1]
    return tuple(
        BucketRange(start=numbers[start], stop=numbers[stop - 1] + 1)
        for start, stop in pairwise([*edges, len(numbers)])
    )
