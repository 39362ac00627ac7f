"""Baselines order a shop of three sales as counted by hand."""

import math

import numpy as np
import pytest

from models.domain.event import from_us
from models.ranker.objective import Policy
from models.recommenders.registry import RECOMMENDERS
from tests.logs import DAY, HOUR, MINUTE, NOON, Row, catalogue, event_table, sale
from training.baselines.baselines import Baselines, fit_baselines
from training.baselines.item_cosine import ItemCosine
from training.baselines.lambdarank import MIN_LISTS, features_of
from training.baselines.log_state import LogState
from training.configuration import RunConfig

SHOP = catalogue(*(sale(f"s{n}", price=10.0 * n) for n in (1, 2, 3)))
S1, S2, S3 = (SHOP.row_for(f"s{n}") or 0 for n in (1, 2, 3))
ROWS = np.array([S1, S2, S3])


def ranking(order: np.ndarray) -> list[list[str]]:
    """Sale ids from the highest order value to the lowest, equal ones together."""
    return [
        [f"s{place + 1}" for place in np.flatnonzero(order == value).tolist()]
        for value in sorted(set(order.tolist()), reverse=True)
    ]


def orders(
    log: list[Row], *, customer: int = 0, positions: list[int] | None = None, at: int = 0
) -> dict[str, list[list[str]]]:
    events = event_table(log)
    fitted = fit_baselines(events, SHOP, until_us=NOON + at, config=RunConfig())
    found = Baselines(fitted, events, catalogue=SHOP).orders(
        customer,
        ROWS,
        now_us=NOON + at,
        positions=None if positions is None else np.array(positions),
    )
    return {name: ranking(order) for name, order in found.items()}


# c1 bought s3 and touched s2 last; all others bought s1.
LOG = [
    Row(at=-5 * HOUR, sale="s3"),
    Row(at=-4 * HOUR, sale="s3", kind="purchase"),
    Row(at=-HOUR, sale="s2"),
    Row(at=-HOUR, sale="s1", kind="purchase", customer="c2"),
    Row(at=-HOUR, sale="s1", kind="purchase", customer="c3"),
]


def test_each_rule_orders_as_its_name_says() -> None:
    found = orders(LOG)

    assert found["most_bought"] == [["s1"], ["s3"], ["s2"]]
    assert found["bought_before"] == [["s3"], ["s1"], ["s2"]]
    assert found["last_touched"] == [["s2"], ["s3"], ["s1"]]


def test_a_refund_takes_a_purchase_back_and_a_dislike_is_no_touch() -> None:
    """c1 gave s3 back: of the purchases only those of s1 are left."""
    log = [
        *LOG,
        Row(at=-MINUTE, sale="s3", kind="refund"),
        *(Row(at=-MINUTE, sale="s2", kind="dislike", customer="c2") for _ in range(9)),
    ]

    found = orders(log)

    assert found["most_bought"] == [["s1"], ["s3"], ["s2"]]
    assert found["bought_before"] == found["most_bought"]


def test_a_refund_of_some_pieces_leaves_the_purchase_until_the_last_is_given_back() -> None:
    """Of twelve pieces one is given back, a day later another, then the other ten."""
    pieces = [("purchase", 12, -DAY), ("refund", 1, -HOUR), ("refund", 1, 0), ("refund", 10, DAY)]
    log = [Row(at=at, kind=kind, sale="s1", quantity=n) for kind, n, at in pieces]
    # Of a purchase that is not on record nothing can be refunded.
    log.append(Row(at=-HOUR, kind="refund", sale="s2"))
    state = LogState(event_table(log), SHOP)

    facts = [state.facts(0, ROWS, now_us=NOON + at) for at in (0, 2 * DAY)]

    assert [one.own_purchases.tolist() for one in facts] == [[1, 0, 0], [0, 0, 0]]
    assert facts[0].popularity.tolist() == pytest.approx([1.5, 0, 0])
    assert facts[1].popularity.tolist() == pytest.approx([0.5, 0, 0])
    assert [one.own_touches.tolist() for one in facts] == [[1, 0, 0], [0, 0, 0]]


def test_what_was_given_back_is_not_touched_last() -> None:
    log = [*LOG, Row(at=-MINUTE, sale="s3", kind="refund")]

    assert orders(log)["last_touched"] == [["s2"], ["s3"], ["s1"]]


def test_the_sale_touched_last_is_moved_to_the_front_of_a_list_that_was_shown() -> None:
    """Of the list s1, s3, s2 they touched s2 last; s3, which they touched before, stays."""
    assert orders(LOG, positions=[1, 3, 2])["last_touched"] == [["s2"], ["s1"], ["s3"]]
    assert orders(LOG[3:], customer=9, positions=[1, 3, 2])["last_touched"] == [
        ["s1"], ["s3"], ["s2"]
    ]  # fmt: skip


def test_a_customer_without_history_gets_what_is_popular() -> None:
    found = orders(LOG, customer=9)

    for name in ("bought_before", "last_touched", "item_cosine"):
        assert found[name] == found["most_bought"]


def test_the_newest_sale_opened_last() -> None:
    shop = catalogue(
        sale("s1", opens_at=from_us(NOON - DAY)), sale("s2", opens_at=from_us(NOON - HOUR))
    )
    rows = np.array([shop.row_for("s1"), shop.row_for("s2")])
    events = event_table(LOG)
    fitted = fit_baselines(events, shop, until_us=NOON, config=RunConfig())

    found = Baselines(fitted, events, catalogue=shop).orders(0, rows, now_us=NOON, positions=None)

    assert ranking(found["newest"]) == [["s2"], ["s1"]]


def test_what_comes_later_is_not_known() -> None:
    late = Row(at=-5 * HOUR, received=MINUTE, sale="s2", kind="purchase")

    assert orders([*LOG, late]) == orders(LOG)


def test_rates_are_of_the_last_day_and_grow_and_fade_as_the_log_goes_on() -> None:
    """Three looks and one click an hour ago, another click two days ago."""
    log = [
        Row(at=-2 * DAY, sale="s1", kind="click"),
        *(Row(at=-HOUR, sale="s1", kind="impression") for _ in range(3)),
        Row(at=-HOUR, sale="s1", kind="click"),
    ]
    state = LogState(event_table(log), SHOP)

    before, now, after = (
        state.facts(0, ROWS, now_us=NOON + at) for at in (-DAY - HOUR, 0, 2 * DAY)
    )

    assert before.recent_rate[0] == pytest.approx(2 / 25)
    assert now.recent_rate[0] == pytest.approx(2 / 28)
    assert (now.looks[0], now.successes[0]) == (3, 2)
    assert after.recent_rate[0] == pytest.approx(1 / 25)


def test_without_clicks_and_impressions_a_rate_is_of_purchases_by_view() -> None:
    """s3 was bought once and looked at once, s2 only looked at."""
    facts = LogState(event_table(LOG), SHOP).facts(0, ROWS, now_us=NOON)

    assert facts.recent_rate.tolist() == pytest.approx([3 / 25, 1 / 26, 2 / 26])


def test_a_purchase_that_was_taken_back_raises_no_rate_from_then_on() -> None:
    """s1 was bought two days and an hour ago, s2 an hour ago; both are given back a minute ago."""
    log = [
        Row(at=-2 * DAY, sale="s1", kind="purchase"),
        Row(at=-HOUR, sale="s1", kind="purchase", customer="c2"),
        Row(at=-HOUR, sale="s2", kind="purchase"),
        *(Row(at=-MINUTE, sale=f"s{n}", kind="refund") for n in (1, 2)),
    ]
    state = LogState(event_table(log), SHOP)

    before, now = (state.facts(0, ROWS, now_us=NOON + at) for at in (-2 * MINUTE, 0))

    assert before.recent_rate.tolist() == pytest.approx([2 / 25, 2 / 25, 1 / 25])
    assert now.recent_rate.tolist() == pytest.approx([2 / 25, 1 / 25, 1 / 25])
    assert [one.successes.tolist() for one in (before, now)] == [[2, 1, 0], [1, 0, 0]]


def test_the_cosine_is_that_of_customers_in_common() -> None:
    """s1 has c2, c3, c4, s2 has c2 and c3, and s3 c4 alone: 2 / sqrt(6), 1 / sqrt(3)."""
    log = [
        Row(at=-HOUR, sale=sale_id, customer=customer)
        for sale_id, customers in (("s1", "234"), ("s2", "23"), ("s3", "4"))
        for customer in (f"c{one}" for one in customers)
    ]
    cosine = ItemCosine.fit(event_table([*log, *log[:2]]), SHOP, until_us=NOON)

    assert cosine.scores(np.array([S1]), ROWS).tolist() == pytest.approx(
        [1, 2 / math.sqrt(6), 1 / math.sqrt(3)]
    )
    nothing = ItemCosine.fit(event_table(log), SHOP, until_us=NOON - DAY)
    assert nothing.scores(np.array([S1]), ROWS).tolist() == [0, 0, 0]


def test_the_lambdarank_learns_the_order_of_lists_and_needs_enough_of_them() -> None:
    """In every list the cheapest sale is bought, wherever it stands."""
    rng = np.random.default_rng(0)
    log = list[Row]()
    for visit in range(6 * MIN_LISTS):
        at, customer = visit * MINUTE, f"c{visit}"
        log += [
            Row(kind="impression", at=at, sale=f"s{n}", position=place, customer=customer)
            for place, n in enumerate(rng.permutation([1, 2, 3]).tolist(), start=1)
        ]
        log.append(Row(kind="purchase", at=at + 1, sale="s1", customer=customer))
    events = event_table(log)

    found = {
        day: fit_baselines(
            events, SHOP, until_us=NOON + day * DAY, config=RunConfig(), with_ranker=True
        )
        for day in (1, 3)
    }

    assert found[1].ranker is None
    assert found[3].ranker is not None
    order = Baselines(found[3], events, catalogue=SHOP).orders(
        0, ROWS, now_us=NOON + DAY, positions=None
    )
    assert ranking(order["lambdarank"])[0] == ["s1"]
    # A baseline of the name of a recommender or a policy would stand in its place.
    assert not order.keys() & {*RECOMMENDERS, *(policy.value for policy in Policy)}


def test_features_do_not_tell_the_order_in_which_candidates_are_given() -> None:
    """s1 and s2 have one rate, and c9 touched nothing: no rank tells which one came first."""
    facts = (
        LogState(event_table(LOG[:2]), SHOP).facts(9, rows, now_us=NOON)
        for rows in (ROWS, ROWS[::-1])
    )

    forwards, backwards = (features_of(one, None) for one in facts)

    np.testing.assert_array_equal(forwards, backwards[::-1])
    np.testing.assert_array_equal(forwards[0, :13], forwards[1, :13])


@pytest.mark.parametrize("kind", ["purchase", "refund"])
def test_the_lambdarank_learns_nothing_of_what_is_received_later(kind: str) -> None:
    """That s2 was bought as well, or that all purchases were given back."""
    n, seen = 4 * MIN_LISTS, list[Row]()
    for visit in range(n):
        at, customer = visit * MINUTE, f"c{visit}"
        seen += [
            Row(kind="impression", at=at, sale=f"s{place}", position=place, customer=customer)
            for place in (1, 2, 3)
        ]
        bought = "s1" if visit % 2 else "s3"
        seen.append(Row(kind="purchase", at=at + 1, sale=bought, customer=customer))
    late = [
        Row(kind=kind, at=v * MINUTE + 2, received=4 * DAY, sale=sale_id, customer=f"c{v}")
        for v in range(n)
        for sale_id in (["s2"] if kind == "purchase" else ["s1", "s3"])
    ]
    until_us = NOON + 3 * DAY
    features = np.random.default_rng(0).normal(size=(50, 15)) * 30

    alone, with_late = (
        fit_baselines(
            event_table(log), SHOP, until_us=until_us, config=RunConfig(), with_ranker=True
        ).ranker
        for log in (seen, [*seen, *late])
    )

    assert alone is not None
    assert with_late is not None
    assert alone.scores(features).tolist() == with_late.scores(features).tolist()
