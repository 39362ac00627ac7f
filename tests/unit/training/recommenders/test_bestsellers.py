"""Events by sale, counted by hand, and shops whose counts know all of them."""

import pytest

from models.domain.event import from_us, key
from tests.logs import DAY, MINUTE, NOON, Row, catalogue, event_table, sale
from training.examples.refit import fit_recommenders
from training.recommenders.bestsellers import fit_bestsellers, n_outlasting
from training.recommenders.interactions import Interactions
from training.recommenders.left_out import without_data

SHOP = catalogue("old", "new")


def interactions(*log: Row) -> Interactions:
    return Interactions.from_events(event_table(log), SHOP)


def test_events_are_weighted_and_counted_once_an_hour() -> None:
    """A purchase weighs 3, a view 1, an impression nothing; the second view of an hour counts not.

    The last of them is of day 20: what was received on day 6 or earlier is not recent.
    """
    log = [
        Row(kind="purchase", sale="old"),
        Row(kind="view", sale="old", at=6 * DAY),
        Row(kind="view", sale="old", at=6 * DAY + MINUTE),
        Row(kind="view", sale="old", at=6 * DAY + 2 * MINUTE, customer="c2"),
        Row(kind="cart", sale="new", at=7 * DAY),
        Row(kind="view", sale="new", at=20 * DAY),
        Row(kind="impression", sale="new", at=25 * DAY),
        Row(kind="purchase", sale="unknown", at=30 * DAY),
    ]

    found = fit_bestsellers(interactions(*log))

    places = {int(one): place for place, one in enumerate(found.keys)}
    old, new = places[key("old")], places[key("new")]
    assert len(places) == 2
    assert found.fitted_us == NOON + 20 * DAY
    assert (found.events[old], found.recent[old]) == (3 + 1 + 1, 1)
    assert (found.events[new], found.recent[new]) == (2 + 1, 2 + 1)


def test_no_event_gives_no_sale() -> None:
    found = fit_bestsellers(interactions())

    assert (len(found.keys), found.fitted_us) == (0, 0)


@pytest.mark.parametrize(
    ("opened", "closes", "n"),
    [
        pytest.param(-6 * DAY, None, 0, id="open for 14 days"),
        pytest.param(-7 * DAY, None, 1, id="open for 15 days"),
        pytest.param(-7 * DAY, 6 * DAY, 0, id="closed after 13 days"),
    ],
)
def test_it_is_left_out_where_no_sale_is_open_for_longer_than_counts(
    opened: int, closes: int | None, n: int
) -> None:
    """The last view is of day 8; a sale without views is open for longer, and counts not."""
    closes_at = None if closes is None else from_us(NOON + closes)
    shop = catalogue(
        sale("s1", opens_at=from_us(NOON + opened), closes_at=closes_at),
        sale("silent", closes_at=None),
    )
    log = [Row(at=8 * DAY), Row(at=9 * DAY, kind="impression")]
    known = Interactions.from_events(event_table(log), shop)

    left_out = without_data(fit_recommenders(known), known)

    assert n_outlasting(known) == n
    assert ("bestsellers" in left_out) == (n == 0)
