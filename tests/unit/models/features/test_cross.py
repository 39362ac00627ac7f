"""Features of the customer and the sale together, by hand."""

import math

import numpy as np
import pytest

from models.domain.event import EventType
from tests.builders import catalogue, feature, query, sale

SHOP = catalogue(sale("a"), sale("b"), sale("never"))
EVENTS = (
    (EventType.VIEW, "a", 3_600.0),
    (EventType.CLICK, "a", 1_800.0),
    (EventType.CART, "a", 99.0),
    (EventType.PURCHASE, "b", 9.0),
    (EventType.VIEW, "unknown", 1.0),
    (EventType.IMPRESSION, "a", 99.0),
    (EventType.IMPRESSION, "a", 999.0),
)


@pytest.mark.parametrize(
    ("name", "a", "b", "never"),
    [
        ("same_sale_views", 2.0, 0.0, 0.0),
        ("same_sale_carts", 1.0, 0.0, 0.0),
        ("same_sale_purchases", 0.0, 1.0, 0.0),
        ("same_sale_recency", math.log(100), math.log(10), math.nan),
        ("same_sale_events_since", 1.0, 0.0, math.nan),
        ("same_sale_last", 0.0, 1.0, 0.0),
        ("same_sale_shown", math.log(100), math.nan, math.nan),
        ("same_sale_favourites", 0.0, 0.0, 0.0),
        ("same_sale_disliked", 0.0, 0.0, 0.0),
        ("same_sale_visit", 0.25 + 0.5 + 2 * 2 ** (-99 / 1_800), 3 * 2 ** (-9 / 1_800), 0.0),
    ],
)
def test_what_he_did_with_the_sale(name: str, a: float, b: float, never: float) -> None:
    asked = query(SHOP, *EVENTS, candidates=["a", "b", "never"])

    assert feature(asked, name).tolist() == pytest.approx([a, b, never], rel=1e-6, nan_ok=True)


def test_a_refund_takes_its_purchase_back_and_a_dislike_all_before_it() -> None:
    asked = query(
        SHOP,
        (EventType.PURCHASE, "a", 90.0),
        (EventType.PURCHASE, "b", 80.0),
        (EventType.REFUND, "a", 70.0),
        (EventType.FAVOURITE, "never", 60.0),
        (EventType.CART, "never", 50.0),
        (EventType.DISLIKE, "never", 40.0),
        (EventType.FAVOURITE, "never", 30.0),
        candidates=["a", "b", "never"],
    )

    assert feature(asked, "same_sale_purchases").tolist() == [0.0, 1.0, 0.0]
    assert feature(asked, "same_sale_carts").tolist() == [0.0, 0.0, 0.0]
    assert feature(asked, "same_sale_favourites").tolist() == [0.0, 0.0, 1.0]
    assert feature(asked, "same_sale_disliked").tolist() == [0.0, 0.0, 1.0]


def test_a_customer_without_events_touched_nothing_last() -> None:
    assert not feature(query(SHOP), "same_sale_last").any()


def test_of_two_sales_touched_at_once_one_was_the_last() -> None:
    asked = query(SHOP, (EventType.VIEW, "a", 5.0), (EventType.VIEW, "b", 5.0))

    assert np.count_nonzero(feature(asked, "same_sale_last")) == 1
