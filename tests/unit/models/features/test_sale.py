"""Features of the sale, by hand."""

import math

import pytest

from models.domain.event import MAX_AMOUNT, MIN_AMOUNT, from_us
from tests.builders import HOUR_US, NOW_US, catalogue, feature, picture, query, sale

SHOP = catalogue(
    sale(
        "full",
        price=99.0,
        original_price=396.0,
        opens_at=from_us(NOW_US - 9 * HOUR_US),
        closes_at=from_us(NOW_US + 4 * HOUR_US),
        sold_out_at=from_us(NOW_US + HOUR_US),
    ),
    sale("bare", opens_at=from_us(NOW_US), closes_at=None),
    pictures={"full": picture(1, 0, embedding={0: 1.0})},
)


@pytest.mark.parametrize(
    ("name", "full", "bare"),
    [
        ("sale_price", math.log(100), math.nan),
        ("sale_discount", 0.75, math.nan),
        ("sale_age", math.log(10), 0.0),
        # Until the closing that was announced: that it sells out before is not known yet.
        ("sale_time_left", math.log(5), math.nan),
        ("sale_pictured", 1.0, 0.0),
    ],
)
def test_a_sale_is_described(name: str, full: float, bare: float) -> None:
    asked = query(SHOP, candidates=["full", "bare"])

    assert feature(asked, name).tolist() == pytest.approx([full, bare], rel=1e-6, nan_ok=True)


@pytest.mark.parametrize(("name", "shift_us"), [("sale_age", -20), ("sale_time_left", 20)])
def test_before_opening_and_after_closing_no_time_is_negative(name: str, shift_us: int) -> None:
    of = catalogue(
        sale(
            "s",
            opens_at=from_us(NOW_US - shift_us * HOUR_US),
            closes_at=from_us(NOW_US - shift_us * HOUR_US + HOUR_US),
        )
    )

    assert feature(query(of), name).tolist() == [0.0]


@pytest.mark.parametrize(
    ("price", "original_price", "expected"),
    [(MAX_AMOUNT, MIN_AMOUNT, -1e18), (MIN_AMOUNT, MAX_AMOUNT, 1.0), (0.0, MIN_AMOUNT, 1.0)],
)
def test_the_discount_between_the_bounds_of_prices_is_a_number(
    price: float, original_price: float, expected: float
) -> None:
    shop = catalogue(sale("s", price=price, original_price=original_price, margin=-MAX_AMOUNT))

    asked = query(shop, candidates=["s"])

    assert feature(asked, "sale_discount").tolist() == pytest.approx([expected], rel=1e-6)
