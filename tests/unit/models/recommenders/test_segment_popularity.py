"""Popularity by market, device and segment, and habits: by hand."""

import numpy as np
import pytest
from numpy.typing import NDArray

from models.arrays.array_file import Arrays
from models.domain.event import EventType, key
from models.domain.profile import Profile
from models.query.query import Context
from models.recommenders.segment_popularity import (
    CustomerActivity,
    GroupActivity,
    SaleLift,
    SegmentPopularity,
    segment_for,
)
from tests.builders import NOW_US, POPULARITY, Seen, catalogue, query, sale

SHOP = catalogue(sale("a"), sale("b"), counts={"a": {EventType.IMPRESSION: 90.0}})


def appeal(groups: tuple[str, ...], *factors: float) -> SaleLift:
    """What is known of sale a, and of one that is gone."""
    keys = np.sort(np.array([key("a"), key("gone")], dtype=np.uint64))
    table = np.full((2, len(groups)), 7.0)
    table[keys == key("a")] = factors
    return SaleLift(groups, keys, table)


AUDIENCE = SegmentPopularity(
    POPULARITY,
    markets=appeal(("fr", "uk"), 2.0, 0.5),
    devices=appeal(("mobile",), 4.0),
    segments=appeal(("cold", "warm", "hot"), 1.0, 1.5, 3.0),
    market_activity=GroupActivity(
        ("fr", "uk"), opens=np.array([0.1, 0.2]), buys=np.array([0.3, 0.4])
    ),
    device_activity=GroupActivity(("mobile",), opens=np.array([0.5]), buys=np.array([-0.6])),
    customer_activity=CustomerActivity(
        click_rate=0.1, click_weight=4.0, purchase_rate=0.25, purchase_weight=2.0
    ),
)
NOTHING = [0.0] * 6


def scores(
    *events: Seen,
    market: str | None = None,
    device: str | None = None,
    profile: Profile | None = None,
    audience: SegmentPopularity = AUDIENCE,
) -> NDArray[np.float64]:
    asked = query(
        SHOP,
        *events,
        candidates=["a", "b"],
        profile=profile,
        context=Context(NOW_US, market=market, device=device),
    )
    return audience.scores(asked)


def test_popularity_is_multiplied_by_market_and_segment() -> None:
    """Sale a: 0.1 · 10 / (90 + 10) clicks, 0.2 of them purchases, 2 in France, 1.5 to the warm."""
    a, b = scores((EventType.VIEW, "b", 9.0), market="fr").tolist()

    assert a[:4] == pytest.approx([0.01 * 0.2 * 2.0 * 1.5, np.log(2.0), 0.0, np.log(1.5)])
    assert b[:4] == pytest.approx([0.1 * 0.2, 0.0, 0.0, 0.0])


def test_it_is_multiplied_by_the_device() -> None:
    a, b = scores(device="mobile").tolist()

    assert a[:4] == pytest.approx([0.01 * 0.2 * 4.0, 0.0, np.log(4.0), 0.0])
    assert b[:4] == pytest.approx([0.1 * 0.2, 0.0, 0.0, 0.0])


def test_habits_are_the_same_for_all_sales() -> None:
    habits = scores(market="uk", device="mobile")[:, 4:8]

    assert habits.tolist() == [[0.2, 0.4, 0.5, -0.6]] * 2


@pytest.mark.parametrize("unknown", [None, "mars"])
def test_of_an_unknown_market_and_device_sales_are_as_popular_as_anywhere(
    unknown: str | None,
) -> None:
    found = scores(market=unknown, device=unknown)

    assert found[0].tolist() == pytest.approx([0.01 * 0.2, 0.0, 0.0, 0.0, *NOTHING])


def test_a_customer_is_as_hot_as_window_or_profile_know() -> None:
    """Impressions of the profile do not count."""
    hot = Profile(first_us=0, counts=(50, 4, 4, 1, 1))

    assert scores(profile=hot)[0, 3] == pytest.approx(np.log(3.0))
    assert [segment_for(n) for n in (0, 1, 9, 10)] == ["cold", "warm", "warm", "hot"]


def test_a_customers_own_ways_are_those_of_his_profile() -> None:
    """Of 60 sales 11 were opened and 6 expected; of those 1 was bought and 3 expected."""
    profile = Profile(first_us=0, counts=(60, 1, 11, 0, 1))

    own = scores(profile=profile)[:, 8:]

    assert own.tolist() == [pytest.approx([np.log(15.0 / 10.0), np.log(3.0 / 5.0)])] * 2


def test_what_was_bought_was_opened_also_where_no_click_is_on_record() -> None:
    """Of 60 sales 3 were bought, so opened, and 6 openings expected; of 3 0.75 purchases."""
    profile = Profile(first_us=0, counts=(60, 0, 0, 0, 3))

    own = scores(profile=profile)[:, 8:]

    assert own.tolist() == [pytest.approx([np.log(7.0 / 10.0), np.log(5.0 / 2.75)])] * 2


def test_nothing_is_known_of_who_was_shown_nothing_or_where_nothing_is_opened() -> None:
    never = CustomerActivity(
        click_rate=0.0, click_weight=4.0, purchase_rate=0.0, purchase_weight=2.0
    )

    assert (
        AUDIENCE.customer_activity.log_factors(Profile(first_us=0, counts=(0, 0, 5, 0, 0)))[0]
        == 0.0
    )
    assert never.log_factors(Profile(first_us=0, counts=(60, 0, 5, 0, 0))) == (0.0, 0.0)


def test_it_round_trips() -> None:
    again = SegmentPopularity.from_arrays(
        Arrays.from_bytes(Arrays(AUDIENCE.to_arrays()).to_bytes())
    )

    profile = Profile(first_us=0, counts=(60, 1, 11, 0, 1))
    before = scores(market="uk", device="mobile", profile=profile)
    after = scores(market="uk", device="mobile", profile=profile, audience=again)
    np.testing.assert_array_equal(after, before)


def test_factors_that_do_not_fit_are_refused() -> None:
    broken = {**AUDIENCE.to_arrays(), "markets_factors": np.ones((1, 2))}

    with pytest.raises(ValueError, match=r"\(1, 2\) factors of 2 sales and 2 groups"):
        SegmentPopularity.from_arrays(Arrays(broken))


def test_habits_that_do_not_fit_are_refused() -> None:
    broken = {**AUDIENCE.to_arrays(), "devices_buys": np.ones(2)}

    with pytest.raises(ValueError, match="1 groups open 1 and buy 2 times as much"):
        SegmentPopularity.from_arrays(Arrays(broken))


def test_ways_of_another_number_are_refused() -> None:
    broken = {**AUDIENCE.to_arrays(), "ways": np.ones(3)}

    with pytest.raises(ValueError, match="customer activity has 4 numbers, got 3"):
        SegmentPopularity.from_arrays(Arrays(broken))


@pytest.mark.parametrize("ways", [(0.1, 0.0, 0.25, 2.0), (0.1, 4.0, -0.25, 2.0)])
def test_ways_that_no_factor_follows_from_are_refused(ways: tuple[float, ...]) -> None:
    broken = {**AUDIENCE.to_arrays(), "ways": np.array(ways)}

    with pytest.raises(ValueError, match="customer activity must be positive"):
        SegmentPopularity.from_arrays(Arrays(broken))
