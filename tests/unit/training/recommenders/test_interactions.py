"""Interactions: what recommenders are fitted on, as of a moment."""

from dataclasses import replace

import numpy as np
import pytest

from models.features.context import device_code
from models.ranker.position_effect import PositionEffect
from models.recommenders.recommender import Recommender
from tests.logs import DAY, HOUR, MINUTE, NOON, Row, catalogue, event_table, merged_log
from training.recommenders.buy_again import fit_buy_again
from training.recommenders.collaborative import fit_collaborative
from training.recommenders.covisitation import fit_covisitation
from training.recommenders.interactions import Interactions
from training.recommenders.session import fit_session

SHOP = catalogue("s1", "s2", "s3")


@pytest.mark.parametrize(("day", "n_purchases"), [(1, 1), (2, 1), (3, 0)])
def test_a_purchase_counts_until_its_refund_was_received(day: int, n_purchases: int) -> None:
    log = [Row(kind="purchase"), Row(kind="refund", at=1, received=2 * DAY)]

    known = Interactions.from_events(event_table(log), SHOP).before(NOON + day * DAY)

    assert len(known) == n_purchases


def test_a_dislike_leaves_no_pair_and_a_favourite_makes_one() -> None:
    log = [
        Row(kind="cart"),
        Row(kind="dislike", at=1),
        Row(kind="favourite", sale="s2"),
        Row(kind="search", at=2),
        Row(kind="email_open", at=3),
    ]

    customers, rows = Interactions.from_events(event_table(log), SHOP).before(NOON + DAY).touched()

    assert (customers.tolist(), rows.tolist()) == ([0], [SHOP.row_for("s2")])


def test_interactions_of_the_past_are_a_part_of_the_columns() -> None:
    log = [Row(at=-DAY), Row(at=-HOUR, received=HOUR, kind="click"), Row(at=0)]
    interactions = Interactions.from_events(event_table(log), SHOP)

    past = interactions.before(NOON)

    assert past.at_us.tolist() == [NOON - DAY]
    assert np.shares_memory(past.rows, interactions.rows)


def test_of_what_was_shown_a_share_was_opened() -> None:
    """Of three pairs of customer and sale that were shown, however often, one was touched."""
    log = [
        *(Row(kind="impression", sale="s1", at=hour * HOUR) for hour in range(3)),
        *(Row(kind="impression", sale=sale_id) for sale_id in ("s2", "gone")),
        Row(kind="impression", sale="s1", customer="c2"),
        Row(kind="click", sale="s1", at=HOUR),
        Row(kind="purchase", sale="s1", at=HOUR),
        Row(kind="view", sale="s3"),
    ]

    assert Interactions.from_events(event_table(log), SHOP).opened_share() == pytest.approx(1 / 3)
    assert Interactions.from_events(event_table([Row(kind="click")]), SHOP).opened_share() == 0.0


def test_an_impression_counts_by_the_curve_of_examination() -> None:
    log = [
        Row(kind="impression", sale="s1", position=4),
        Row(kind="impression", sale="s1", position=1, customer="c2"),
        Row(kind="click", sale="s2"),
    ]

    examined = PositionEffect.of_all(np.array([1.0, 0.8, 0.5]))
    looks = Interactions.from_events(event_table(log), SHOP, examined).looks_by_sale()

    # Places beyond the curve have its last value.
    assert looks[SHOP.row_for("s1")] == pytest.approx(1.5)
    assert looks.sum() == pytest.approx(1.5)


def test_an_impression_counts_by_the_curve_of_its_device() -> None:
    log = [
        Row(kind="impression", sale="s1", position=2, device="phone"),
        Row(kind="impression", sale="s1", position=2, customer="c2", device="tablet"),
        Row(kind="impression", sale="s1", position=2, customer="c3"),
    ]

    curves = np.array([[1.0, 0.5], [1.0, 0.25]])
    examined = PositionEffect(curves, np.array([device_code("phone")]))
    looks = Interactions.from_events(event_table(log), SHOP, examined).looks_by_sale()

    assert looks[SHOP.row_for("s1")] == pytest.approx(0.25 + 0.5 + 0.5)


def test_without_impressions_every_sale_with_an_event_counts_as_seen_once() -> None:
    looks = Interactions.from_events(
        event_table([Row(sale="s1"), Row(sale="s1")]), SHOP
    ).looks_by_sale()

    assert looks[SHOP.row_for("s1")] == looks.sum() == 1.0


def fitted(interactions: Interactions) -> list[Recommender]:
    """Recommenders that learn from which sales one customer turned to."""
    collaborative = fit_collaborative(interactions)
    others = [fit_covisitation(interactions), fit_session(interactions, collaborative)]
    return [collaborative, *others, fit_buy_again(interactions)]


def test_recommenders_learn_of_a_merged_guest_as_of_the_customer(rng: np.random.Generator) -> None:
    """Equal to the last bit to a log that knew the customer at once; before the merge it did not.

    Of 80 customers each did half as a guest, an hour before; half of the guests bought as well.
    """
    shop = catalogue(*(f"s{number}" for number in range(12)))
    own = [
        Row(
            customer=f"c{number:02}",
            at=minute * MINUTE,
            sale=f"s{rng.integers(12)}",
            kind=str(rng.choice(["view", "click", "purchase"])),
        )
        for minute in range(6)
        for number in range(80)
    ]
    as_guests = [
        replace(row, customer=f"v{row.customer[1:]}", at=row.at - HOUR, sale=f"s{number % 12}")
        for number, row in enumerate(own)
    ]
    as_customers = [replace(row, customer=f"c{row.customer[1:]}") for row in as_guests]
    merges = [(f"v{number:02}", f"c{number:02}", HOUR) for number in range(80)]

    log = Interactions.from_events(merged_log([*as_guests, *own], merges), shop)
    whole = Interactions.from_events(event_table([*as_customers, *own]), shop)
    apart = Interactions.from_events(event_table([*as_guests, *own]), shop)

    for moment, expected in [(NOON + 2 * HOUR, whole), (NOON + HOUR, apart)]:
        pairs = zip(fitted(log.before(moment)), fitted(expected.before(moment)), strict=True)
        for one, other in pairs:
            found, wanted = one.to_arrays(), other.to_arrays()
            assert {name: array.tobytes() for name, array in found.items()} == {
                name: array.tobytes() for name, array in wanted.items()
            }
    assert len(whole.before(NOON + 2 * HOUR).touched()[0]) < len(apart.touched()[0])


def test_a_customer_without_events_has_those_of_their_guests_and_counts_stay() -> None:
    """Two guests who viewed one sale in one hour count as two for it, also once they are one."""
    log = [Row(customer="v1"), Row(customer="v2", at=MINUTE), Row(customer="v2", sale="s2")]
    events = merged_log(log, [("v1", "c1", HOUR), ("v2", "c1", HOUR)])

    known = Interactions.from_events(events, SHOP).before(NOON + DAY)

    customers, rows = known.touched()
    assert len(set(customers.tolist())) == 1
    assert rows.tolist() == [SHOP.row_for("s1"), SHOP.row_for("s2")]
    assert known.counted.tolist() == [True, True, True]
