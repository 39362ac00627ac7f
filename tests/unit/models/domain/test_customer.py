"""The window does not depend on order, repetition or split of the events it was made of."""

from functools import reduce
from random import Random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.domain.customer import (
    MEMBER_BYTES,
    WINDOW_EVENTS,
    Window,
    canonical_order,
    first_column,
    pack_member,
    stamps,
)
from models.domain.event import KIND, EventType, key
from models.domain.recent_impressions import NOTHING_SHOWN, RecentImpressions
from models.domain.units import SECOND_US

KEPT = [event_type for event_type in EventType if event_type is not EventType.IMPRESSION]

# Few keys and times, so that repetitions and equal times are common; and the extremes.
KEYS = st.integers(0, 3) | st.sampled_from([2**63, 2**64 - 1])
TIMES = st.integers(0, 4) | st.sampled_from([1_741_608_000_000_000, 2**60 - 1])
EVENTS = st.tuples(KEYS, KEYS, TIMES, st.sampled_from(KEPT))
LISTS = st.lists(EVENTS.map(lambda event: member(*event)), max_size=12)


NOON_US = 1_741_608_000_000_000


def member(event_key: int, sale_key: int, at_us: int, event_type: EventType) -> bytes:
    return pack_member(event_key, sale_key, at_us=at_us, event_type=event_type)


def oracle(members: list[bytes]) -> bytes:
    """The definition, in plain Python: sort the set by (at, bytes), keep the last 128."""
    ordered = sorted(set(members), key=lambda m: (int.from_bytes(m[16:], "big") >> 4, m))
    return b"".join(ordered[-128:])


def packed(members: bytes, shown: bytes = b"") -> bytes:
    """The number of events in two bytes, the events, and what was shown."""
    return (len(members) // MEMBER_BYTES).to_bytes(2, "big") + members + shown


def numbered(n: int) -> list[bytes]:
    return [pack_member(i, 7, at_us=i // 3, event_type=EventType.VIEW) for i in range(n)]


def test_a_member_is_three_big_endian_numbers() -> None:
    member = pack_member(1, 2, at_us=5, event_type=EventType.PURCHASE)

    assert member == bytes.fromhex("0000000000000001 0000000000000002 0000000000000054")


@pytest.mark.parametrize(
    ("event_type", "quantity", "pieces"),
    [
        (EventType.PURCHASE, None, 1),
        (EventType.PURCHASE, 3, 3),
        (EventType.PURCHASE, 1_000_000, 65_535),
        (EventType.REFUND, None, 0),
        (EventType.REFUND, 2, 2),
    ],
)
def test_members_of_purchases_and_refunds_hold_their_pieces(
    event_type: EventType, quantity: int | None, pieces: int
) -> None:
    packed_one = pack_member(2**64 - 1, 2, at_us=5, event_type=event_type, quantity=quantity)

    window = Window.from_members([packed_one])

    assert window.quantities.tolist() == [pieces]
    assert (window.at_us.tolist(), window.kinds.tolist()) == ([5], [KIND[event_type]])
    columns = first_column(
        np.array([2**64 - 1], dtype=np.uint64),
        np.array([KIND[event_type]]),
        quantities=np.array([quantity or 0]),
        covers=np.zeros(1, dtype=np.int64),
    )
    assert columns.tolist() == window.members[:, 0].tolist()


@pytest.mark.parametrize("event_key", [0, 0xC0B7, 0xFFFF_C0B0, 2**64 - 1])
@pytest.mark.parametrize("cover", [None, 1, 9])
def test_members_of_clicks_hold_their_cover_and_no_other_event_seems_to(
    event_key: int, cover: int | None
) -> None:
    """Keys are hashes: some end as that of a click with a cover does."""
    types = EventType.CLICK, EventType.VIEW, EventType.FAVOURITE
    packed_ones = [
        pack_member(event_key, 2, at_us=at_us, event_type=one, cover=cover)
        for at_us, one in enumerate(types)
    ]

    window = Window.from_members(packed_ones)

    assert window.covers.tolist() == [cover or 0, 0, 0]
    columns = first_column(
        np.full(3, event_key, dtype=np.uint64),
        np.array([KIND[one] for one in types]),
        quantities=np.zeros(3, dtype=np.int64),
        covers=np.full(3, cover or 0),
    )
    assert columns.tolist() == window.members[:, 0].tolist()


def test_an_impression_is_no_member() -> None:
    with pytest.raises(ValueError, match="an impression is not part of a window"):
        pack_member(1, 2, at_us=5, event_type=EventType.IMPRESSION)


@given(LISTS)
def test_the_window_is_the_last_128_of_the_set_by_time_and_bytes(members: list[bytes]) -> None:
    assert Window.from_members(members).pack() == packed(oracle(members))


@given(LISTS, st.randoms(use_true_random=False), st.integers(1, 3))
def test_order_and_repetition_leave_the_same_bytes(
    members: list[bytes],
    random: Random,
    times: int,
) -> None:
    shuffled = members * times
    random.shuffle(shuffled)

    assert Window.from_members(shuffled).pack() == Window.from_members(members).pack()


@given(st.lists(LISTS, min_size=1, max_size=5))
def test_any_split_merges_to_the_same_bytes(parts: list[list[bytes]]) -> None:
    merged = reduce(Window.merge, map(Window.from_members, parts))

    assert merged.pack() == packed(oracle([member for part in parts for member in part]))


@given(LISTS, LISTS, LISTS)
def test_merging_is_associative_commutative_and_idempotent(
    first: list[bytes], second: list[bytes], third: list[bytes]
) -> None:
    a, b, c = Window.from_members(first), Window.from_members(second), Window.from_members(third)

    assert a.merge(b).merge(c).pack() == a.merge(b.merge(c)).pack()
    assert a.merge(b).pack() == b.merge(a).pack()
    assert a.merge(a).pack() == a.pack()
    assert a.merge(Window.empty()).pack() == a.pack()


@pytest.mark.parametrize("n_events", [127, 128, 129, 500])
@pytest.mark.parametrize("n_parts", [1, 2, 7])
def test_a_window_is_bounded_however_its_events_arrive(
    n_events: int, n_parts: int, rng: np.random.Generator
) -> None:
    members = numbered(n_events)
    order: list[int] = rng.permutation(n_events).tolist()
    parts = [[members[i] for i in order[part::n_parts]] for part in range(n_parts)]

    merged = reduce(Window.merge, map(Window.from_members, parts))

    assert merged.pack() == packed(b"".join(members[-128:]))
    assert len(merged) == min(n_events, WINDOW_EVENTS)


@given(LISTS, st.integers(0, 3))
def test_packing_and_unpacking_round_trips(members: list[bytes], n_shown: int) -> None:
    shown = RecentImpressions.from_events(
        np.arange(n_shown, dtype=np.uint64),
        NOON_US + np.arange(n_shown) * SECOND_US,
        positions=np.arange(n_shown),
    )
    window = Window.from_members(members, shown)

    assert window.pack() == packed(oracle(members), shown.pack())
    again = Window.unpack(window.pack())
    assert again.pack() == window.pack()
    assert len(again) == len(set(members))
    assert (again.shown.at_s - NOON_US // SECOND_US).tolist() == list(range(n_shown))


def test_merging_keeps_what_was_shown_on_either_side() -> None:
    seconds = NOON_US + np.array([5, 0, 9]) * SECOND_US
    keys, unknown = np.array([1, 2], dtype=np.uint64), np.zeros(2, dtype=np.int64)
    first = RecentImpressions.from_events(keys, seconds[:2], positions=unknown)
    second = RecentImpressions.from_events(keys[1:], seconds[2:], positions=unknown[1:])
    one, other = Window.from_members([], first), Window.from_members(numbered(1), second)

    merged = one.merge(other)

    assert len(merged) == 1
    assert merged.shown.sale_keys.tolist() == [1, 2]
    assert (merged.shown.at_s - NOON_US // SECOND_US).tolist() == [5, 9]


def test_columns_are_what_was_packed() -> None:
    window = Window.from_members(
        [
            pack_member(9, key("s2"), at_us=20, event_type=EventType.CART),
            pack_member(8, key("s1"), at_us=10, event_type=EventType.VIEW),
        ]
    )

    assert window.sale_keys.tolist() == [key("s1"), key("s2")]
    assert window.at_us.tolist() == [10, 20]
    assert window.kinds.tolist() == [KIND[EventType.VIEW], KIND[EventType.CART]]


def test_one_event_id_with_two_contents_keeps_both() -> None:
    """A repetition is equal bytes: an id that a client reused hides no event."""
    reused = [
        pack_member(1, 2, at_us=10, event_type=event_type)
        for event_type in (EventType.VIEW, EventType.CART)
    ]

    assert len(Window.from_members(reused)) == 2


@pytest.mark.parametrize("n_bytes", [0, 1, 2, 25])
def test_a_cut_window_is_refused(n_bytes: int) -> None:
    """Of one event, which takes 26 bytes."""
    with pytest.raises(ValueError, match=f"{n_bytes} bytes ends too early"):
        Window.unpack(packed(bytes(24))[:n_bytes])


def test_cut_parts_are_refused() -> None:
    with pytest.raises(ValueError, match="25 bytes are no multiple of 24"):
        Window.from_parts(bytes(25), NOTHING_SHOWN)
    with pytest.raises(ValueError, match="11 bytes are no multiple of 14"):
        Window.unpack(packed(b"", bytes(11)))


@given(st.lists(EVENTS, max_size=8))
def test_columns_make_the_same_members_as_single_events(
    events: list[tuple[int, int, int, EventType]],
) -> None:
    """Replay builds windows from columns, the service from single events."""
    at_us = np.array([event[2] for event in events], dtype=np.int64)
    kinds = np.array([KIND[event[3]] for event in events], dtype=np.int8)
    keys = np.array([event[:2] for event in events], dtype=np.uint64).reshape(-1, 2)
    none = np.zeros(len(events), dtype=np.int64)
    firsts = first_column(keys[:, 0], kinds, quantities=none, covers=none)
    members = np.column_stack([firsts, keys[:, 1], stamps(at_us, kinds)])

    window = Window(canonical_order(members), NOTHING_SHOWN)

    assert window.pack() == Window.from_members(member(*event) for event in events).pack()
