"""A window joined to a catalogue: ages, interest and what is known of each sale."""

import math

import numpy as np
import pytest

from models.domain.event import KIND, EventType
from models.query.customer_history import HALF_LIVES_S, LASTING, VISIT, History
from tests.builders import NOW_US, browse, catalogue, crowd, query, row, rows, sale, window

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
    seen = window((VIEW, "a", 600.0))

    sooner, later = (
        History.from_windows([seen], SHOP, np.array([NOW_US + shift])).interest
        for shift in (0, 1_000)
    )

    assert np.all(later < sooner)


def test_events_of_unknown_sales_are_counted_and_left_out() -> None:
    history = query(SHOP, (VIEW, "a", 1.0), (VIEW, "x", 2.0), (CART, "y", 3.0)).history

    assert (history.n_unknown.tolist(), len(history)) == ([2], 1)


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

    assert history.weight[VISIT] == 0.5 + 1.0 + 1.0
    assert query(SHOP).history.weight.tolist() == [[0.5], [0.5]]


def test_the_newest_event_of_a_type_is_found() -> None:
    history = query(SHOP, (CART, "a", 30.0), (CART, "b", 20.0), (VIEW, "a", 10.0)).history

    assert (*history.newest_age_s(), *history.newest_age_s(CART)) == (10.0, 20.0)
    assert np.isnan(history.newest_age_s(PURCHASE)).all()
    assert np.isnan(query(SHOP).history.newest_age_s()).all()


def test_what_is_known_of_a_sale_is_summed_over_its_events() -> None:
    by_sale = query(
        SHOP, (VIEW, "a", 1_800.0), (CLICK, "b", 100.0), (VIEW, "a", 0.0), (CART, "a", 3_600.0)
    ).by_sale
    a, b, c = by_sale.place[0, rows(SHOP, "a", "b", "c")]

    assert by_sale.counts[a].tolist() == [0.0, 2.0, 0.0, 1.0, *[0.0] * 6]
    assert by_sale.counts[b].tolist() == [0.0, 0.0, 1.0, *[0.0] * 7]
    assert (by_sale.age_s[a], by_sale.age_s[b]) == (0.0, 100.0)
    assert by_sale.interest[VISIT, a] == 1.0 + 0.5 + 2.0 / 4
    assert (c, math.isnan(by_sale.age_s[c])) == (0, True)
    assert not by_sale.counts[c].any()
    assert not by_sale.interest[:, c].any()


def test_sums_by_sale_are_those_of_a_plain_loop(rng: np.random.Generator) -> None:
    of = crowd(12, rng)
    asked = query(of, *(seen := browse(100, 12, rng=rng)))

    events = [one for one in seen if one[0] is not EventType.IMPRESSION]
    for sale_id in {sale_id for _, sale_id, _ in events if of.row_for(sale_id) is not None}:
        place = asked.by_sale.place[0, row(of, sale_id)]
        own = [(kind, age_s) for kind, of_sale, age_s in events if of_sale == sale_id]
        weights = {VIEW: 1.0, CLICK: 1.0, CART: 2.0, PURCHASE: 3.0}
        lasting = sum(weights[kind] * 2 ** (-age_s / HALF_LIVES_S[LASTING]) for kind, age_s in own)
        assert asked.by_sale.age_s[place] == pytest.approx(min(age for _, age in own), abs=1e-6)
        assert asked.by_sale.interest[LASTING, place] == pytest.approx(lasting)
        assert asked.by_sale.counts[place].sum() == len(own)
