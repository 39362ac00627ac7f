"""Amounts of several currencies do not compare: an order by money over them is named."""

from datetime import UTC, datetime

import pytest

from app.recommend.currency import mixed_currencies
from models.domain.event import to_us
from models.domain.sale import Sale
from models.experiments.plan.plan import Plan
from models.slate.slate_policy import SlatePolicy

NOW = datetime(2026, 3, 1, tzinfo=UTC)
OPENED, CLOSED = datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 2, 1, tzinfo=UTC)
EUROS = Sale(sale_id="s1", opens_at=OPENED, currency="EUR")
YEN = Sale(sale_id="s2", opens_at=OPENED, currency="JPY")


def found(order_by: str, *sales: Sale) -> tuple[str, ...]:
    plan = Plan(default=SlatePolicy(order_by=order_by))
    return mixed_currencies(plan, sales, now_us=to_us(NOW))


@pytest.mark.parametrize("order_by", ["meta-revenue", "meta-margin"])
def test_an_order_by_money_over_two_currencies_is_named(order_by: str) -> None:
    assert found(order_by, EUROS, YEN) == ("EUR", "JPY")


def test_an_order_by_probability_compares_no_amounts() -> None:
    assert found("meta", EUROS, YEN) == ()


@pytest.mark.parametrize(
    "other",
    [
        Sale(sale_id="s2", opens_at=OPENED, currency="eur"),
        Sale(sale_id="s2", opens_at=OPENED),
        YEN.model_copy(update={"closes_at": CLOSED}),
    ],
)
def test_one_currency_is_none_too_many(other: Sale) -> None:
    """What is closed is no longer ordered, and what names none is taken for the same."""
    assert found("meta-revenue", EUROS, other) == ()
