"""Purchases after a slate, net of refunds."""

import pytest

from models.domain.event import key
from tests.logs import DAY, HOUR, Row, catalogue, event_table, merged_log
from training.evaluation.purchase import Bought
from training.examples.point_in_time import PointInTime
from training.examples.slates import shown_slates


@pytest.mark.parametrize(
    ("quantity", "paid"),
    [(None, {"s2": 30.0}), (3, {"s1": 75.0, "s2": 30.0}), (12, {"s2": 30.0})],
)
def test_revenue_is_that_of_the_pieces_that_were_kept(
    quantity: int | None, paid: dict[str, float]
) -> None:
    """Of twelve pieces for 100, all or three are given back a day later."""
    events = event_table(
        [
            Row(kind="impression"),
            Row(kind="purchase", at=1, quantity=12, revenue=100.0),
            Row(kind="purchase", at=2, sale="s2", revenue=30.0),
            Row(kind="refund", at=DAY, quantity=quantity),
        ]
    )
    past = PointInTime(events, catalogue("s1", "s2"))
    slates = shown_slates(events, past.catalogue, outcome_us=HOUR)

    sale_keys, amounts = Bought(past, HOUR).soon_after(slates, 0)

    names = {key(sale_id): sale_id for sale_id in ("s1", "s2")}
    found = {names[int(k)]: float(n) for k, n in zip(sale_keys, amounts, strict=True)}
    assert found == pytest.approx(paid)


def test_purchases_of_the_customer_whom_a_guest_turned_out_to_be_are_theirs() -> None:
    log = [
        Row(kind="impression", customer="v1"),
        Row(kind="purchase", customer="c1", at=1, revenue=30.0),
        Row(kind="purchase", customer="c2", at=1, revenue=40.0),
    ]
    past = PointInTime(merged_log(log, [("v1", "c1", HOUR)]), catalogue("s1"))
    slates = shown_slates(past.events, past.catalogue, outcome_us=HOUR)

    _, amounts = Bought(past, HOUR).soon_after(slates, 0)

    assert slates.bought.tolist() == [True]
    assert amounts.tolist() == [30.0]
