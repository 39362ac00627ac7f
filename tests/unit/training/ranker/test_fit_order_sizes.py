"""A purchase of a sale is worth a multiple of its price."""

import pytest

from models.ranker.order_size import OrderSizes
from tests.logs import Row, catalogue, event_table, sale
from training.ranker.fit_order_sizes import fit_order_sizes

SHOP = catalogue(sale("s1", price=10.0), sale("s2", price=20.0), sale("s3", price=5.0), "s4")


def sizes_of(*log: Row) -> list[float]:
    fitted = fit_order_sizes(event_table(log), SHOP)
    sizes: list[float] = OrderSizes.from_bytes(fitted.to_bytes()).of(SHOP.keys).tolist()
    return [sizes[SHOP.row_for(sale_id) or 0] for sale_id in ("s1", "s2", "s3", "s4")]


def test_sizes_are_shrunk_to_the_usual_one_by_five_purchases() -> None:
    """Of two purchases, 8 and 2 pieces, the usual size is 5."""
    found = sizes_of(
        Row(kind="purchase", quantity=8), Row(kind="purchase", at=1, sale="s2", revenue=40.0)
    )

    assert found == pytest.approx([(8 + 25) / 6, (2 + 25) / 6, 5.0, 5.0])


def test_pieces_that_were_given_back_are_none() -> None:
    found = sizes_of(
        Row(kind="purchase", quantity=9),
        Row(kind="refund", at=1, quantity=6),
        Row(kind="purchase", at=2, sale="s2"),
        Row(kind="refund", at=3, sale="s2"),
    )

    assert found == pytest.approx([3.0, 3.0, 3.0, 3.0])


def test_without_a_known_amount_a_purchase_is_of_one_piece() -> None:
    assert sizes_of(Row(kind="purchase", sale="s4", quantity=7), Row(kind="click")) == [1.0] * 4
