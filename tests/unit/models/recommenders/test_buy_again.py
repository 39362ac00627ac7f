"""Repeat purchases, computed by hand."""

import math
from dataclasses import replace

import numpy as np
import pytest

from models.arrays.array_file import Arrays
from models.domain.event import KINDS, EventType, key
from models.domain.profile import Profile
from models.domain.purchase_history import PurchaseHistory
from models.query.query import Batch, CandidateCounts, Query
from models.recommenders.buy_again import BuyAgain
from tests.builders import DAY_US, NOW_US, Seen, catalogue, query, sale

SHOP = catalogue(sale("milk"), sale("soap"), sale("new"))
NAMES = ["milk", "soap", "new"]
BUY, DAY_S = EventType.PURCHASE, 86_400.0

ORDER = np.argsort([key("milk"), key("soap")])
BUY_AGAIN = BuyAgain(
    keys=np.array([key("milk"), key("soap")], dtype=np.uint64)[ORDER],
    rates=np.array([0.1, 0.02])[ORDER],
    intervals=np.array([7.0, 30.0])[ORDER],
    shop_rate=0.01,
    shop_interval=20.0,
    shape=2.0,
)


def profile(*purchases: tuple[str, float]) -> Profile:
    """A profile with purchases, each a sale and how many days ago."""
    keys = np.array([key(name) for name, _ in purchases], dtype=np.uint64)
    at_us = np.array([NOW_US - round(days * DAY_US) for _, days in purchases])
    return Profile(0, (0,) * len(KINDS), PurchaseHistory.from_purchases(keys, at_us).pack())


def asked(*events: Seen, known: Profile | None = None) -> Query:
    return query(SHOP, *events, candidates=NAMES, profile=known)


def test_a_repeat_rate_is_shrunk_towards_that_of_the_sale() -> None:
    """Milk on 3 days, the first 20 days ago and the last 6: 4 more in 20 + 2 / 0.1 days."""
    scores = BUY_AGAIN.scores(asked(known=profile(("milk", 20), ("milk", 12), ("milk", 6))))

    interval = (14 + 7) / 3
    milk = [4 / 40, 3.0, math.log(7), math.log(7 / (1 + interval)), math.log(1 + interval), 0.1]
    assert scores[0] == pytest.approx(milk)
    assert scores[1] == pytest.approx([np.nan, 0.0, np.nan, np.nan, np.nan, 0.02], nan_ok=True)
    assert scores[2, 5] == 0.01


def test_a_purchase_that_profile_and_window_hold_counts_once() -> None:
    known = profile(("milk", 20), ("milk", 6))
    events = ((BUY, "milk", 6 * DAY_S), (BUY, "milk", DAY_S), (BUY, "milk", DAY_S + 60))

    scores = BUY_AGAIN.scores(asked(*events, known=known))

    whole = profile(("milk", 20), ("milk", 6), ("milk", 1))
    assert scores == pytest.approx(BUY_AGAIN.scores(asked(known=whole)), nan_ok=True)


def test_the_window_alone_is_enough() -> None:
    scores = BUY_AGAIN.scores(asked((BUY, "soap", 3 * DAY_S), (EventType.VIEW, "milk", 60.0)))

    assert scores[1, :2] == pytest.approx([2 / (3 + 2 / 0.02), 1.0])
    assert np.isnan(scores[0, 0])


def test_a_batch_scores_as_its_queries_alone() -> None:
    queries = [
        asked(known=profile(("milk", 20), ("milk", 6), ("gone", 4))),
        asked(),
        asked((BUY, "soap", 60.0), (BUY, "milk", 60.0), known=profile(("milk", 0.01))),
    ]
    counts = [CandidateCounts.from_query(one) for one in queries]

    together = BUY_AGAIN.batch_scores(Batch.from_queries(queries, counts))

    alone = np.array([BUY_AGAIN.scores(one) for one in queries])
    np.testing.assert_array_equal(together, alone)


def test_it_is_restored_from_its_arrays() -> None:
    again = BuyAgain.from_arrays(Arrays.from_bytes(Arrays(BUY_AGAIN.to_arrays()).to_bytes()))

    one = asked(known=profile(("milk", 20), ("soap", 1)))
    np.testing.assert_array_equal(again.scores(one), BUY_AGAIN.scores(one))


@pytest.mark.parametrize(
    ("broken", "reason"),
    [
        (replace(BUY_AGAIN, rates=np.array([0.1])), "1 rates and 2 intervals of 2 sales"),
        (replace(BUY_AGAIN, shape=0.0), "must be positive"),
    ],
)
def test_damaged_arrays_are_refused(broken: BuyAgain, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        BuyAgain.from_arrays(Arrays(broken.to_arrays()))
