"""Buckets, their ranges, and shares that change."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from models.experiments.plan.bucketing import (
    BUCKETS,
    EVERY_BUCKET,
    BucketRange,
    Buckets,
    bucket,
    overlap,
    resized,
    share_bp,
)


def numbers(buckets: Buckets) -> set[int]:
    return {number for one in buckets for number in range(one.start, one.stop)}


@st.composite
def shares(draw: st.DrawFn) -> list[int]:
    """Four shares that sum to all buckets, zeros among them."""
    edges = sorted(draw(st.lists(st.integers(0, BUCKETS), min_size=3, max_size=3)))
    return [b - a for a, b in zip([0, *edges], [*edges, BUCKETS], strict=True)]


def test_a_range_holds_its_start_and_not_its_stop() -> None:
    one = BucketRange(start=10, stop=12)

    assert [number in one for number in (9, 10, 11, 12)] == [False, True, True, False]
    assert len(one) == 2


@pytest.mark.parametrize(("start", "stop"), [(5, 5), (6, 5), (-1, 5), (0, BUCKETS + 1)])
def test_a_range_lies_among_the_buckets_and_is_not_empty(start: int, stop: int) -> None:
    with pytest.raises(ValidationError):
        BucketRange(start=start, stop=stop)


def test_an_overlap_is_named_by_its_lowest_bucket() -> None:
    first = (BucketRange(start=0, stop=5), BucketRange(start=8, stop=10))
    second = (BucketRange(start=5, stop=9),)

    assert overlap(first, second) == 8
    assert overlap(first, (BucketRange(start=5, stop=8),)) is None


@settings(max_examples=25)
@given(shares(), shares())
def test_other_shares_move_only_the_buckets_that_must_move(old: list[int], new: list[int]) -> None:
    """Each variant keeps as many of its buckets as its new share has room for."""
    before = resized([()] * 4, old)
    after = resized(before, new)

    assert [share_bp(buckets) for buckets in after] == new
    assert set().union(*map(numbers, after)) == numbers(EVERY_BUCKET)
    for was, now, has, wants in zip(before, after, old, new, strict=True):
        assert len(numbers(was) & numbers(now)) == min(has, wants)


def test_more_than_all_buckets_cannot_be_dealt() -> None:
    with pytest.raises(ValueError, match="at most 10000, got 10001"):
        resized([(), ()], [BUCKETS, 1])


def test_a_bucket_is_the_hash_that_the_documentation_gives() -> None:
    """A changed hash would deal running experiments anew, so its values are pinned."""
    assert [bucket(unit, "ranker-2025-01") for unit in "abc"] == [8464, 3915, 6884]
