"""Interactions: what recommenders are fitted on, as of a moment."""

import numpy as np
import pytest

from models.features.context import device_code
from models.ranker.position_effect import PositionEffect
from tests.logs import DAY, HOUR, NOON, Row, catalogue, event_table
from training.recommenders.interactions import Interactions

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
