"""Events since the beginning, computed by hand."""

from dataclasses import replace

import numpy as np
import pytest

from models.arrays.array_file import Arrays
from models.domain.event import EventType, from_us, key
from models.query.query import Batch, CandidateCounts, Context, Query
from models.recommenders.bestsellers import Bestsellers
from tests.builders import DAY_US, NOW_US, catalogue, query, sale
from training.examples.cold_start_mask import with_new_sales

LAST_14_DAYS = {
    "old": {EventType.PURCHASE: 2.0, EventType.VIEW: 4.0},
    "new": {EventType.CLICK: 3.0},
}
OPENED = {"old": NOW_US - 90 * DAY_US, "new": NOW_US - DAY_US, "quiet": NOW_US - 90 * DAY_US}
SHOP = catalogue(
    *(sale(name, opens_at=from_us(at_us)) for name, at_us in OPENED.items()), counts=LAST_14_DAYS
)
NAMES = list(OPENED)


def fitted(*, days_ago: float, old: tuple[float, float], new: tuple[float, float]) -> Bestsellers:
    """A fit that knows events and recent events of two sales."""
    order = np.argsort([key("old"), key("new")])
    return Bestsellers(
        keys=np.array([key("old"), key("new")], dtype=np.uint64)[order],
        events=np.array([old[0], new[0]])[order],
        recent=np.array([old[1], new[1]])[order],
        fitted_us=NOW_US - round(days_ago * DAY_US),
    )


def asked(days_later: int = 0) -> Query:
    """A query with the same counts, some days later."""
    now_us = NOW_US + days_later * DAY_US
    later = SHOP.with_counts(replace(SHOP.counts, at_us=now_us))
    return query(later, candidates=NAMES, context=Context(now_us))


def scores(of: Bestsellers) -> dict[str, float]:
    return dict(zip(NAMES, of.scores(asked())[:, 0].tolist(), strict=True))


def test_counts_since_the_fit_are_added_to_those_before() -> None:
    """2 purchases of weight 3 and 4 views in 14 days, of which 6 of 8 are of before the fit."""
    found = scores(fitted(days_ago=3.5, old=(50.0, 8.0), new=(0.0, 0.0)))

    assert found == {"old": 50 + 10 - 0.75 * 8, "new": 3.0, "quiet": 0.0}


@pytest.mark.parametrize("days_ago", [14, 60])
def test_two_weeks_after_the_fit_nothing_is_counted_twice(days_ago: int) -> None:
    assert scores(fitted(days_ago=days_ago, old=(50.0, 8.0), new=(0.0, 0.0)))["old"] == 60


def test_at_the_fit_the_counts_add_nothing() -> None:
    assert scores(fitted(days_ago=0, old=(50.0, 10.0), new=(0.0, 0.0)))["old"] == 50


def test_fewer_counts_than_expected_take_nothing_away() -> None:
    assert scores(fitted(days_ago=7, old=(50.0, 40.0), new=(0.0, 0.0)))["old"] == 50


def test_a_sale_that_opened_after_the_fit_has_its_counts_alone() -> None:
    """As one that opens again under its old id."""
    assert scores(fitted(days_ago=2, old=(50.0, 0.0), new=(70.0, 7.0)))["new"] == 3.0


def test_masked_sales_have_no_events() -> None:
    found = fitted(days_ago=2, old=(50.0, 8.0), new=(0.0, 0.0))

    assert found.scores(with_new_sales(asked())).tolist() == [[0.0]] * 3


def test_a_batch_scores_as_its_queries_alone() -> None:
    queries = [asked(), asked(-1), asked(3)]
    of = fitted(days_ago=5, old=(50.0, 8.0), new=(0.0, 0.0))

    counts = [CandidateCounts.from_query(one) for one in queries]
    together = of.batch_scores(Batch.from_queries(queries, counts))

    np.testing.assert_array_equal(together, np.array([of.scores(one) for one in queries]))


def test_it_is_restored_from_its_arrays() -> None:
    of = fitted(days_ago=5, old=(50.0, 8.0), new=(1.0, 1.0))

    again = Bestsellers.from_arrays(Arrays.from_bytes(Arrays(of.to_arrays()).to_bytes()))

    np.testing.assert_array_equal(again.scores(asked()), of.scores(asked()))


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"recent": np.array([0.0])}, "2 events and 1 recent ones of 2 sales"),
        ({"recent": np.array([-1.0, 0.0])}, "must not be negative"),
        ({"recent": np.array([1.0, 99.0])}, "nor recent ones more than all"),
    ],
)
def test_damaged_arrays_are_refused(change: dict[str, np.ndarray], reason: str) -> None:
    broken = replace(fitted(days_ago=5, old=(50.0, 8.0), new=(1.0, 1.0)), **change)

    with pytest.raises(ValueError, match=reason):
        Bestsellers.from_arrays(Arrays(broken.to_arrays()))
