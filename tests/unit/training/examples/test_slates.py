"""Impressions are grouped into slates, and each purchase is credited once."""

from typing import Final

import numpy as np
import pytest

from models.ranker.objective import TrainingObjective
from tests.logs import DAY, HOUR, MINUTE, NOON, SECOND, Row, catalogue, event_table, ids_of
from training.examples.slates import Slates, label_of, shown_slates

SHOP: Final = catalogue("s1", "s2", "s3")


def shown(at: int = 0, **columns: str | int) -> Row:
    """An impression."""
    return Row(kind="impression", at=at, **columns)  # pyright: ignore[reportArgumentType] - columns have two types


def bought(at: int, **columns: str | int) -> Row:
    """A purchase."""
    return Row(kind="purchase", at=at, **columns)  # pyright: ignore[reportArgumentType] - columns have two types


def slates_of(*log: Row) -> Slates:
    return shown_slates(event_table(log), SHOP, outcome_us=DAY)


def sales(slates: Slates) -> list[list[str]]:
    """The sale ids of every slate."""
    return [ids_of(SHOP, slates.rows[slates.entries(slate)]) for slate in range(len(slates))]


def test_impressions_of_one_exposure_are_one_slate_at_its_first_moment() -> None:
    slates = slates_of(
        shown(5 * SECOND, sale="s3", exposure="x1", position=3),
        shown(0, sale="s1", exposure="x1", position=1),
        shown(0, sale="s2", exposure="x1", position=2),
    )

    assert sales(slates) == [["s1", "s2", "s3"]]
    assert slates.now_us.tolist() == [NOON]
    assert slates.positions.tolist() == [1, 2, 3]


def test_an_exposure_id_that_two_customers_share_names_two_slates() -> None:
    slates = slates_of(
        shown(exposure="page-1", customer="c1", sale="s1"),
        shown(exposure="page-1", customer="c2", sale="s2"),
        bought(MINUTE, customer="c2", sale="s2"),
    )

    assert sorted(sales(slates)) == [["s1"], ["s2"]]
    assert slates.customers[slates.bought.nonzero()[0]].tolist() == [1]


@pytest.mark.parametrize(("objective", "outcomes"), [("click", [1, 1, 0]), ("purchase", [0, 1, 0])])
def test_the_objective_decides_what_is_credited(
    objective: TrainingObjective, outcomes: list[int]
) -> None:
    log = [
        shown(sale=sale, exposure="x", position=n + 1) for n, sale in enumerate(("s1", "s2", "s3"))
    ]
    log += [Row(kind="click", at=MINUTE), bought(MINUTE, sale="s2")]

    slates = shown_slates(
        event_table(log), SHOP, outcome_us=DAY, objective=TrainingObjective(objective)
    )

    assert slates.bought.astype(int).tolist() == outcomes
    assert slates.clicked.tolist() == [True, False, False]


def test_without_exposures_a_slate_is_what_a_customer_was_shown_at_one_moment() -> None:
    slates = slates_of(
        shown(0, customer="c1", sale="s1"),
        shown(0, customer="c1", sale="s2"),
        shown(0, customer="c2", sale="s1"),
        shown(1, customer="c1", sale="s3"),
    )

    found = zip(slates.now_us.tolist(), slates.customers.tolist(), sales(slates), strict=True)
    assert sorted((at, customer, sorted(ids)) for at, customer, ids in found) == [
        (NOON, 0, ["s1", "s2"]),
        (NOON, 1, ["s1"]),
        (NOON + 1, 0, ["s3"]),
    ]


def test_slates_are_ordered_by_time_also_where_impressions_were_received_late() -> None:
    slates = slates_of(
        shown(HOUR, sale="s1", exposure="a"),
        shown(0, sale="s2", exposure="b", received=2 * HOUR),
        shown(MINUTE, sale="s3", exposure="c", received=2 * HOUR),
    )

    assert sales(slates) == [["s2"], ["s3"], ["s1"]]
    assert np.diff(slates.now_us).tolist() == [MINUTE, 59 * MINUTE]


def test_positions_are_those_logged_and_otherwise_unknown() -> None:
    logged = slates_of(
        shown(sale="s1", exposure="x", position=7), shown(sale="s2", exposure="x", position=4)
    )
    unlogged = slates_of(shown(0, sale="s1", exposure="x"), shown(1, sale="s2", exposure="x"))

    assert (sales(logged), logged.positions.tolist()) == ([["s2", "s1"]], [4, 7])
    assert (sales(unlogged), unlogged.positions.tolist()) == ([["s1", "s2"]], [0, 0])
    assert unlogged.known_positions(0) is None


def test_the_positions_of_a_list_are_known_if_all_are() -> None:
    slates = slates_of(shown(sale="s1", exposure="x", position=7), shown(sale="s2", exposure="x"))

    assert sorted(slates.positions.tolist()) == [0, 7]
    assert slates.known_positions(0) is None


def test_impressions_of_sales_outside_the_catalogue_are_left_out() -> None:
    slates = slates_of(shown(sale="s1", exposure="x"), shown(sale="gone", exposure="x"))

    assert sales(slates) == [["s1"]]


@pytest.mark.parametrize(
    ("after", "credited"),
    [(-1, False), (0, True), (MINUTE, True), (DAY, True), (DAY + 1, False)],
)
def test_a_purchase_counts_from_its_impression_until_24_hours_after_it(
    *, after: int, credited: bool
) -> None:
    """Both edges belong to it: the very microsecond, and exactly 24 hours."""
    slates = slates_of(shown(0, sale="s1"), bought(after, sale="s1"))

    assert slates.bought.tolist() == [credited]


def test_a_purchase_is_credited_only_to_the_last_impression_before_it() -> None:
    slates = slates_of(
        shown(0), shown(HOUR), shown(3 * HOUR), bought(2 * HOUR), bought(2 * HOUR + 1)
    )

    assert slates.bought.tolist() == [False, True, False]


def test_each_of_two_purchases_is_credited_to_its_own_impression() -> None:
    slates = slates_of(shown(0), bought(MINUTE), shown(HOUR), bought(HOUR + MINUTE))

    assert slates.bought.tolist() == [True, True]


@pytest.mark.parametrize("other", [{"customer": "c2"}, {"sale": "s2"}, {"sale": "gone"}])
def test_a_purchase_of_another_customer_or_sale_is_not_credited(other: dict[str, str]) -> None:
    slates = slates_of(shown(0), bought(MINUTE, **other))

    assert slates.bought.tolist() == [False]


def test_a_purchase_that_was_received_before_its_impression_is_no_outcome() -> None:
    """A planted leak: the features of the slate already see it."""
    slates = slates_of(shown(MINUTE), bought(2 * MINUTE, received=MINUTE - 1))

    assert slates.bought.tolist() == [False]


def test_a_purchase_that_was_received_late_is_an_outcome() -> None:
    slates = slates_of(shown(0), bought(MINUTE, received=10 * DAY))

    assert slates.bought.tolist() == [True]


def test_a_refunded_purchase_is_no_outcome() -> None:
    kept = Row(kind="refund", at=3 * HOUR, sale="s2", quantity=1)
    log = [shown(), shown(sale="s2"), bought(1), bought(2, sale="s2", quantity=2)]

    slates = slates_of(*log, Row(kind="refund", at=2 * HOUR), kept)

    assert dict(zip(sales(slates)[0], slates.bought.tolist(), strict=True)) == {
        "s1": False,
        "s2": True,
    }


def test_a_log_without_impressions_has_no_slates() -> None:
    assert len(slates_of(Row(kind="view"), bought(MINUTE))) == 0


def test_a_slate_keeps_session_exposure_market_and_device_of_its_first_impression() -> None:
    log = [shown(session="v", exposure="x", market="fr", device="mobile"), shown(1)]
    events = event_table(log)
    slates = shown_slates(events, SHOP, outcome_us=DAY)

    codes = (slates.sessions, slates.exposures, slates.markets, slates.devices)
    labels = (events.sessions, events.exposures, events.markets, events.devices)
    found = [
        [label_of(label, int(code)) for code in column]
        for label, column in zip(labels, codes, strict=True)
    ]
    assert found == [["v", None], ["x", None], ["fr", None], ["mobile", None]]


def test_selected_slates_keep_their_entries_in_the_order_asked_for() -> None:
    slates = slates_of(
        shown(0, sale="s1", exposure="a"),
        shown(MINUTE, sale="s2", exposure="b", position=1),
        shown(MINUTE, sale="s3", exposure="b", position=2),
        shown(HOUR, sale="s1", exposure="c"),
        bought(2 * HOUR, sale="s1"),
    )

    chosen = slates.select(np.array([2, 1]))

    assert sales(chosen) == [["s1"], ["s2", "s3"]]
    assert chosen.bought.tolist() == [True, False, False]
    assert chosen.starts.tolist() == [0, 1, 3]
    assert len(slates.select(np.array([], dtype=np.intp)).rows) == 0
