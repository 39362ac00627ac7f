"""Rankings are worth what was bought and what could have been."""

import math
from dataclasses import replace

import numpy as np
import pytest

from tests.logs import catalogue
from training.evaluation.measure import Coverage, Outcome, expected, realised, varied


def test_revenue_counts_what_was_paid_for_the_first_ten() -> None:
    bought = np.zeros(12, dtype=np.bool_)
    bought[[2, 9, 10]] = True
    paid = np.where(bought, 100.0, 0.0)

    figures = realised(bought, paid)

    assert figures["revenue_at_10"] == 200.0
    assert figures["discounted_revenue_at_10"] == pytest.approx(100 / 2 + 100 / math.log2(11))
    assert figures["mrr"] == 1 / 3
    assert figures["recall_at_10"] == 2 / 3
    assert (figures["hit_rate_at_1"], figures["hit_rate_at_10"]) == (0.0, 1.0)
    assert figures["ndcg_at_10"] == pytest.approx(
        (1 / 2 + 1 / math.log2(11)) / (1 + 1 / math.log2(3) + 1 / 2)
    )


def test_equal_sales_have_equal_revenue_in_any_order() -> None:
    """Added up in turn, 0.1, 0.2 and 0.3 are not 0.3, 0.2 and 0.1."""
    paid = np.array([0.1, 0.2, 0.3])

    found = {
        realised(np.ones(3, dtype=np.bool_), one)["revenue_at_10"] for one in (paid, paid[::-1])
    }

    assert found == {0.6}


def test_an_unknown_amount_leaves_the_slate_out_wherever_it_is_ranked() -> None:
    """Else who ranks it below ten would be judged on more slates."""
    bought = np.zeros(12, dtype=np.bool_)
    bought[[0, 11]] = True
    paid = np.zeros(12)
    paid[[0, 11]] = 30.0, math.nan

    for ranked in (realised(bought, paid), realised(bought[::-1], paid[::-1])):
        assert math.isnan(ranked["revenue_at_10"])
        assert math.isnan(ranked["discounted_revenue_at_10"])


def test_where_nothing_was_bought_nothing_is_measured() -> None:
    figures = realised(np.zeros(3, dtype=np.bool_), np.zeros(3))

    assert all(math.isnan(value) for value in figures.values())


def test_expected_revenue_is_probability_times_price() -> None:
    figures = expected(np.array([0.1, 0.5]), np.array([200.0, 10.0]))

    assert figures["expected_purchases_at_10"] == pytest.approx(0.6)
    assert figures["expected_revenue_at_10"] == pytest.approx(25.0)


def test_a_ranking_is_applied_to_all_columns_alike() -> None:
    outcome = Outcome(
        bought=np.array([False, True]),
        paid=np.array([0.0, 7.0]),
        gains=np.array([0.1, 0.3]),
        prices=np.array([5.0, 7.0]),
    )

    figures = outcome.measure(np.array([1, 0]))

    assert (figures["mrr"], figures["true_ndcg_at_10"]) == (1.0, 1.0)


def test_novelty_knows_views_and_purchases_but_no_impressions() -> None:
    """Seven views of the first of two sales: shares 8/9 and 1/9."""
    sales = catalogue("s1", "s2")
    totals = np.zeros((2, 5))
    totals[:, 0] = 1_000
    totals[0, 1] = 7
    counted = sales.with_counts(replace(sales.counts, totals=totals))

    known, unknown = (varied(counted, np.array([row]))["novelty_at_10"] for row in (0, 1))

    assert known == pytest.approx(-math.log2(8 / 9))
    assert unknown == pytest.approx(math.log2(9))


def test_coverage_is_the_share_of_all_candidates_that_came_first_once() -> None:
    coverage = Coverage()
    coverage.add(np.array([1, 2, 3]), {"meta": np.array([1]), "popularity": np.array([1])})
    coverage.add(np.array([2, 3, 4]), {"meta": np.array([2]), "popularity": np.array([2])})
    coverage.add(np.array([2, 3, 4]), {"meta": np.array([4]), "popularity": np.array([2])})

    assert coverage.shares() == {"meta": 0.75, "popularity": 0.5}
