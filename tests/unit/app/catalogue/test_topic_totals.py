"""Topic totals: each sale counts for its largest topic, by what customers did with it."""

from dataclasses import replace

from app.catalogue.catalogue_version import CatalogueVersion, Source
from app.catalogue.topic_totals import topic_totals
from models.catalogue.snapshot import Snapshot
from models.domain.event import EventType, from_us
from models.domain.units import DAY_US
from tests.builders import NOW_US, TOPICS, catalogue, picture, sale
from tests.shop import scorer

PICTURES = {
    "alps": picture(0.9, 0.1, embedding={0: 1.0}),
    "tignes": picture(0.6, 0.4, embedding={1: 1.0}),
    "gone": picture(0.8, 0.2, embedding={2: 1.0}),
    "bali": picture(0.3, 0.7, embedding={3: 1.0}),
}
COUNTS = {
    "alps": {EventType.IMPRESSION: 100.0, EventType.CLICK: 10.0, EventType.PURCHASE: 1.0},
    "gone": {EventType.IMPRESSION: 50.0, EventType.CLICK: 5.0},
    "bali": {EventType.IMPRESSION: 30.0, EventType.CLICK: 9.0, EventType.PURCHASE: 2.0},
    "bare": {EventType.IMPRESSION: 7.0, EventType.PURCHASE: 7.0},
}


def served() -> CatalogueVersion:
    """Two open ski sales and one that is over, one of the beach, one without a picture."""
    over = {"opens_at": from_us(NOW_US - 2 * DAY_US), "closes_at": from_us(NOW_US - DAY_US)}
    sales = (
        sale("alps", markets=("fr",)),
        sale("tignes"),
        sale("gone", **over),
        sale("bali"),
        sale("bare"),
    )
    found = catalogue(*sales, pictures=PICTURES, counts=COUNTS)
    snapshot = Snapshot.from_sales({one.sale_id: one for one in sales}, PICTURES)
    return CatalogueVersion("", snapshot, found, Source.STORE, replace(scorer(), topics=TOPICS))


def test_each_sale_counts_for_its_largest_topic() -> None:
    """By hand: a sale that is over is counted and not named; one without a picture is neither."""
    beach, ski = topic_totals(served(), None, now_us=NOW_US)

    assert (ski.name, ski.n_sales, ski.examples) == ("ski", 2, ("alps", "tignes"))
    assert (ski.n_impressions, ski.n_clicks, ski.n_purchases) == (150, 15, 1)
    assert (beach.name, beach.n_sales, beach.examples) == ("beach", 1, ("bali",))
    assert (beach.n_impressions, beach.n_clicks, beach.n_purchases) == (30, 9, 2)


def test_open_sales_are_those_of_the_market() -> None:
    _, ski = topic_totals(served(), "uk", now_us=NOW_US)

    assert (ski.n_sales, ski.examples) == (1, ("tignes",))
    assert ski.n_purchases == 1


def test_a_model_without_topics_has_none() -> None:
    assert topic_totals(replace(served(), scorer=scorer()), None, now_us=NOW_US) == []
    assert topic_totals(replace(served(), scorer=None), None, now_us=NOW_US) == []
