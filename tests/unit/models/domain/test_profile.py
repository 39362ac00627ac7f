"""Totals of a customer's events before the last night."""

import numpy as np
import pytest

from models.domain.event import KIND, EventType
from models.domain.profile import Profile, night_floor
from models.domain.purchase_history import PurchaseHistory
from models.domain.units import DAY_US
from tests.builders import NOW_US

NIGHT_US = NOW_US - NOW_US % DAY_US


def test_the_night_is_cut_at_midnight_in_utc() -> None:
    midnight = NOW_US - NOW_US % DAY_US

    assert night_floor(NOW_US) == midnight
    assert [night_floor(midnight + shift) for shift in (-1, 0, 1)] == [
        midnight - 86_400_000_000,
        midnight,
        midnight,
    ]


def test_a_profile_counts_events_of_two_windows_and_keeps_all_purchases() -> None:
    kinds = np.array([KIND[EventType.VIEW], KIND[EventType.PURCHASE], KIND[EventType.VIEW]])
    at_us = NIGHT_US - np.array([30 * DAY_US, 180 * DAY_US + 1, 180 * DAY_US])
    keys = np.array([7, 8, 7], dtype=np.uint64)
    bought = PurchaseHistory.from_purchases(keys[1:2], at_us[1:2]).pack()

    found = Profile.from_events(
        kinds,
        at_us,
        sale_keys=keys,
        undone=np.zeros(3, dtype=np.bool_),
        attributes={"age": 41.0},
        night_us=NIGHT_US,
    )

    assert found == Profile(
        NIGHT_US - 180 * DAY_US - 1,
        (0, 2, 0, 0, 0, 0, 0, 0, 0, 0),
        bought,
        {"age": 41.0},
        (0, 1, 0, 0, 0, 0, 0, 0, 0, 0),
    )


def test_a_refunded_purchase_does_not_count() -> None:
    kinds = np.array([KIND[EventType.PURCHASE], KIND[EventType.PURCHASE], KIND[EventType.REFUND]])
    at_us = np.array([30, 40, 50])
    keys = np.array([7, 8, 8], dtype=np.uint64)

    profile = Profile.from_events(
        kinds,
        at_us,
        sale_keys=keys,
        undone=np.array([False, True, False]),
        attributes={},
        night_us=100,
    )

    assert profile.counts == profile.month == (0, 0, 0, 0, 1, 0, 1, 0, 0, 0)
    assert PurchaseHistory.unpack(profile.bought).sale_keys.tolist() == [7]


def test_no_events_make_the_empty_profile() -> None:
    nothing = np.empty(0, dtype=np.int64)

    found = Profile.from_events(
        nothing,
        nothing,
        sale_keys=nothing.astype(np.uint64),
        undone=nothing > 0,
        attributes={},
        night_us=NIGHT_US,
    )

    assert found == Profile.empty() == Profile.unpack(b"")


@pytest.mark.parametrize(
    "profile",
    [
        Profile.empty(),
        Profile(NOW_US, (2**32 - 1, 0, 7, 1, 3, 0, 2, 0, 9, 1), bought=bytes(28)),
        Profile(0, (0,) * 10, attributes={"age": 41.5, "tier": "gold é", "rented": True}),
        Profile(NOW_US, (1,) * 10, bytes(14), {"2": "true"}, (0, 1) * 5),
    ],
)
def test_packing_and_unpacking_round_trips(profile: Profile) -> None:
    assert Profile.unpack(profile.pack()) == profile


def test_packed_bytes_are_pinned() -> None:
    """Workers of one version read what the store and the files of another night hold."""
    counts = (1, 2, 3, 4, 5, 0, 0, 0, 0, 0)
    month = (0, 1, 2, 0, 0, 0, 0, 0, 0, 9)
    packed = Profile(256, counts, bytes(14), {"age": 41.0, "club": False}, month).pack()

    head = b"\2" + (256).to_bytes(8, "big")
    head += b"".join(n.to_bytes(4, "big") for n in (*counts, *month))
    assert packed == head + b"\0\0\0\x19" + b'{"age":41.0,"club":false}' + bytes(14)


@pytest.mark.parametrize(
    ("n_bytes", "reason"),
    [(80, "93 bytes of numbers, got 80"), (101, "purchases of 8 bytes")],
)
def test_a_profile_of_another_length_is_refused(n_bytes: int, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        Profile.unpack(bytes(n_bytes))


@pytest.mark.parametrize(
    ("attributes", "reason"),
    [(b'{"town":"Lille"', "Invalid JSON"), (b'{"town":["Lille"]}', "valid string")],
)
def test_attributes_that_cannot_be_read_are_refused_and_not_quoted(
    attributes: bytes, reason: str
) -> None:
    with pytest.raises(ValueError, match=reason) as caught:
        Profile.unpack(b"\2" + bytes(88) + len(attributes).to_bytes(4, "big") + attributes)

    assert "Lille" not in str(caught.value)
