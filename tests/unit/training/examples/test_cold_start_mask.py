"""Hidden history: what of it is left, and how often."""

from dataclasses import replace

import numpy as np

from models.domain.event import EventType, from_us, key
from models.domain.profile import Profile
from models.query.query import Query
from tests import logs
from tests.builders import DAY_US, NOW_US, catalogue, feature, query, row, sale
from training.examples.cold_start_mask import ColdStartMask, with_new_customer, with_new_sales
from training.examples.slates import Slates, shown_slates

SEEN = {EventType.IMPRESSION: 50.0, EventType.CLICK: 20.0, EventType.PURCHASE: 5.0}
OLD = from_us(NOW_US - 5 * DAY_US)
SHOP = catalogue(
    sale("shown", opens_at=OLD, category="ski"),
    sale("liked", opens_at=OLD, category="ski"),
    counts={"shown": SEEN, "liked": SEEN},
)
ASKED = query(
    SHOP,
    *((EventType.VIEW, "shown", 60.0), (EventType.VIEW, "liked", 30.0)),
    *((EventType.IMPRESSION, "shown", 90.0), (EventType.IMPRESSION, "liked", 90.0)),
    candidates=["shown"],
)


def one(asked: Query, name: str) -> float:
    return feature(asked, name).item()


def test_a_hidden_sale_looks_as_if_it_had_just_opened() -> None:
    """Its counts are 0; events of the customer at another sale still show their taste."""
    hidden = with_new_sales(ASKED)

    assert (one(ASKED, "same_sale_views"), one(hidden, "same_sale_views")) == (1.0, 0.0)
    assert one(ASKED, "popularity_volume") > 0 == one(hidden, "popularity_volume")
    assert one(hidden, "sale_age") == np.float32(np.log1p(1 / 60))
    assert one(hidden, "sale_time_left") == one(ASKED, "sale_time_left")
    assert one(hidden, "content_category") > 0
    assert one(ASKED, "same_sale_shown") > 0
    assert np.isnan(one(hidden, "same_sale_shown"))
    assert hidden.window.shown.sale_keys.tolist() == [key("liked")]
    liked = row(SHOP, "liked")
    assert np.array_equal(hidden.catalogue.counts.totals[liked], SHOP.counts.totals[liked])


def test_mask_leaves_the_catalogue_as_it_was() -> None:
    before = SHOP.counts.id

    with_new_sales(ASKED)

    assert SHOP.counts.id == before
    assert one(ASKED, "same_sale_views") == 1.0


def test_a_hidden_customer_did_nothing_yet() -> None:
    hidden = with_new_customer(ASKED)

    assert one(hidden, "customer_views") == one(hidden, "content_category") == 0.0
    assert one(hidden, "popularity_volume") == one(ASKED, "popularity_volume")


def test_a_hidden_customer_keeps_attributes() -> None:
    known = replace(ASKED, profile=replace(ASKED.profile, attributes={"age": 41.0}))

    assert with_new_customer(known).profile == replace(Profile.empty(), attributes={"age": 41.0})


def many_slates(n: int) -> Slates:
    log = [
        logs.Row(kind="impression", at=number * logs.MINUTE, sale="s1", exposure=f"x{number}")
        for number in range(n)
    ]
    return shown_slates(logs.event_table(log), logs.catalogue("s1"), outcome_us=logs.DAY)


def test_a_share_of_the_slates_is_learned_from_once_more() -> None:
    """A quarter of 2,000, within five standard errors; every slate stays once as it was."""
    slates = many_slates(2_000)

    mask = ColdStartMask.draw(slates, share=0.25, seed=1)

    as_it_was = np.flatnonzero(~mask.new_sales)
    assert np.array_equal(mask.slates.now_us[as_it_was], slates.now_us)
    assert np.all(np.diff(mask.slates.now_us) >= 0)
    n = int(mask.new_sales.sum())
    assert abs(n - 500) < 5 * np.sqrt(2_000 * 0.25 * 0.75)
    assert not np.any(mask.new_customers & ~mask.new_sales)
    assert abs(mask.new_customers.sum() - n / 10) < 5 * np.sqrt(n * 0.1 * 0.9)


def test_only_repeated_slates_are_hidden() -> None:
    mask = ColdStartMask.draw(many_slates(50), share=0.5, seed=1)
    first, again = int(np.argmin(mask.new_sales)), int(np.argmax(mask.new_sales))

    assert mask.apply(first, ASKED) is ASKED
    assert one(mask.apply(again, ASKED), "same_sale_views") == 0.0
