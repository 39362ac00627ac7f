"""Recommenders are fitted on interest that was not undone by then."""

import pytest

from tests.logs import DAY, NOON, Row, catalogue, event_table
from training.recommenders.interactions import Interactions

SHOP = catalogue("s1", "s2")


@pytest.mark.parametrize(("day", "n_purchases"), [(1, 1), (2, 1), (3, 0)])
def test_a_purchase_counts_until_its_refund_was_received(day: int, n_purchases: int) -> None:
    log = [Row(kind="purchase"), Row(kind="refund", at=1, received=2 * DAY)]

    known = Interactions.from_events(event_table(log), SHOP).before(NOON + day * DAY)

    assert len(known) == n_purchases


def test_a_dislike_leaves_no_pair_and_a_favourite_makes_one() -> None:
    log = [
        Row(kind="cart"),
        Row(kind="dislike", at=1),
        Row(kind="favourite", sale="s2"),
        Row(kind="search", at=2),
        Row(kind="email_open", at=3),
    ]

    customers, rows = Interactions.from_events(event_table(log), SHOP).before(NOON + DAY).touched()

    assert (customers.tolist(), rows.tolist()) == ([0], [SHOP.row_for("s2")])
