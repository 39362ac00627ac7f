"""Lists and audiences under the rules of a plan."""

from dataclasses import replace

import numpy as np
import pytest

from models.domain.customer import Window
from models.domain.event import EventType
from models.domain.profile import Profile
from models.domain.units import DAY_US, SECOND_US
from models.rules.rule import SlateRules
from models.slate.slate_policy import SlatePolicy
from tests.builders import NOW_US, catalogue, row, sale, scorer, window
from training.lists.customers import KnownCustomer
from training.lists.scoring import ListScorer

SALES = [sale(name, category=name[0]) for name in ("a1", "a2", "b1", "b2")]
SHOP = catalogue(*SALES)
RULES = SlateRules.model_validate(
    [
        {
            "name": "no-b-in-fr",
            "when": 'market == "fr"',
            "where": 'category == "b"',
            "action": {"kind": "exclude"},
        },
        {"name": "one", "where": 'category == "a"', "action": {"kind": "at_most", "n": 1}},
        {"name": "none", "where": 'sale_id == "b2"', "action": {"kind": "at_most", "n": 0}},
    ]
)


def known(market: str) -> KnownCustomer:
    return KnownCustomer("c1", Window.empty(), Profile.empty(), market, None)


@pytest.fixture
def lists() -> ListScorer:
    return list_scorer(SlatePolicy(rules=RULES))


def list_scorer(policy: SlatePolicy) -> ListScorer:
    return ListScorer(scorer(SALES), SHOP, at_us=NOW_US, policy=policy, hide_disliked_days=30)


@pytest.mark.parametrize(("days_ago", "n_sales"), [(29, 3), (31, 4)])
def test_what_a_customer_disliked_is_in_no_list_and_no_audience(
    days_ago: int, n_sales: int
) -> None:
    disliked = (EventType.DISLIKE, "a1", days_ago * DAY_US / SECOND_US)
    customer = replace(known("fr"), window=window(disliked))
    lists = list_scorer(SlatePolicy())

    found = lists.best(customer, limit=10, n_explained=0)

    assert len(found.rows) == n_sales
    assert (row(SHOP, "a1") in found.rows) == (n_sales == 4)
    assert (lists.probability(customer, row(SHOP, "a1")) is None) == (n_sales == 3)


def test_a_list_obeys_the_rules(lists: ListScorer) -> None:
    found = lists.best(known("fr"), limit=10, n_explained=0)

    assert len(found.rows) == 1
    assert SHOP.sales[int(found.rows[0])].category == "a"
    assert len(lists.best(known("de"), limit=10, n_explained=0).rows) == 2


def test_who_may_not_be_shown_a_sale_is_not_in_its_audience(lists: ListScorer) -> None:
    """A bound of places is of slates: the sale may be shown to each."""
    audience = {
        (market, name): lists.probability(known(market), row(SHOP, name)) is not None
        for market in ("fr", "de")
        for name in ("a1", "b1", "b2")
    }

    assert audience == {
        ("fr", "a1"): True,
        ("fr", "b1"): False,
        ("fr", "b2"): False,
        ("de", "a1"): True,
        ("de", "b1"): True,
        ("de", "b2"): False,
    }
    assert np.isfinite(lists.probability(known("de"), row(SHOP, "b1")) or np.nan)
