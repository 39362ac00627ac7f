"""A window joined to a catalogue: ages, interest and what is known of each sale."""

from dataclasses import replace

import numpy as np
import pytest

from models.domain.customer import ALL_PIECES, Window, pack_member
from models.domain.event import KIND, KINDS, EventType, key
from models.domain.profile import Profile
from models.domain.recent_impressions import NOTHING_SHOWN
from models.kernel.steps import Step
from models.query.customer_history import HALF_LIVES_S, LASTING, VISIT
from models.query.query import Context
from models.recommenders.content_profile import ContentProfile
from tests.builders import NOW_US, catalogue, query, row, rows, sale

VIEW, CLICK, CART, PURCHASE = (
    EventType.VIEW,
    EventType.CLICK,
    EventType.CART,
    EventType.PURCHASE,
)
SHOP = catalogue(sale("a"), sale("b"), sale("c"))


def test_half_lives_are_half_an_hour_and_two_weeks() -> None:
    assert (HALF_LIVES_S[VISIT], HALF_LIVES_S[LASTING]) == (1_800.0, 1_209_600.0)


def test_events_keep_their_order_rows_and_ages() -> None:
    history = query(SHOP, (VIEW, "b", 1.5), (CART, "a", 0.25), (VIEW, "b", 60.0)).history

    assert history.rows.tolist() == rows(SHOP, "b", "b", "a").tolist()
    assert history.kinds.tolist() == [KIND[VIEW], KIND[VIEW], KIND[CART]]
    assert history.age_s.tolist() == [60.0, 1.5, 0.25]


def test_an_event_from_the_future_happens_now() -> None:
    """A client's clock that runs ahead neither hides an event nor makes it count more."""
    history = query(SHOP, (PURCHASE, "a", -240.0)).history

    assert history.age_s.tolist() == [0.0]
    assert history.interest.tolist() == [[3.0], [3.0]]


def test_one_millisecond_of_now_changes_the_interest() -> None:
    asked = query(SHOP, (VIEW, "a", 600.0))

    sooner, later = (
        replace(asked, context=Context(NOW_US + shift)).history.interest for shift in (0, 1_000)
    )

    assert np.all(later < sooner)


def test_events_of_unknown_sales_are_counted_and_left_out() -> None:
    history = query(SHOP, (VIEW, "a", 1.0), (VIEW, "x", 2.0), (CART, "y", 3.0)).history

    assert (history.customer["n_unknown"], len(history)) == (2, 1)


@pytest.mark.parametrize(
    ("event_type", "interest"), [(VIEW, 1.0), (CLICK, 1.0), (CART, 2.0), (PURCHASE, 3.0)]
)
def test_interest_halves_with_each_half_life(event_type: EventType, interest: float) -> None:
    visit_old = query(SHOP, (event_type, "a", 1_800.0)).history
    weeks_old = query(SHOP, (event_type, "a", 4 * 604_800.0)).history

    assert visit_old.interest[VISIT].tolist() == [interest / 2]
    assert weeks_old.interest[LASTING].tolist() == [interest / 4]


def test_a_taste_is_divided_by_evidence_and_all_interest() -> None:
    history = query(SHOP, (VIEW, "a", 0.0), (CART, "b", 1_800.0)).history

    assert history.customer["weight"][VISIT] == 0.5 + 1.0 + 1.0
    assert query(SHOP).history.customer["weight"].tolist() == [0.5, 0.5]


def test_more_events_than_a_window_holds_are_refused() -> None:
    """The kernel has room for as many as a window holds."""
    members = np.ones((129, 3), dtype=np.uint64)
    asked = replace(query(SHOP), window=Window(members, NOTHING_SHOWN))

    with pytest.raises(ValueError, match="a window has 129 events and 0 impressions of 128"):
        len(asked.history)


def test_more_purchases_than_a_history_holds_are_refused() -> None:
    profile = Profile(0, (0,) * len(KINDS), bought=bytes(14 * 257))

    with pytest.raises(ValueError, match="a profile has purchases of 257 sales of 256"):
        len(query(SHOP, profile=profile).history)


@pytest.mark.parametrize("rows", [[3], [-1], [0, 2**40]])
def test_candidates_beyond_the_catalogue_are_refused(rows: list[int]) -> None:
    """The kernel would read memory that is not the catalogue's."""
    with pytest.raises(ValueError, match="candidates beyond the 3 sales of the catalogue"):
        query(SHOP).joined.scores(
            ContentProfile().step(SHOP), rows=np.array([rows]), given=np.empty((1, 0))
        )


def test_candidates_of_other_queries_are_refused() -> None:
    with pytest.raises(ValueError, match=r"candidates of 2 queries .* for 1 customers"):
        query(SHOP).joined.scores(
            ContentProfile().step(SHOP), rows=np.array([[0], [1]]), given=np.empty((1, 0))
        )


def test_numbers_of_a_query_that_a_step_does_not_read_are_refused() -> None:
    with pytest.raises(ValueError, match=r"numbers of shape \(1, 3\) .* and 2 numbers"):
        query(SHOP).joined.scores(Step.copying(2), rows=np.array([[0]]), given=np.zeros((1, 3)))


def test_what_still_shows_interest() -> None:
    """Sales a, b and c; quantities of purchases and refunds, 0 for the whole of one."""
    events = [
        (VIEW, "a", 0, True),
        (PURCHASE, "a", 2, True),  # one piece of it is left
        (PURCHASE, "b", 1, False),  # given back
        (EventType.REFUND, "a", 1, False),
        (EventType.REFUND, "b", ALL_PIECES, False),
        (CLICK, "c", 0, False),  # disliked later
        (CART, "c", 0, False),
        (EventType.DISLIKE, "c", 0, False),
        (EventType.FAVOURITE, "c", 0, True),  # thought better of
        (EventType.SEARCH, "b", 0, False),
        (EventType.EMAIL_OPEN, "a", 0, False),
    ]
    members = [
        pack_member(n << 16, key(name), at_us=NOW_US + n, event_type=kind, quantity=quantity)
        for n, (kind, name, quantity, _) in enumerate(events)
    ]
    asked = replace(query(SHOP, context=Context(NOW_US + 99)), window=Window.from_members(members))

    kept = [(KIND[kind], row(SHOP, name)) for kind, name, _, shows in events if shows]
    history = asked.history
    assert list(zip(history.kinds.tolist(), history.rows.tolist(), strict=True)) == kept
    assert (history.customer["n_searches"], history.customer["n_unknown"]) == (2, 0)
