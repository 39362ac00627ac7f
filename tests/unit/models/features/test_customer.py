"""Features of the customer, by hand."""

import math

import pytest

from models.domain.event import EventType
from models.domain.profile import Profile
from tests.builders import DAY_US, NOW_US, catalogue, feature, query, sale

SHOP = catalogue(sale("a"), sale("b"), sale("c"))
EVENTS = (
    (EventType.PURCHASE, "a", 86_399.0),
    (EventType.VIEW, "a", 1_801.0),
    (EventType.CLICK, "b", 1_800.0),
    (EventType.CART, "b", 1_000.0),
    (EventType.VIEW, "unknown", 500.0),
    (EventType.CLICK, "c", 99.0),
    (EventType.FAVOURITE, "c", 99.0),
    (EventType.SEARCH, "unknown", 9.0),
    (EventType.EMAIL_OPEN, "a", 9.0),
)
PROFILE = Profile(
    first_us=NOW_US - 3 * DAY_US - DAY_US // 2,
    counts=(100, 20, 10, 3, 2),
    month=(40, 3, 0, 0, 1),
)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("customer_views", 3.0),
        ("customer_carts", 1.0),
        ("customer_purchases", 1.0),
        ("customer_visit_events", 4.0),
        ("customer_recency", math.log(100)),
        ("customer_purchase_recency", math.log(86_400)),
        ("customer_unknown_events", 1.0),
        ("customer_favourites", 1.0),
        ("customer_searches", 2.0),
        ("customer_active_recency", math.log(10)),
        ("customer_past_purchases", 2.0),
        ("customer_past_events", 135.0),
        ("customer_month_purchases", 1.0),
        ("customer_month_events", 44.0),
        ("customer_tenure_days", 3.5),
    ],
)
def test_a_customer_is_described_alike_for_every_sale(name: str, value: float) -> None:
    asked = query(SHOP, *EVENTS, profile=PROFILE)

    assert feature(asked, name).tolist() == pytest.approx([value] * 3, rel=1e-6)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("customer_views", 0.0),
        ("customer_visit_events", 0.0),
        ("customer_recency", math.nan),
        ("customer_purchase_recency", math.nan),
        ("customer_unknown_events", 0.0),
        ("customer_searches", 0.0),
        ("customer_active_recency", math.nan),
        ("customer_past_events", 0.0),
        ("customer_tenure_days", math.nan),
    ],
)
def test_nothing_is_known_of_an_unknown_customer(name: str, value: float) -> None:
    assert feature(query(SHOP), name).tolist() == pytest.approx([value] * 3, nan_ok=True)


def test_a_customer_is_never_younger_than_nothing() -> None:
    """A client's clock may run ahead of the store's by minutes, in the first event too."""
    asked = query(SHOP, profile=Profile(NOW_US + 60_000_000, (0, 1, 0, 0, 0)))

    assert feature(asked, "customer_tenure_days").tolist() == [0.0] * 3
