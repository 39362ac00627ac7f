"""Refunds are matched with the latest purchases before them, the latest first."""

import pytest

from models.domain.customer import ALL_PIECES
from models.domain.event import PURCHASE, REFUND
from models.domain.refund_matching import SalePurchases, refunds_in_order


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
