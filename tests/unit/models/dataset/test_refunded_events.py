"""Purchases of an event table net of its refunds."""

import numpy as np
import pytest

from models.dataset.refunded_events import (
    NEVER,
    Refunds,
    counted_refunds,
    interest_until_us,
    net_of_refunds,
)
from models.domain.event import REFUND
from tests.logs import DAY, HOUR, NOON, Row, event_table

LOG = [
    Row(kind="purchase", at=0, quantity=4, revenue=100.0),
    Row(kind="purchase", at=1, sale="s2", revenue=30.0),
    Row(kind="purchase", at=2, customer="c2", quantity=4, revenue=100.0),
    Row(kind="refund", at=DAY, quantity=1),
    Row(kind="refund", at=DAY, received=2 * DAY, sale="s2"),
    Row(kind="refund", at=DAY + 1, customer="c3"),
]


def test_a_refund_in_part_leaves_its_share_of_quantity_and_revenue() -> None:
    net = net_of_refunds(event_table(LOG))

    assert net.quantities.tolist() == [3, 4]
    assert net.revenues.tolist() == [75.0, 100.0]


def test_without_refunds_nothing_changes() -> None:
    events = event_table(LOG[:3])

    assert net_of_refunds(events) is events


def test_a_purchase_is_undone_when_its_refund_was_received() -> None:
    refunds = Refunds.from_events(event_table(LOG))

    assert refunds.undone_us[:3].tolist() == [NEVER, NOON + 2 * DAY, NEVER]


def test_refunds_of_nothing_are_named() -> None:
    events = event_table(LOG)

    alone = Refunds.from_events(events).without_purchase

    assert [events.event_ids[int(row)] for row in alone] == ["e5"]


def test_a_dislike_undoes_what_came_before_it() -> None:
    log = [
        Row(kind="view", at=0),
        Row(kind="view", at=0, customer="c2"),
        Row(kind="cart", at=1),
        Row(kind="dislike", at=2, received=5),
        Row(kind="view", at=6),
    ]

    events = event_table(log)
    undone = dict(zip(events.event_ids, interest_until_us(events).tolist(), strict=True))

    assert [undone[f"e{n}"] for n in (0, 1, 2, 4)] == [NOON + 5, NEVER, NOON + 5, NEVER]


@pytest.mark.parametrize(
    ("between", "expected"),
    [(0, [NOON // HOUR]), (126, [NOON // HOUR]), (127, [])],
)
def test_a_refund_counts_while_its_purchase_is_in_the_window(
    between: int, expected: list[int]
) -> None:
    """The refund is the last of 128 events, so that 126 fit between it and its purchase."""
    views = [Row(kind="view", at=1 + n) for n in range(between)]
    events = event_table([Row(kind="purchase"), *views, Row(kind="refund", at=DAY)])

    rows, hours = counted_refunds(events)

    assert hours.tolist() == expected
    assert events.kinds[rows].tolist() == [REFUND] * len(expected)


def test_an_hour_counts_as_long_as_a_purchase_of_it_is_left() -> None:
    """A customer counts once an hour: of two purchases the first refund removes no count."""
    log = [
        Row(kind="purchase"),
        Row(kind="purchase", at=1),
        Row(kind="refund", at=2),
        Row(kind="refund", at=HOUR),
    ]
    events = event_table(log)

    rows, hours = counted_refunds(events)

    assert (events.event_ids[int(rows[0])], hours.tolist()) == ("e3", [NOON // HOUR])


def test_a_purchase_that_is_no_longer_counted_is_not_removed() -> None:
    events = event_table([Row(kind="purchase"), Row(kind="refund", at=15 * DAY)])

    assert not np.size(counted_refunds(events)[0])


def test_a_purchase_of_more_pieces_than_a_window_knows_keeps_its_revenue() -> None:
    """Windows know 65,535: there 70,000 take all of 100,000 back, and revenue knows better."""
    log = [
        Row(kind="purchase", quantity=100_000, revenue=100_000.0),
        Row(kind="refund", at=DAY, quantity=70_000),
    ]
    events = event_table(log)

    net = net_of_refunds(events)

    assert (net.quantities.tolist(), net.revenues.tolist()) == ([30_000], [30_000.0])
    assert interest_until_us(events)[0] == NOON + DAY
    assert counted_refunds(events)[1].tolist() == [NOON // HOUR]


@pytest.mark.parametrize(
    ("at", "received", "refunded", "hours"),
    [
        ([0, 2], [0, 2], [1, 3], [0]),
        ([-HOUR * n for n in range(5)], list(range(5)), [HOUR + n for n in range(5)], [0]),
        ([-HOUR, -HOUR], [0, HOUR], [2 * HOUR, 2 * HOUR + 1], [1]),
        ([HOUR], [HOUR - 1], [2 * HOUR], [0]),
    ],
    ids=["again and again", "many past hours", "the same past hour", "stamped ahead"],
)
def test_no_more_purchases_are_removed_than_counted(
    at: list[int], received: list[int], refunded: list[int], hours: list[int]
) -> None:
    """Each hour is the one in which a purchase was received and counted."""
    bought = [Row(kind="purchase", at=a, received=r) for a, r in zip(at, received, strict=True)]
    given_back = [Row(kind="refund", at=one) for one in refunded]
    events = event_table([*bought, *given_back])

    assert (counted_refunds(events)[1] - NOON // HOUR).tolist() == hours
