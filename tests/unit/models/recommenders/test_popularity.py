"""Popularity: rates shrunk towards priors, by hand."""

import math
from dataclasses import replace

import numpy as np
import pytest

from models.arrays.array_file import Arrays
from models.catalogue.catalogue import Catalogue
from models.catalogue.event_counts import DAYS, HOUR, HOURS, WEEKS
from models.domain.event import KIND, EventType
from models.recommenders.popularity import Popularity
from tests.builders import NOW_US, POPULARITY, catalogue, query, sale

SEEN = {
    EventType.IMPRESSION: 90.0,
    EventType.VIEW: 5.0,
    EventType.CLICK: 19.0,
    EventType.CART: 3.0,
    EventType.PURCHASE: 5.0,
}


def shop(**counts: dict[EventType, float]) -> Catalogue:
    return catalogue(*(sale(name) for name in counts), counts=counts)


def scores(of: Catalogue, sale_id: str, popularity: Popularity = POPULARITY) -> dict[str, float]:
    (values,) = popularity.scores(query(of, candidates=[sale_id])).tolist()
    return dict(zip(Popularity.columns, values, strict=True))


def test_an_unseen_sale_has_exactly_the_priors() -> None:
    unseen = scores(shop(s={}), "s")

    assert unseen == {
        "popularity": 0.1 * 0.2,
        "popularity_click_rate": 0.1,
        "popularity_purchase_rate": 0.2,
        "popularity_volume": 0.0,
        "popularity_trend": 0.0,
        "popularity_hour": 0.1 * 0.2,
        "popularity_hours": 0.1 * 0.2,
        "popularity_weeks": 0.1 * 0.2,
        "popularity_looks": 0.0,
    }


def test_rates_are_shrunk_towards_the_priors() -> None:
    """(19 + 10 · 0.1) / (90 + 10), and (5 + 5 · 0.2) / (19 + 5 + 5)."""
    seen = scores(shop(s=SEEN), "s")

    assert seen["popularity_click_rate"] == pytest.approx(0.2)
    assert seen["popularity_purchase_rate"] == pytest.approx(6 / 29)
    assert seen["popularity"] == pytest.approx(0.2 * 6 / 29)


def test_views_without_an_impression_are_looks_and_no_impressions() -> None:
    """A hundred views from elsewhere, of which one in five bought, as of the other looks."""
    listed = {EventType.IMPRESSION: 90.0, EventType.CLICK: 20.0, EventType.PURCHASE: 4.0}
    sought = {**listed, EventType.VIEW: 100.0, EventType.PURCHASE: 24.0}

    before, after = (scores(shop(s=counts), "s") for counts in (listed, sought))

    rates = [name for name in before if name.removeprefix("popularity_") not in {"volume", "looks"}]
    assert [after[name] for name in rates] == pytest.approx([before[name] for name in rates])


def test_volume_weighs_events_by_interest() -> None:
    """5 views + 19 clicks + 2 · 3 carts + 3 · 5 purchases."""
    assert scores(shop(s=SEEN), "s")["popularity_volume"] == pytest.approx(math.log1p(45))


def test_the_trend_is_the_share_of_the_last_hours() -> None:
    of = shop(s=SEEN)
    decayed = of.counts.decayed.copy()
    decayed[HOURS] /= 5
    of = of.with_counts(type(of.counts)(NOW_US, decayed[DAYS], decayed))

    assert scores(of, "s")["popularity_trend"] == pytest.approx(0.2)


def test_rates_stay_rates_where_clicks_have_no_impression_on_record() -> None:
    odd = scores(shop(s={EventType.CLICK: 50.0, EventType.PURCHASE: 80.0}), "s")

    assert odd["popularity_click_rate"] == pytest.approx(51 / 60)
    assert odd["popularity_purchase_rate"] == pytest.approx(81 / 85)


def test_sales_are_ordered_by_purchases_per_impression() -> None:
    """Of sales shown alike, who is clicked and bought more comes first; unseen between."""
    shown = {EventType.IMPRESSION: 1_000.0}
    of = shop(
        loved=shown | {EventType.CLICK: 200.0, EventType.PURCHASE: 60.0},
        opened=shown | {EventType.CLICK: 200.0, EventType.PURCHASE: 1.0},
        ignored=shown,
        unseen={},
    )
    names = ["ignored", "opened", "loved", "unseen"]

    order = np.argsort(-POPULARITY.scores(query(of, candidates=names))[:, 0])

    assert [names[index] for index in order] == ["loved", "unseen", "opened", "ignored"]


def test_without_impressions_on_record_the_volume_of_weeks_orders() -> None:
    """Then a rate per impression is unknown, not 0 for all: 1 + 3, and 9 views."""
    blind = Popularity(click_rate=0.0, purchase_rate=0.2, click_weight=10.0, purchase_weight=5.0)
    of = shop(
        rare={EventType.VIEW: 1.0, EventType.PURCHASE: 1.0},
        busy={EventType.VIEW: 9.0},
        unseen={},
    )
    decayed = np.zeros_like(of.counts.decayed)
    decayed[WEEKS] = of.counts.decayed[WEEKS]
    of = of.with_counts(type(of.counts)(NOW_US, of.counts.totals, decayed))

    order = blind.scores(query(of, candidates=["unseen", "rare", "busy"]))[:, 0]

    assert order.tolist() == [0.0, 4.0, 9.0]


def test_rates_of_hours_are_shrunk_towards_those_of_the_next_longer_half_life() -> None:
    of = shop(s=SEEN)
    decayed = of.counts.decayed.copy()
    decayed[HOUR] = 0.0
    decayed[HOURS, 0, KIND[EventType.IMPRESSION]] = 10.0
    decayed[HOURS, 0, KIND[EventType.CLICK]] = 8.0
    decayed[HOURS, 0, KIND[EventType.PURCHASE]] = 4.0
    of = of.with_counts(type(of.counts)(NOW_US, decayed[DAYS], decayed))

    seen = scores(of, "s")

    # Of two days 0.2 and 6/29, each with the weight of the prior: 10 looks, 5 openings.
    hours = (8 + 10 * 0.2) / (10 + 10) * (4 + 5 * 6 / 29) / (13 + 5)
    assert seen["popularity_hours"] == pytest.approx(hours)
    # An hour without events says what the hours before it say.
    assert seen["popularity_hour"] == pytest.approx(hours)
    assert seen["popularity_weeks"] == pytest.approx(0.2 * 6 / 29)


def test_lists_without_clicks_convert_by_purchases_per_impression() -> None:
    """(4 + 20 · 0.05) / (80 + 20); views from elsewhere are no part of it."""
    news = Popularity(0.05, 0.9, 20.0, 5.0, opening=KIND[EventType.PURCHASE])
    counts = {EventType.IMPRESSION: 80.0, EventType.PURCHASE: 4.0}
    of = shop(s=counts, visited=counts | {EventType.VIEW: 500.0})

    found = [scores(of, name, news)["popularity"] for name in ("s", "visited")]

    assert found == pytest.approx([0.05, 0.05])


def test_clicks_alone_order_by_clicks_per_impression() -> None:
    clicks = Popularity(0.1, 0.0, 10.0, 20.0)
    of = shop(s={EventType.IMPRESSION: 90.0, EventType.CLICK: 19.0})

    assert scores(of, "s", clicks)["popularity"] == pytest.approx(0.2)


def test_without_lists_the_other_half_lives_are_purchases_per_opening() -> None:
    blind = Popularity(0.0, 0.2, 10.0, 5.0)
    of = shop(s={EventType.VIEW: 15.0, EventType.PURCHASE: 3.0})

    assert scores(of, "s", blind)["popularity_weeks"] == pytest.approx(4 / 20)
    assert scores(of, "s", blind)["popularity_looks"] == pytest.approx(math.log1p(15))


def test_priors_round_trip() -> None:
    purchases = replace(POPULARITY, opening=KIND[EventType.PURCHASE])
    for one in (POPULARITY, purchases):
        content = Arrays(one.to_arrays()).to_bytes()
        assert Popularity.from_arrays(Arrays.from_bytes(content)) == one


def test_another_number_of_priors_is_refused() -> None:
    with pytest.raises(ValueError, match="popularity has 5 priors, got 3"):
        Popularity.from_arrays(Arrays({"priors": np.array([0.1, 0.2, 10.0])}))


def test_openings_by_another_type_are_refused() -> None:
    with pytest.raises(ValueError, match="opens sales by events of type 9, which is none"):
        Popularity.from_arrays(Arrays({"priors": np.array([0.1, 0.2, 10.0, 5.0, 9.0])}))
