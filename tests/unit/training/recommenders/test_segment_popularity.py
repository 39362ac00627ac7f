"""Opened and expected sales of groups, counted by hand."""

from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from models.domain.event import KIND, EventType, key
from models.ranker.position_effect import PositionEffect
from models.recommenders.segment_popularity import SaleLift, SegmentPopularity
from tests.logs import DAY, HOUR, MINUTE, NOON, Row, catalogue, event_table
from training.recommenders.interactions import Interactions
from training.recommenders.popularity import fit_popularity
from training.recommenders.segment_popularity import fit_customer_activity, fit_segment_popularity

SHOP = catalogue("s1", "s2")


def fitted(rows: list[Row], *, examined: PositionEffect | None = None) -> SegmentPopularity:
    interactions = Interactions.from_events(event_table(rows), SHOP, examined)
    return fit_segment_popularity(interactions, fit_popularity(interactions))


def factor(appeal: SaleLift, sale_id: str, group: str) -> float:
    (place,) = np.flatnonzero(appeal.keys == np.uint64(key(sale_id))).tolist()
    return float(appeal.factors[place, appeal.groups.index(group)])


def shown(n: int, *, clicks: int, market: str, position: int = 1) -> list[Row]:
    """Impressions of s1 to as many customers of a market, some of whom open it."""
    return [
        Row(kind=kind, customer=f"{market}{number}", market=market, position=position, at=at)
        for number in range(n)
        for kind, at in (("impression", 0), *[("click", MINUTE)] * (number < clicks))
    ]


def test_a_market_that_opens_more_than_its_looks_explain_likes_a_sale() -> None:
    """30 of 80 looks open: of 40 each 15 are expected."""
    log = shown(40, clicks=25, market="fr") + shown(40, clicks=5, market="uk")

    markets = fitted(log).markets

    assert factor(markets, "s1", "fr") == pytest.approx((25 + 10) / (15 + 10))
    assert factor(markets, "s1", "uk") == pytest.approx((5 + 10) / (15 + 10))
    assert key("s2") not in markets.keys.tolist()


def test_looks_fade_with_the_position() -> None:
    """Forty impressions at position 4 are twenty looks: 20 and 10 of the 30 are expected."""
    log = shown(40, clicks=20, market="fr") + shown(40, clicks=10, market="uk", position=4)

    markets = fitted(log, examined=PositionEffect.of_all(np.array([1.0, 0.9, 0.7, 0.5]))).markets

    assert factor(markets, "s1", "fr") == pytest.approx(1.0)
    assert factor(markets, "s1", "uk") == pytest.approx(1.0)


def test_without_impressions_shares_of_all_events_are_expected() -> None:
    """Three of four events are French; of the two with s2 one is: 1.5 expected."""
    log = [
        Row(sale="s1", market="fr", customer="c1"),
        Row(sale="s1", market="fr", customer="c2"),
        Row(sale="s2", market="fr", customer="c3"),
        Row(sale="s2", market="uk", customer="c4"),
    ]

    markets = fitted(log).markets

    assert factor(markets, "s2", "fr") == pytest.approx((1 + 10) / (1.5 + 10))
    assert factor(markets, "s2", "uk") == pytest.approx((1 + 10) / (0.5 + 10))


def bought(n: int, *, device: str, opened: int) -> list[Row]:
    """Clicks with a device, some of which are followed by a purchase, each on a look."""
    return [
        Row(kind=kind, customer=f"{device}{number}", device=device, position=1, at=at)
        for number in range(opened)
        for kind, at in (
            ("impression", 0),
            ("click", MINUTE),
            *[("purchase", 2 * MINUTE)] * (number < n),
        )
    ]


def test_a_device_that_buys_less_of_what_it_opens_is_known_for_it() -> None:
    """Of 60 opened with either 30 are bought in all: each is expected to buy half."""
    habits = fitted(bought(5, device="mobile", opened=20) + bought(25, device="desktop", opened=40))

    mobile, desktop = habits.device_activity.lookup(["mobile", "desktop"]).tolist()

    # Every look was opened.
    assert (mobile[0], desktop[0]) == pytest.approx((0.0, 0.0))
    assert mobile[1] == pytest.approx(np.log((5 + 10) / (10 + 10)))
    assert desktop[1] == pytest.approx(np.log((25 + 10) / (20 + 10)))


def test_a_market_that_opens_more_is_known_for_it() -> None:
    """30 of 80 looks open: of 40 each 15 are expected."""
    log = shown(40, clicks=25, market="fr") + shown(40, clicks=5, market="uk")

    habits = fitted(log).market_activity

    assert habits.lookup(["fr"])[0, 0] == pytest.approx(np.log((25 + 10) / (15 + 10)))
    assert habits.lookup(["uk"])[0, 0] == pytest.approx(np.log((5 + 10) / (15 + 10)))


def test_devices_like_sales_as_markets_do() -> None:
    log = bought(0, device="mobile", opened=20) + [
        Row(kind="impression", customer=f"d{number}", device="desktop", position=1)
        for number in range(20)
    ]

    devices = fitted(log).devices

    # 20 of 40 looks open: ten of each are expected.
    assert factor(devices, "s1", "mobile") == pytest.approx((20 + 10) / (10 + 10))
    assert factor(devices, "s1", "desktop") == pytest.approx((0 + 10) / (10 + 10))


def test_a_customer_warms_up_as_he_acts() -> None:
    """Cold at the first click, warm at the nine that follow, hot from then on; all at one sale."""
    log = [Row(kind="click", sale="s1", at=step * HOUR) for step in range(12)]
    log += [Row(kind="click", sale="s2", customer=f"c{number}") for number in range(2, 14)]

    segments = fitted(log).segments

    # Of 24 events 13 are of the cold, 9 of the warm, 2 of the hot; s1 has half of them.
    expected = [(1 + 10) / (6.5 + 10), (9 + 10) / (4.5 + 10), (2 + 10) / (1 + 10)]
    assert [factor(segments, "s1", name) for name in segments.groups] == pytest.approx(expected)


def test_what_follows_from_a_list_belongs_to_who_saw_it() -> None:
    """Twenty strangers open both sales of their first list: all were opened by the cold."""
    log = [
        Row(kind=kind, sale=sale, customer=f"c{number}", position=1, at=at)
        for number in range(20)
        for kind, at in (("impression", 0), ("click", MINUTE))
        for sale in ("s1", "s2")
    ]

    segments = fitted(log).segments

    assert [factor(segments, sale, "cold") for sale in ("s1", "s2")] == pytest.approx([1.0, 1.0])
    assert [factor(segments, sale, "warm") for sale in ("s1", "s2")] == pytest.approx([1.0, 1.0])


def test_without_events_nothing_is_known() -> None:
    assert len(fitted([]).markets.keys) == 0


def test_how_much_customers_open_and_how_much_they_differ_is_found_again(
    rng: np.random.Generator,
) -> None:
    """Rates vary around 0.1 as a gamma variable of shape 4, from 5 to 200 impressions each."""
    n = 4_000
    impressions = rng.integers(5, 200, size=n)
    clicks = rng.poisson(0.1 * rng.gamma(4.0, 1 / 4.0, size=n) * impressions)
    interactions = counted(impression=impressions, click=clicks)

    ways = fit_customer_activity(interactions)

    assert ways.click_rate == pytest.approx(0.1, rel=0.05)
    assert ways.click_weight == pytest.approx(4.0, rel=0.15)
    assert (ways.purchase_rate, ways.purchase_weight) == (0.0, 1_000.0)


def test_without_clicks_the_rate_of_opening_is_that_of_buying(rng: np.random.Generator) -> None:
    """Coupons are sent and redeemed: 2% of them, by some customers far more than by others."""
    n = 4_000
    impressions = rng.integers(20, 400, size=n)
    bought = rng.poisson(0.02 * rng.gamma(1.0, 1.0, size=n) * impressions)

    ways = fit_customer_activity(counted(impression=impressions, purchase=bought))

    assert ways.click_rate == pytest.approx(0.02, rel=0.05)
    assert ways.click_weight == pytest.approx(1.0, rel=0.15)
    assert ways.purchase_rate == 1


def test_customers_who_differ_by_chance_alone_have_no_ways(rng: np.random.Generator) -> None:
    views = np.full(3_000, 40)
    interactions = counted(view=views, purchase=rng.poisson(0.2 * views))

    ways = fit_customer_activity(interactions)

    assert (ways.click_rate, ways.click_weight) == (0.0, 1_000.0)
    assert ways.purchase_rate == pytest.approx(0.2, rel=0.03)
    assert ways.purchase_weight > 100


def test_what_profiles_no_longer_count_makes_no_rate() -> None:
    """By hand: 1,000 clicks and then 2,000 impressions, of 100 customers."""
    known = counted(click=np.full(100, 10), impression=np.full(100, 20))
    days = np.repeat([181, 0], [1_000, 2_000])

    recent = fit_customer_activity(replace(known, received_us=NOON - days * DAY))

    assert fit_customer_activity(known).click_rate == pytest.approx(0.5)
    assert recent.click_rate == 0


def counted(**of_kind: NDArray[np.int64]) -> Interactions:
    """The events of customers, so many of each kind."""
    kinds, customers = zip(
        *(
            (np.full(n.sum(), KIND[EventType(kind)]), np.arange(len(n)).repeat(n))
            for kind, n in of_kind.items()
        ),
        strict=True,
    )
    none = Interactions.from_events(event_table([Row()]), SHOP)
    return replace(
        none,
        received_us=np.full(sum(map(len, kinds)), NOON),
        customers=np.concatenate(customers),
        n_customers=len(next(iter(of_kind.values()))),
        kinds=np.concatenate(kinds).astype(np.uint8),
    )
