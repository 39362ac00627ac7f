"""A ranker that one of its parts orders better than, on slates it has not seen, is that part."""

from dataclasses import replace

import numpy as np
import pytest

from models.features.caller_list import LIST_RANK
from models.features.schema import FeatureSchema
from models.recommenders.popularity import Popularity
from tests.unit.training.ranker.test_fit_ranker import CONFIG, PRICE, SCHEMA, slates_of
from training.ranker.better_part import better_part, is_below, judged_slates, parts_of
from training.ranker.early_stopping import RankerTraining

N = 60
BOUGHT = np.tile([True, False, False, False, False], N)
FIRST, LAST = np.tile([5.0, 4.0, 3.0, 2.0, 1.0], N), np.tile([1.0, 2.0, 3.0, 4.0, 5.0], N)


def test_the_best_of_the_parts_that_are_better_is_named() -> None:
    second = np.tile([4.0, 5.0, 3.0, 2.0, 1.0], N)
    parts = {"second": second, "first": FIRST, "last": LAST}

    assert better_part(slates_of(BOUGHT), LAST, parts=parts, seed=0) == "first"
    assert (
        better_part(slates_of(BOUGHT), second, parts={"last": LAST, "second": second}, seed=0)
        is None
    )


def test_what_may_be_chance_is_not_better() -> None:
    """Half of the slates the one is better, half the other."""
    one = np.where(np.repeat(np.arange(N) % 2, 5), FIRST, LAST)
    other = np.where(np.repeat(np.arange(N) % 2, 5), LAST, FIRST)

    assert better_part(slates_of(BOUGHT), one, parts={"other": other}, seed=0) is None


def test_an_order_is_below_another_by_its_mean_reciprocal_rank() -> None:
    """First has 1, last has 1/5; equals are not below."""
    slates = slates_of(BOUGHT)

    assert is_below(slates, LAST, than=FIRST, seed=0)
    assert not is_below(slates, FIRST, than=LAST, seed=0)
    assert not is_below(slates, FIRST, than=FIRST, seed=0)


def test_slates_with_an_outcome_are_judged() -> None:
    bought = BOUGHT.copy()
    bought[:5] = False

    judged = judged_slates(slates_of(bought), np.arange(N) < 3)

    assert np.flatnonzero(judged).tolist() == [1, 2]
    assert not judged_slates(slates_of(np.zeros(10, dtype=np.bool_)), np.ones(2, np.bool_)).any()


def test_values_that_are_unknown_come_last() -> None:
    known = np.where(BOUGHT, 0.0, np.nan)

    assert better_part(slates_of(BOUGHT), LAST, parts={"known": known}, seed=0) == "known"


def test_parts_are_the_scores_of_recommenders_and_the_rank_of_a_caller() -> None:
    schema = FeatureSchema((Popularity(0.1, 0.1, 10.0, 10.0),))

    assert parts_of(schema) == {"popularity": 1.0, LIST_RANK: -1.0}


@pytest.mark.parametrize("caller_orders", [False, True])
def test_a_ranker_whose_features_ceased_to_decide_is_its_part(
    rng: np.random.Generator, *, caller_orders: bool
) -> None:
    """The price decided until the later slates began, and decides in the opposite way since."""
    n = 4_000
    matrix = rng.normal(size=(n, len(SCHEMA.names))).astype(np.float32)
    rank = SCHEMA.names.index(LIST_RANK)
    matrix[:, rank] = np.tile(np.arange(1, 6), n // 5)
    sign = np.where(np.arange(n) < 0.75 * n, -2.0, 2.0)
    odds = sign * matrix[:, PRICE] - matrix[:, rank]
    slates = slates_of(rng.random(n) < 1 / (1 + np.exp(-odds)))
    slates = replace(slates, positions=np.zeros(n, dtype=np.int64))
    config = CONFIG.model_copy(update={"caller_orders": caller_orders})
    training = RankerTraining(slates, matrix, SCHEMA, config, seed=0)

    early = training.fit_early()
    ranker = training.fit_all(early)

    assert early.part == LIST_RANK
    log_odds = ranker.log_odds(matrix)
    # The larger the rank, the smaller: each of the five ranks has one value.
    values = [np.unique(log_odds[matrix[:, rank] == one].round(9)) for one in range(1, 6)]
    assert np.all(np.diff(np.concatenate(values)) < 0)
    assert len(np.concatenate(values)) == 5


def test_a_part_below_the_logistic_regression_replaces_no_ranker(rng: np.random.Generator) -> None:
    """Price and rank decide; the ranker of a constant and one stump knows next to nothing."""
    n = 4_000
    matrix = rng.normal(size=(n, len(SCHEMA.names))).astype(np.float32)
    rank = SCHEMA.names.index(LIST_RANK)
    matrix[:, rank] = np.tile(np.arange(1, 6), n // 5)
    odds = -3.0 * matrix[:, PRICE] - matrix[:, rank]
    slates = slates_of(rng.random(n) < 1 / (1 + np.exp(-odds)))
    slates = replace(slates, positions=np.zeros(n, dtype=np.int64))
    stump = CONFIG.trees.model_copy(update={"max_trees": 1, "min_rows_per_leaf": n})
    config = CONFIG.model_copy(update={"caller_orders": True, "trees": stump})

    early = RankerTraining(slates, matrix, SCHEMA, config, seed=0).fit_early()

    later = slates.select(np.arange(3 * len(slates) // 4, len(slates)))
    known = matrix[-len(later.rows) :]
    judged = judged_slates(later, np.ones(len(later), dtype=np.bool_))
    entries = np.repeat(judged, 5)
    own = early.ranker.log_odds(known)[entries]
    parts = {LIST_RANK: -known[entries, rank].astype(np.float64)}
    assert better_part(later.select(np.flatnonzero(judged)), own, parts=parts, seed=0) == LIST_RANK
    assert early.part is None
