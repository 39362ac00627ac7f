"""Recent impressions do not depend on order, repetition or split of the impressions."""

from functools import reduce
from random import Random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.domain.recent_impressions import (
    NOTHING_SHOWN,
    SHOWN_BYTES,
    SHOWN_SALES,
    RecentImpressions,
)
from models.domain.units import SECOND_US

NOON_US = 1_741_608_000_000_000

# Few sales and seconds, so that repetitions and equal times are common; and the extremes.
KEYS = st.integers(0, 5) | st.sampled_from([2**63, 2**64 - 1])
TIMES = st.integers(NOON_US, NOON_US + 4 * SECOND_US) | st.just(1_600_000_000_000_000)
POSITIONS = st.integers(0, 3) | st.sampled_from([999, 1_000, 10_000])
LISTS = st.lists(st.tuples(KEYS, TIMES, POSITIONS), max_size=20)

Impression = tuple[int, int, int]
"""Key of a sale, when it was shown in microseconds, and its position."""


def shown(impressions: list[Impression]) -> RecentImpressions:
    keys = np.array([key for key, _, _ in impressions], dtype=np.uint64)
    at_us = np.array([at_us for _, at_us, _ in impressions], dtype=np.int64)
    positions = np.array([position for _, _, position in impressions], dtype=np.int64)
    return RecentImpressions.from_events(keys, at_us, positions=positions)


def oracle(impressions: list[Impression]) -> bytes:
    """The definition, in plain Python: the last second and position of each sale, the last 128."""
    latest: dict[int, tuple[int, int]] = {}
    for key, at_us, position in impressions:
        latest[key] = max(latest.get(key, (0, 0)), (at_us // SECOND_US, min(position, 999)))
    ordered = sorted((*stamp, key) for key, stamp in latest.items())[-128:]
    return b"".join(
        key.to_bytes(8, "big") + at_s.to_bytes(4, "big") + position.to_bytes(2, "big")
        for at_s, position, key in ordered
    )


@given(LISTS, st.randoms(use_true_random=False), st.integers(1, 3))
def test_order_and_repetition_leave_the_latest_of_each_sale(
    impressions: list[Impression], random: Random, times: int
) -> None:
    shuffled = impressions * times
    random.shuffle(shuffled)

    assert shown(shuffled).pack() == oracle(impressions)


@given(st.lists(LISTS, min_size=1, max_size=5))
def test_any_split_merges_to_the_same_bytes(parts: list[list[Impression]]) -> None:
    merged = reduce(RecentImpressions.merge, map(shown, parts))

    assert merged.pack() == oracle([one for part in parts for one in part])


@given(LISTS, LISTS, LISTS)
def test_merging_is_associative_commutative_and_idempotent(
    first: list[Impression], second: list[Impression], third: list[Impression]
) -> None:
    a, b, c = shown(first), shown(second), shown(third)

    assert a.merge(b).merge(c).pack() == a.merge(b.merge(c)).pack()
    assert a.merge(b).pack() == b.merge(a).pack()
    assert a.merge(a).pack() == a.merge(NOTHING_SHOWN).pack() == a.pack()


@pytest.mark.parametrize("n_parts", [1, 2, 7])
def test_it_is_bounded_however_the_impressions_arrive(
    n_parts: int, rng: np.random.Generator
) -> None:
    """Three hundred sales, each shown five times at random moments."""
    impressions = [
        (i % 300, NOON_US + int(rng.integers(900)) * SECOND_US, i % 5) for i in range(1_500)
    ]

    merged = reduce(
        RecentImpressions.merge, [shown(impressions[part::n_parts]) for part in range(n_parts)]
    )

    assert merged.pack() == oracle(impressions)
    assert len(merged) == SHOWN_SALES


@given(LISTS)
def test_packing_and_unpacking_round_trips(impressions: list[Impression]) -> None:
    packed = shown(impressions).pack()

    assert RecentImpressions.unpack(packed).pack() == packed
    assert len(packed) == len({key for key, _, _ in impressions}) * SHOWN_BYTES


def test_times_of_another_century_are_the_first_or_the_last_one_that_is_held() -> None:
    """In the year 2200, and before 1970."""
    found = shown([(1, 7_258_118_400_000_000, 7), (2, -5, 0)])

    assert dict(zip(found.sale_keys.tolist(), found.at_s.tolist(), strict=True)) == {
        1: 2**32 - 1,
        2: 10**9,
    }
    again = RecentImpressions.unpack(found.pack())
    assert again.at_s.tolist() == found.at_s.tolist()
    assert again.positions.tolist() == found.positions.tolist() == [0, 7]


def test_cut_bytes_are_refused() -> None:
    with pytest.raises(ValueError, match="packed impressions of 13 bytes are no multiple of 14"):
        RecentImpressions.unpack(bytes(13))
