"""Refunds are matched with the latest purchases before them, the latest first."""

import numpy as np
import pytest

from models.domain.customer import ALL_PIECES
from models.domain.event import (
    CART,
    CLICK,
    DISLIKE,
    EMAIL_OPEN,
    FAVOURITE,
    PURCHASE,
    REFUND,
    SEARCH,
    VIEW,
)
from models.domain.refund_matching import SalePurchases, refunds_in_order, still_shows_interest


@pytest.mark.parametrize(
    ("bought", "quantity", "changed", "left"),
    [
        ([2, 3], ALL_PIECES, [(1, 0)], [(0, 2)]),
        ([2, 3], 1, [(1, 2)], [(0, 2), (1, 2)]),
        ([2, 3], 3, [(1, 0)], [(0, 2)]),
        ([2, 3], 4, [(1, 0), (0, 1)], [(0, 1)]),
        ([2, 3], 9, [(1, 0), (0, 0)], []),
        ([], 1, [], []),
        ([], ALL_PIECES, [], []),
    ],
)
def test_a_refund_takes_pieces_of_the_latest_purchases(
    bought: list[int],
    quantity: int,
    changed: list[tuple[int, int]],
    left: list[tuple[int, int]],
) -> None:
    purchases = SalePurchases(list(enumerate(bought)))

    assert purchases.refund(quantity) == changed
    assert purchases.left == left


def test_a_refund_reaches_no_later_purchase_and_no_other_sale() -> None:
    kinds = [PURCHASE, REFUND, PURCHASE, REFUND, REFUND]
    groups = ["a", "b", "b", "a", "a"]

    found = list(refunds_in_order(groups, kinds, quantities=[1, 1, 1, 1, 1]))

    assert found == [(1, []), (3, [(0, 0)]), (4, [])]


def test_what_still_shows_interest() -> None:
    events = [
        (VIEW, 1, 0, True),
        (PURCHASE, 1, 2, True),  # one piece of it is left
        (PURCHASE, 2, 1, False),  # given back
        (REFUND, 1, 1, False),
        (REFUND, 2, ALL_PIECES, False),
        (CLICK, 3, 0, False),  # disliked later
        (CART, 3, 0, False),
        (DISLIKE, 3, 0, False),
        (FAVOURITE, 3, 0, True),  # thought better of
        (SEARCH, 0, 0, False),
        (EMAIL_OPEN, 1, 0, False),
    ]
    kinds, sales, quantities, expected = zip(*events, strict=True)

    shows = still_shows_interest(
        np.array(sales, dtype=np.uint64), np.array(kinds), quantities=np.array(quantities)
    )

    assert shows.tolist() == list(expected)
