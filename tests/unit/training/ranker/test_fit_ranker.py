"""The meta-model learns from the earlier slates and is judged on the later ones."""

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from models.catalogue.snapshot import Snapshot
from models.dataset.reading import read_dataset
from models.features.schema import FeatureSchema
from models.pictures.topics import Topics
from models.ranker.objective import TrainingObjective
from models.ranker.ranker import LightGbmRanker
from models.ranker.two_stage import TwoStageRanker, ranker_files
from tests.logs import DAY, HOUR
from training.configuration import RunConfig, TreeConfig
from training.examples.point_in_time import PointInTime, assemble_slates
from training.examples.refit import fit_recommenders
from training.examples.slates import Slates, settled, shown_slates
from training.ranker.early_stopping import BUYING_RIDGES, RankerTraining
from training.ranker.fit_ranker import (
    TooFewPurchasesError,
    fit_ranker,
)
from training.recommenders.interactions import Interactions
from training.statistics.metrics import auc

SCHEMA = FeatureSchema(())
CONFIG = RunConfig(trees=TreeConfig(max_trees=40, min_rows_per_leaf=20, patience=10))
N_SHUFFLES = 3
PRICE = SCHEMA.names.index("sale_price")
POSITION = SCHEMA.names.index("position")


def slates_of(bought: NDArray[np.bool_], per_slate: int = 5) -> Slates:
    """Slates an hour apart, of equal size, each by a customer of its own."""
    n = len(bought) // per_slate
    numbers, none = np.arange(n), np.full(n, -1)
    return Slates(
        customers=numbers,
        sessions=none,
        exposures=none,
        now_us=numbers * HOUR,
        markets=none,
        devices=none,
        starts=np.arange(n + 1) * per_slate,
        rows=np.zeros(len(bought), dtype=np.int64),
        positions=np.tile(np.arange(1, per_slate + 1), n),
        prices=np.full(len(bought), np.nan),
        clicked=np.zeros(len(bought), dtype=np.bool_),
        bought=bought,
        weights=np.ones(len(bought)),
    )


def shop_where_price_decides(
    rng: np.random.Generator, n: int
) -> tuple[Slates, NDArray[np.float32], NDArray[np.float64]]:
    """Examples, their features, and the probabilities that drew their labels."""
    matrix = rng.normal(size=(n, len(SCHEMA.names))).astype(np.float32)
    matrix[:, POSITION] = 1
    truth = 1 / (1 + np.exp(2.0 + 1.5 * matrix[:, PRICE].astype(np.float64)))
    return slates_of(rng.random(n) < truth), matrix, truth


def test_what_decides_is_learned_with_its_probabilities(rng: np.random.Generator) -> None:
    slates, matrix, truth = shop_where_price_decides(rng, 20_000)

    fitted = fit_ranker(RankerTraining(slates, matrix, SCHEMA, config=CONFIG, seed=0))

    found = fitted.ranker.probabilities(matrix)
    assert np.corrcoef(found, truth)[0, 1] > 0.97
    assert abs(found.mean() - truth.mean()) < 0.01
    held_out = slice(15_000, None)
    labels = slates.bought[held_out].astype(np.float64)
    best = auc(truth[held_out], labels, weights=np.ones(5_000))
    assert best - 0.02 < fitted.metrics["holdout_auc"] <= best + 0.005
    assert fitted.metrics["n_fitting"] == 15_000
    assert fitted.metrics["n_holdout_outcomes"] == labels.sum()


def test_the_slope_is_that_of_the_later_lists_which_no_ranker_ordered(
    rng: np.random.Generator,
) -> None:
    """The price says 0.5 a unit in the earlier half, and three times as much in the later one.

    The ranker says one thing of both, so that its line has a third of the slope where the later
    half was ordered by a ranker.
    """
    n = 20_000
    matrix = rng.normal(size=(n, len(SCHEMA.names))).astype(np.float32)
    matrix[:, POSITION] = 1
    log_odds = -1.5 - np.repeat([0.5, 1.5], n // 2) * matrix[:, PRICE].astype(np.float64)
    slates = slates_of(rng.random(n) < 1 / (1 + np.exp(-log_odds)))
    training = RankerTraining(slates, matrix, SCHEMA, config=CONFIG, seed=0)
    later = np.arange(len(slates)) >= len(slates) // 2

    by_others = fit_ranker(training).ranker.calibration
    ranked = fit_ranker(replace(training, ranked=later)).ranker.calibration

    assert by_others.slope == pytest.approx(3 * ranked.slope, rel=0.15)


def test_shuffled_labels_teach_nothing(tiny_world: Path) -> None:
    """On real features, judged on slates that neither fitted nor stopped nor calibrated."""
    dataset = read_dataset(tiny_world)
    sales = {sale.sale_id: sale for sale in dataset.sales}
    past = PointInTime(dataset.events, Snapshot.from_sales(sales, {}).catalogue(Topics.none()))
    schema = FeatureSchema(fit_recommenders(Interactions.from_events(past.events, past.catalogue)))
    slates = shown_slates(past.events, past.catalogue, outcome_us=DAY)
    matrix = assemble_slates(past, slates, schema=schema)
    cut = len(slates) * 6 // 10
    entry = int(slates.starts[cut])

    shuffled: list[float] = []
    variance = 0.0
    for seed in range(N_SHUFFLES):
        # Half of them bought: the 60 purchases there are would leave a standard error of 0.1.
        labels = np.random.default_rng(seed).permutation(len(slates.rows)) % 2 == 0
        first = replace(slates, bought=labels).select(np.arange(cut))
        ranker = fit_ranker(
            RankerTraining(first, matrix[:entry], schema, config=CONFIG, seed=seed)
        ).ranker
        late = labels[entry:].astype(np.float64)
        shuffled.append(auc(ranker.probabilities(matrix[entry:]), late, weights=np.ones(len(late))))
        variance += (1 / late.sum() + 1 / (1 - late).sum()) / 12

    assert abs(np.mean(shuffled) - 0.5) < 4 * math.sqrt(variance) / N_SHUFFLES


def test_clicks_teach_what_few_purchases_cannot(rng: np.random.Generator) -> None:
    """What is opened depends on the price; one of twenty opened is bought, at random."""
    n = 20_000
    matrix = rng.normal(size=(n, len(SCHEMA.names))).astype(np.float32)
    matrix[:, POSITION] = 1
    opens = 1 / (1 + np.exp(1.0 + 1.5 * matrix[:, PRICE].astype(np.float64)))
    clicked = rng.random(n) < opens
    slates = replace(slates_of(clicked & (rng.random(n) < 0.05)), clicked=clicked)
    direct = CONFIG.model_copy(update={"through_clicks": False})

    staged, alone = (
        fit_ranker(RankerTraining(slates, matrix, SCHEMA, config=config, seed=0)).ranker
        for config in (CONFIG, direct)
    )

    assert isinstance(staged, TwoStageRanker)
    assert isinstance(alone, LightGbmRanker)
    found, found_alone = (ranker.probabilities(matrix) for ranker in (staged, alone))
    assert np.corrcoef(found, opens)[0, 1] > max(0.9, np.corrcoef(found_alone, opens)[0, 1])
    assert abs(found.mean() - 0.05 * opens.mean()) < 0.005


@pytest.mark.parametrize(("n_bought", "has_trees"), [(299, False), (300, True)])
def test_few_purchases_are_left_to_the_line(
    rng: np.random.Generator, *, n_bought: int, has_trees: bool
) -> None:
    """Whoever buys buys above a price, which only a tree can say exactly."""
    matrix = rng.normal(size=(2_000, len(SCHEMA.names))).astype(np.float32)
    matrix[:, POSITION] = 1
    dear = np.flatnonzero(matrix[:, PRICE] > 0)
    bought = np.zeros(len(matrix), dtype=np.bool_)
    bought[rng.choice(dear, n_bought, replace=False)] = True

    fitted = fit_ranker(RankerTraining(slates_of(bought), matrix, SCHEMA, config=CONFIG, seed=0))

    assert isinstance(fitted.ranker, LightGbmRanker)
    assert (fitted.ranker.n_trees > 1) == has_trees


def test_few_purchases_teach_little_beside_what_was_bought_and_touched(
    rng: np.random.Generator,
) -> None:
    """All else is noise, forty outcomes: the order stays that of the simple scorer."""
    n = 1_000
    # Drawn first, so that they are the same however many columns there are.
    touched = rng.random(n) < 0.1
    bought = rng.random(n) < np.where(touched, 0.25, 0.02)
    matrix = rng.normal(size=(n, len(SCHEMA.names))).astype(np.float32)
    matrix[:, POSITION] = 1
    recency = SCHEMA.names.index("same_sale_recency")
    matrix[:, recency] = np.where(touched, matrix[:, recency], np.nan)
    training = RankerTraining(slates_of(bought), matrix, SCHEMA, config=CONFIG, seed=0)
    assert 20 < bought.sum() < 80

    ranker = fit_ranker(training).ranker

    found = auc(ranker.log_odds(matrix), touched.astype(np.float64), weights=np.ones(n))
    assert found > 0.95


def test_purchases_of_repeated_lists_count_once(rng: np.random.Generator) -> None:
    """299 purchases, a tenth of them repeated, are as few as 299."""
    matrix = rng.normal(size=(2_000, len(SCHEMA.names))).astype(np.float32)
    matrix[:, POSITION] = 1
    bought = np.zeros(len(matrix), dtype=np.bool_)
    bought[rng.choice(np.flatnonzero(matrix[:, PRICE] > 0), 299, replace=False)] = True
    slates = slates_of(bought)
    order = np.repeat(np.arange(len(slates)), 1 + (np.arange(len(slates)) % 10 == 0))
    entries = (order[:, None] * 5 + np.arange(5)).ravel()
    repeated = np.diff(order, prepend=-1) == 0

    training = RankerTraining(
        slates.select(order), matrix[entries], SCHEMA, CONFIG, seed=0, repeated=repeated
    )

    assert training.slates.bought.sum() >= 300
    fitted = fit_ranker(training)
    assert fitted.stopped.n_trees == 1
    counts = [fitted.metrics[f"n_{part}_outcomes"] for part in ("fitting", "holdout")]
    assert sum(counts) == 299
    assert fitted.metrics["n_fitting"] + fitted.metrics["n_holdout"] == 2_000


@pytest.mark.parametrize("through_clicks", [True, False])
def test_the_lists_of_a_caller_are_left_to_the_trees(
    rng: np.random.Generator, *, through_clicks: bool
) -> None:
    """They are what was learned from: no line has to go on where trees have seen little."""
    slates, matrix, truth = shop_where_price_decides(rng, 20_000)
    slates = replace(slates, clicked=slates.bought | (rng.random(20_000) < 0.3))
    config = CONFIG.model_copy(update={"caller_orders": True, "through_clicks": through_clicks})

    ranker = fit_ranker(RankerTraining(slates, matrix, SCHEMA, config=config, seed=0)).ranker

    steps = (ranker.opening, ranker.buying) if isinstance(ranker, TwoStageRanker) else (ranker,)
    assert isinstance(ranker, TwoStageRanker) is through_clicks
    assert not any(step.offset.regression.weights.any() for step in steps)
    assert np.corrcoef(ranker.probabilities(matrix), truth)[0, 1] > 0.9
    assert abs(ranker.probabilities(matrix).mean() - truth.mean()) < 0.01


def test_few_lists_of_a_caller_teach_little_beside_their_order(rng: np.random.Generator) -> None:
    """All else is noise, a hundred outcomes: the order stays nearly as it is."""
    n, rank = 1_000, SCHEMA.names.index("list_rank")
    ranks = np.tile(np.arange(1, 6), n // 5)
    truth = 0.3 / ranks
    bought = rng.random(n) < truth
    matrix = rng.normal(size=(n, len(SCHEMA.names))).astype(np.float32)
    matrix[:, rank] = ranks
    config = CONFIG.model_copy(update={"caller_orders": True})
    training = RankerTraining(slates_of(bought), matrix, SCHEMA, config, seed=0)
    assert 20 < training.slates.bought.sum() < 200

    ranker = fit_ranker(training).ranker

    assert ranker.n_trees == 1
    assert np.corrcoef(ranker.probabilities(matrix), truth)[0, 1] > 0.9


def test_the_split_is_by_time_and_keeps_slates_whole(rng: np.random.Generator) -> None:
    slates, matrix, _ = shop_where_price_decides(rng, 50)
    config = CONFIG.model_copy(update={"holdout_share": 0.25})

    early, late = RankerTraining(slates, matrix, SCHEMA, config, seed=0).split(slates.bought)

    assert (len(early.labels), len(late.labels)) == (35, 15)
    np.testing.assert_array_equal(np.concatenate([early.matrix, late.matrix]), matrix)
    np.testing.assert_array_equal(late.labels, slates.bought[35:])


def test_the_later_slates_are_learned_from_too(rng: np.random.Generator) -> None:
    """A week ago the price began to decide: what is kept knows, what was judged did not."""
    slates, matrix, _ = shop_where_price_decides(rng, 20_000)
    bought = slates.bought.copy()
    bought[:15_000] = rng.permutation(bought[:15_000])
    slates = replace(slates, bought=bought)

    fitted = fit_ranker(RankerTraining(slates, matrix, SCHEMA, config=CONFIG, seed=0))

    late = slice(15_000, None)
    found = fitted.ranker.probabilities(matrix[late])
    assert auc(found, bought[late].astype(np.float64), weights=np.ones(5_000)) > 0.7
    assert fitted.metrics["holdout_auc"] < 0.6


@pytest.mark.parametrize("n", [4_000, 24_000])
def test_the_later_half_of_all_slates_says_how_wide_log_odds_are(
    rng: np.random.Generator, n: int
) -> None:
    """Labels of the last quarter are shuffled, some 170 and 1,000 of them.

    By these alone the slope is near 0. The later half has as many labels that are right.
    """
    slates, matrix, _ = shop_where_price_decides(rng, n)
    bought, late = slates.bought.copy(), slice(n * 3 // 4, None)
    bought[late] = rng.permutation(bought[late])
    slates = replace(slates, bought=bought)

    fitted = fit_ranker(RankerTraining(slates, matrix, SCHEMA, config=CONFIG, seed=0))

    assert fitted.stopped.calibration.slope < 0.3
    assert 0.4 < fitted.ranker.calibration.slope < 0.8


def test_repeated_slates_do_not_say_how_wide_log_odds_are(rng: np.random.Generator) -> None:
    """A third of the examples are repeated with the price reversed: scores of all are too narrow.

    With these the line would be right for the mixture, whose slope is 1.
    """
    slates, matrix, _ = shop_where_price_decides(rng, 10_000)
    order = np.repeat(np.arange(len(slates)), 1 + (np.arange(len(slates)) % 2))
    repeated = np.diff(order, prepend=-1) == 0
    entries = (order[:, None] * 5 + np.arange(5)).ravel()
    both = matrix[entries]
    both[np.repeat(repeated, 5), PRICE] *= -1
    training = RankerTraining(
        slates.select(order), both, SCHEMA, config=CONFIG, seed=0, repeated=repeated
    )

    assert fit_ranker(training).ranker.calibration.slope > 1.5


@pytest.mark.parametrize(
    ("own", "ridge"),
    [(0.0, max(BUYING_RIDGES)), (1.5, min(BUYING_RIDGES))],
    ids=["alike", "unlike"],
)
def test_later_slates_choose_how_far_buyers_are_like_openers(
    rng: np.random.Generator, *, own: float, ridge: float
) -> None:
    """Of what was opened half is bought, more of it where something is high that opens nothing."""
    n, discount = 40_000, SCHEMA.names.index("sale_discount")
    matrix = rng.normal(size=(n, len(SCHEMA.names))).astype(np.float32)
    matrix[:, POSITION] = 1
    opens = 1 / (1 + np.exp(-1.5 * matrix[:, PRICE].astype(np.float64)))
    buys = 1 / (1 + np.exp(-own * matrix[:, discount].astype(np.float64)))
    clicked = rng.random(n) < opens
    slates = replace(slates_of(clicked & (rng.random(n) < 0.4 * buys)), clicked=clicked)

    early = RankerTraining(slates, matrix, SCHEMA, CONFIG, seed=0).fit_early()

    assert isinstance(early.ranker, TwoStageRanker)
    assert early.buying_ridge == ridge


def test_a_slate_is_settled_once_nothing_more_can_be_credited_to_it() -> None:
    slates = slates_of(np.zeros(25, dtype=np.bool_))

    assert len(settled(slates, 2 * HOUR + DAY, outcome_us=DAY)) == 3
    assert len(settled(slates, 2 * HOUR + DAY - 1, outcome_us=DAY)) == 2


@pytest.mark.parametrize(
    ("when", "few", "many"),
    [("earlier", slice(0, 9), slice(375, 500)), ("later", slice(380, 389), slice(0, 375))],
)
def test_too_few_purchases_on_either_side_are_refused(
    rng: np.random.Generator, *, when: str, few: slice, many: slice
) -> None:
    """A quarter of 100 slates of 5 entries is held out: entries from 375 on."""
    bought = np.zeros(500, dtype=np.bool_)
    bought[few] = bought[many] = True
    matrix = rng.normal(size=(500, len(SCHEMA.names))).astype(np.float32)

    training = RankerTraining(slates_of(bought), matrix, SCHEMA, config=CONFIG, seed=0)
    clicks = CONFIG.model_copy(update={"objective": TrainingObjective.CLICK})

    n = 75 if when == "earlier" else 25
    with pytest.raises(
        TooFewPurchasesError,
        match=rf"the {when} part .* {n} slates of {n} customers, has 9 purchases",
    ):
        fit_ranker(training)
    with pytest.raises(TooFewPurchasesError, match=r"9 clicks or purchases.*good start\)$"):
        fit_ranker(replace(training, config=clicks))


def test_purchases_of_repeated_slates_are_no_further_ones(rng: np.random.Generator) -> None:
    """Of ten purchases in the earlier slates one is that of a slate that is there twice."""
    bought = np.zeros(500, dtype=np.bool_)
    bought[:50:5] = bought[375:] = True
    repeated = np.arange(100) == 9
    matrix = rng.normal(size=(500, len(SCHEMA.names))).astype(np.float32)
    training = RankerTraining(
        slates_of(bought), matrix, SCHEMA, config=CONFIG, seed=0, repeated=repeated
    )

    with pytest.raises(TooFewPurchasesError, match=r"the earlier part .* has 9 purchases"):
        fit_ranker(training)


def test_one_seed_gives_one_model(rng: np.random.Generator) -> None:
    slates, matrix, _ = shop_where_price_decides(rng, 4_000)

    models = [
        ranker_files(
            fit_ranker(RankerTraining(slates, matrix, SCHEMA, config=CONFIG, seed=seed)).ranker
        )
        for seed in (1, 1, 2)
    ]

    assert models[0] == models[1] != models[2]
