"""Features of a caller's own list."""

from dataclasses import replace

import numpy as np
import pytest

from models.domain.event import EventType
from models.features.caller_list import LISTED
from models.query.caller_candidates import CallerCandidates
from models.query.query import Query
from tests.builders import catalogue, feature, query, rows, sale

CLICK, PURCHASE = EventType.CLICK, EventType.PURCHASE

SHOP = catalogue(
    sale("a", price=99.0), sale("b", price=199.0), sale("c"), sale("d", price=399.0), sale("e")
)
LIST = CallerCandidates.from_rows(SHOP, rows(SHOP, "d", "b", "a", "c"))


def asked(*sale_ids: str, seen: tuple[tuple[EventType, str, float], ...] = ()) -> Query:
    return replace(query(SHOP, *seen), rows=rows(SHOP, *sale_ids), caller_list=LIST)


def test_without_a_list_nothing_is_known() -> None:
    for name in LISTED.features:
        assert np.isnan(feature(query(SHOP), name)).all()


def test_ranks_are_the_callers_whatever_is_asked_about() -> None:
    assert feature(asked("a", "d"), "list_rank").tolist() == [3.0, 1.0]
    assert feature(asked("a", "d"), "list_length").tolist() == [4.0, 4.0]


def test_a_sale_outside_the_list_has_no_rank() -> None:
    assert np.isnan(feature(asked("e"), "list_rank")).all()
    assert np.isnan(feature(asked("e"), "list_cheaper")).all()


def test_prices_are_told_against_the_list() -> None:
    question = asked("d", "b", "a", "c")
    mean = (np.log(400) + np.log(200) + np.log(100)) / 3

    assert feature(question, "list_cheaper").tolist()[:3] == [2.0, 1.0, 0.0]
    assert feature(question, "list_price_mean")[0] == pytest.approx(np.log(400) - mean, rel=1e-6)
    assert feature(question, "list_price_lowest")[1] == pytest.approx(np.log(2), rel=1e-6)
    assert np.isnan(feature(question, "list_price_lowest")[3])


def test_a_price_of_the_caller_stands_for_that_of_the_sale() -> None:
    asking = CallerCandidates.from_rows(SHOP, rows(SHOP, "a", "b"), prices=np.array([np.nan, 9.0]))
    question = replace(query(SHOP), rows=rows(SHOP, "a", "b"), caller_list=asking)

    assert feature(question, "list_price") == pytest.approx([np.log(100), np.log(10)], rel=1e-6)


def test_ranks_are_told_from_what_he_touched_last_of_the_list() -> None:
    question = asked("d", "c", seen=((PURCHASE, "a", 90), (CLICK, "b", 60), (CLICK, "e", 30)))

    assert feature(question, "list_from_last").tolist() == [-1.0, 2.0]
    assert feature(question, "list_from_purchase").tolist() == [-2.0, 1.0]
    assert feature(question, "list_touched").tolist() == [2.0, 2.0]


def test_prices_are_told_against_what_he_touched_each_sale_once() -> None:
    question = asked("d", seen=((CLICK, "a", 90), (CLICK, "b", 60), (CLICK, "b", 30)))
    touched = (np.log(100) + np.log(200)) / 2

    assert feature(question, "list_price_touched")[0] == pytest.approx(np.log(400) - touched)


def test_of_a_sale_that_stands_twice_the_first_place_counts() -> None:
    twice = CallerCandidates.from_rows(SHOP, rows(SHOP, "b", "a", "b"))

    assert twice.places(rows(SHOP, "b", "a", "d")).tolist() == [0, 1, -1]


def test_a_list_without_prices_and_an_empty_list_say_so() -> None:
    unpriced = CallerCandidates.from_rows(SHOP, rows(SHOP, "c"))
    empty = CallerCandidates.from_rows(SHOP, rows(SHOP))

    for caller_list in (unpriced, empty):
        question = replace(query(SHOP), rows=rows(SHOP, "c"), caller_list=caller_list)
        assert np.isnan(feature(question, "list_cheaper")).all()
        assert np.isnan(feature(question, "list_price_mean")).all()


def test_ranks_and_prices_are_given_from_other_sales_of_the_history() -> None:
    """The list is d, b, a, c: first b, then a twice, and e, which is not in it."""
    seen = ((CLICK, "b", 90), (CLICK, "a", 60), (CLICK, "a", 50), (CLICK, "e", 30))
    question = asked("d", "c", seen=seen)

    assert feature(question, "list_from_previous").tolist() == [-1.0, 2.0]
    assert feature(question, "list_from_deepest").tolist() == [-2.0, 1.0]
    assert feature(question, "list_price_last")[0] == pytest.approx(np.log(4), rel=1e-6)


def test_a_list_is_compared_with_the_one_that_the_customer_chose_from() -> None:
    """Of d, b, a and c the last list had a and d, where the customer chose the third of three."""
    shown = tuple((EventType.IMPRESSION, name, 90.0) for name in ("a", "e", "d"))
    question = asked("d", "c", seen=(*shown, (CLICK, "d", 60.0)))

    assert feature(question, "list_overlap").tolist() == [0.5, 0.5]
    assert feature(question, "list_from_usual").tolist() == [-2.0, 1.0]
    assert np.isnan(feature(asked("d", seen=shown), "list_overlap")).all()
