"""Eligible sales: when they change, what is cached, and that sharing changes no bit."""

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest

from models.catalogue.catalogue import Catalogue
from models.catalogue.eligible_sales import MAX_MARKETS_CACHED, EligibleSalesCache
from models.domain.event import EventType, from_us
from models.query.query import Batch, Context, Query
from tests.builders import (
    HOUR_US,
    NOW_US,
    SCHEMA,
    browse,
    catalogue,
    crowd,
    query,
    row,
    rows,
    sale,
)

SHOP = catalogue(
    sale("now", closes_at=None),
    sale("ending", closes_at=from_us(NOW_US + HOUR_US)),
    sale("coming", opens_at=from_us(NOW_US + 2 * HOUR_US)),
    sale("french", markets=["fr"]),
    sale("german", markets=["de"]),
)


def on_offer(offers: EligibleSalesCache, market: str | None, now_us: int) -> set[str]:
    found: list[int] = offers.at(market, now_us).rows.tolist()
    return {SHOP.sales[row].sale_id for row in found}


def test_an_offer_lasts_from_one_opening_or_closing_up_to_the_next() -> None:
    offers = EligibleSalesCache(SHOP)
    first = offers.at("fr", NOW_US)

    assert offers.at("fr", NOW_US + HOUR_US - 1) is first
    assert on_offer(offers, "fr", NOW_US) == {"now", "ending", "french"}
    assert on_offer(offers, "fr", NOW_US + HOUR_US) == {"now", "french"}
    assert on_offer(offers, "fr", NOW_US + 2 * HOUR_US) == {"now", "french", "coming"}


def test_a_clock_that_goes_back_sees_what_was_on_offer_then() -> None:
    offers = EligibleSalesCache(SHOP)

    assert on_offer(offers, None, NOW_US + HOUR_US) == {"now", "french", "german"}
    assert on_offer(offers, None, NOW_US) == {"now", "ending", "french", "german"}
    assert on_offer(offers, None, NOW_US - 2 * HOUR_US) == set()


@pytest.mark.parametrize("market", [None, "fr", "de", "nowhere"])
def test_every_moment_offers_what_is_eligible(market: str | None) -> None:
    offers = EligibleSalesCache(SHOP)

    for now_us in range(NOW_US - 2 * HOUR_US, NOW_US + 26 * HOUR_US, HOUR_US // 2):
        eligible = SHOP.eligible(market, now_us)
        assert offers.at(market, now_us).rows.tolist() == eligible.tolist()


def test_a_shop_without_sales_offers_nothing() -> None:
    assert EligibleSalesCache(catalogue()).at(None, NOW_US).rows.tolist() == []


def test_markets_that_no_sale_names_have_one_offer_together() -> None:
    offers = EligibleSalesCache(SHOP)

    assert offers.at("nowhere", NOW_US) is offers.at("elsewhere", NOW_US)
    assert on_offer(offers, "nowhere", NOW_US) == {"now", "ending"}


def test_no_more_than_so_many_offers_are_kept() -> None:
    names = [f"m{index}" for index in range(MAX_MARKETS_CACHED + 1)]
    offers = EligibleSalesCache(catalogue(*(sale(name, markets=[name]) for name in names)))
    first, last_but_one = offers.at(names[0], NOW_US), offers.at(names[-2], NOW_US)
    assert offers.at(names[0], NOW_US) is first

    for name in names[1:]:
        offers.at(name, NOW_US)

    assert offers.at(names[-1], NOW_US) is offers.at(names[-1], NOW_US)
    assert offers.at(names[0], NOW_US) is not first
    assert offers.at(names[-2], NOW_US) is not last_but_one


def customers(shop: Catalogue, rng: np.random.Generator) -> Iterator[Query]:
    """Customers who look at all of a shop, one of them without a past."""
    for n_events in (0, 3, 12, 40):
        for device in (None, "mobile"):
            asked = query(shop, *browse(n_events, len(shop), rng=rng))
            yield replace(asked, context=Context(NOW_US + n_events * HOUR_US // 9, None, device))


def test_customers_who_share_an_offer_are_answered_to_the_bit_as_alone(
    rng: np.random.Generator,
) -> None:
    shop = crowd(60, rng)
    offer = EligibleSalesCache(shop).at(None, NOW_US)

    for asked in customers(shop, rng):
        alone = SCHEMA.assemble(replace(asked, rows=offer.rows.copy()))
        together = SCHEMA.assemble(replace(asked, rows=offer.rows, eligible=offer))
        assert together.tobytes() == alone.tobytes()


def test_what_is_on_offer_is_looked_up_once(rng: np.random.Generator) -> None:
    shop = crowd(20, rng)
    offer = EligibleSalesCache(shop).at(None, NOW_US)
    asked = replace(query(shop), rows=offer.rows, eligible=offer)

    first, second = (
        Batch.from_query(asked),
        Batch.from_query(replace(asked, context=Context(NOW_US + 1))),
    )

    assert first.counts is second.counts


def test_an_offer_says_nothing_of_other_candidates_or_counts() -> None:
    shop = catalogue(sale("a", price=10), sale("b", price=20))
    offer = EligibleSalesCache(shop).at(None, NOW_US)
    asked = replace(query(shop), rows=offer.rows, eligible=offer)
    visited = catalogue(*shop.sales, counts={"a": {EventType.CLICK: 7.0}})
    SCHEMA.assemble(asked)

    fewer = asked.select(rows(shop, "b"))
    later = replace(asked, catalogue=visited)

    prices = SCHEMA.assemble(fewer)[:, SCHEMA.names.index("sale_price")]
    assert prices.tolist() == [np.float32(shop.log_price[row(shop, "b")])]
    clicks = Batch.from_query(later).counts.decayed[0, 0, row(visited, "a")]
    assert clicks.sum() == 7.0
