"""The snapshot of sales: its order, its columns, and which sales may be shown."""

import math
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from models.catalogue.catalogue import NEVER_US, Catalogue
from models.catalogue.columns import TEXT_COLUMNS
from models.catalogue.event_counts import SaleCounts
from models.domain.event import from_us, key
from models.domain.sale import Sale
from tests.builders import HOUR_US, NOW_US, catalogue, crowd, picture, row, rows, sale

OPENS_US, CLOSES_US = NOW_US - HOUR_US, NOW_US + HOUR_US


def shown(of: Catalogue, market: str | None = None, *, at_us: int = NOW_US) -> set[str]:
    eligible: list[int] = of.eligible(market, at_us).tolist()
    return {of.sales[index].sale_id for index in eligible}


def ending(us: int) -> Sale:
    return sale("s", closes_at=from_us(us))


@pytest.mark.parametrize(
    ("at_us", "is_shown"),
    [
        (OPENS_US - 1, False),
        (OPENS_US, True),
        (CLOSES_US - 1, True),
        (CLOSES_US, False),
    ],
)
def test_a_sale_is_shown_from_its_opening_up_to_its_closing(at_us: int, is_shown: bool) -> None:
    of = catalogue(ending(CLOSES_US))

    assert shown(of, at_us=at_us) == ({"s"} if is_shown else set())


@pytest.mark.parametrize(("at_us", "is_shown"), [(NOW_US - 1, True), (NOW_US, False)])
def test_a_sale_is_shown_until_it_sells_out(at_us: int, is_shown: bool) -> None:
    of = catalogue(sale("s", sold_out_at=from_us(NOW_US)))

    assert shown(of, at_us=at_us) == ({"s"} if is_shown else set())


def test_the_earlier_of_closing_and_selling_out_ends_a_sale() -> None:
    late = sale("late", closes_at=from_us(NOW_US), sold_out_at=from_us(NOW_US + 1))
    early = sale("early", closes_at=from_us(NOW_US + 1), sold_out_at=from_us(NOW_US))
    of = catalogue(late, early)

    assert of.closes_us.tolist() == [NOW_US, NOW_US]
    assert of.scheduled_us[rows(of, "late", "early")].tolist() == [NOW_US, NOW_US + 1]


def test_a_sale_without_an_end_is_always_open() -> None:
    of = catalogue(sale("s", closes_at=None))

    assert (of.closes_us[0], of.scheduled_us[0]) == (NEVER_US, NEVER_US)
    assert shown(of, at_us=NOW_US + 10**15) == {"s"}


@pytest.mark.parametrize("year", [2200, 2999, 9999])
def test_an_end_in_a_far_year_is_none(year: int) -> None:
    end = datetime(year, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC)
    of = catalogue(sale("s", closes_at=end, sold_out_at=end))

    assert (of.closes_us[0], of.scheduled_us[0]) == (NEVER_US, NEVER_US)


def test_no_stock_closes_a_sale_at_any_time_of_the_clock() -> None:
    """It sold out a moment ago; then the clock was set back."""
    since = from_us(NOW_US + 1)
    of = catalogue(
        sale("gone", stock=0), sale("left", stock=1), sale("dated", stock=0, sold_out_at=since)
    )

    assert shown(of) == {"left"}


def test_a_market_sees_its_own_sales_and_those_without_market() -> None:
    of = catalogue(sale("fr", markets=["FR"]), sale("both", markets=["FR", "IT"]), sale("all"))

    assert shown(of, "fr") == {"fr", "both", "all"}
    assert shown(of, "it") == {"both", "all"}
    assert shown(of, "de") == {"all"}
    assert shown(of, None) == {"fr", "both", "all"}


def test_sixty_three_markets_are_told_apart() -> None:
    markets = [f"m{index:02}" for index in range(63)]
    of = catalogue(*(sale(market, markets=[market]) for market in markets), sale("all"))

    assert [shown(of, market) for market in markets] == [{market, "all"} for market in markets]
    assert shown(of, "unknown") == {"all"}


def test_sixty_four_markets_are_too_many() -> None:
    with pytest.raises(ValueError, match="at most 63 markets are supported, got 64"):
        catalogue(*(sale(f"s{index}", markets=[f"m{index}"]) for index in range(64)))


def test_rows_are_in_the_order_of_keys_whatever_the_order_given() -> None:
    sales = [sale(f"s{index}", category=f"c{index % 3}") for index in range(20)]
    forwards, backwards = catalogue(*sales), catalogue(*reversed(sales))

    assert forwards.keys.tolist() == sorted(key(one.sale_id) for one in sales)
    assert forwards.sales == backwards.sales
    assert forwards.vocabulary.codes.tolist() == backwards.vocabulary.codes.tolist()


def test_keys_find_their_rows_and_unknown_keys_none() -> None:
    of = catalogue(sale("a"), sale("b"), sale("c"))
    asked = ["c", "unknown", "a", "c"]
    edges = np.array([0, 2**64 - 1, *(key(one) for one in asked)], dtype=np.uint64)

    found: list[int] = of.rows_for(edges).tolist()

    assert found[:2] == [-1, -1]
    assert [of.sales[index].sale_id if index >= 0 else None for index in found[2:]] == [
        "c",
        None,
        "a",
        "c",
    ]


def test_an_empty_catalogue_knows_no_key_and_shows_nothing() -> None:
    of = catalogue()

    assert of.rows_for(np.array([0, 5], dtype=np.uint64)).tolist() == [-1, -1]
    assert of.rows_for(np.empty(0, dtype=np.uint64)).tolist() == []
    assert (of.row_for("s"), shown(of), len(of)) == (None, set(), 0)


def test_a_sale_id_that_is_not_there_has_no_row() -> None:
    of = catalogue(sale("s1"), sale("s2"))

    assert (of.row_for("S1"), of.row_for(""), of.row_for("s3")) == (None, None, None)


def test_two_sales_of_one_id_are_refused() -> None:
    with pytest.raises(ValueError, match="sales 's' and 's' share an id or a key"):
        catalogue(sale("s", price=1.0), sale("a"), sale("s", price=2.0))


@pytest.mark.parametrize(
    ("price", "original_price", "discount"),
    [
        (75.0, 100.0, 0.25),
        (100.0, 100.0, 0.0),
        (120.0, 100.0, -0.2),
        (0.0, 100.0, 1.0),
        (75.0, 0.0, math.nan),
        (75.0, None, math.nan),
        (None, 100.0, math.nan),
    ],
)
def test_a_discount_is_a_share_of_the_original_price(
    price: float | None, original_price: float | None, discount: float
) -> None:
    of = catalogue(sale("s", price=price, original_price=original_price))

    assert of.discount[0] == pytest.approx(discount, nan_ok=True)


def test_equal_texts_of_different_columns_have_different_codes() -> None:
    of = catalogue(sale("a", category="Corsica"), sale("b", destination="Corsica"))
    category, destination = TEXT_COLUMNS.index("category"), TEXT_COLUMNS.index("destination")
    codes = of.vocabulary.codes

    assert codes[row(of, "a"), category] != codes[row(of, "b"), destination]
    assert of.vocabulary.values == (("category", "Corsica"), ("destination", "Corsica"))
    assert np.count_nonzero(codes) == 2


def test_pictures_fill_the_columns_of_their_sales() -> None:
    seen = {"b": picture(0.25, 0.75, embedding={7: 1.0}), "gone": picture(1, 0, embedding={0: 1.0})}
    of = catalogue(sale("a"), sale("b"), pictures=seen)
    a, b = rows(of, "a", "b")

    np.testing.assert_allclose(of.topics[b], [0.25, 0.75], atol=1e-6)
    assert of.topic_length[b] == pytest.approx(math.sqrt(0.625))
    assert np.flatnonzero(of.embeddings[b]).tolist() == [7]
    assert of.pictured[[a, b]].tolist() == [False, True]
    assert not of.topics[a].any()
    assert math.isnan(of.topic_length[a])


def test_counts_can_be_replaced_but_not_by_those_of_another_catalogue() -> None:
    of = catalogue(sale("a"), sale("b"))

    assert of.with_counts(SaleCounts.none(2)).counts.at_us == 0
    with pytest.raises(ValueError, match="counts of 3 sales for a catalogue of 2"):
        of.with_counts(SaleCounts.none(3))


def test_eligible_rows_are_those_of_a_plain_search(rng: np.random.Generator) -> None:
    of = crowd(80, rng)
    moment = from_us(NOW_US) + timedelta(hours=25)

    expected = [
        index
        for index, one in enumerate(of.sales)
        if one.opens_at <= moment and (one.closes_at is None or moment < one.closes_at)
    ]

    assert 0 < len(expected) < 80
    assert of.eligible(None, NOW_US + 25 * HOUR_US).tolist() == expected
