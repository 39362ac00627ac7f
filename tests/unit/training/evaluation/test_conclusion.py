"""The sentence that opens a report says above, below, or that it cannot tell."""

from collections.abc import Mapping

import numpy as np
import pytest

from models.catalogue.snapshot import Snapshot
from models.pictures.topics import Topics
from models.ranker.objective import TrainingObjective
from tests.judged import slate
from training.evaluation.conclusion import conclusion, metric_name, metric_of
from training.evaluation.evaluate import Evaluation, figures_of
from training.evaluation.measure import DISCOUNTED_REVENUE, MRR, PURCHASES
from training.statistics.bootstrap import Interval
from training.statistics.difference import Difference

CATALOGUE = Snapshot.from_sales({}, {}).catalogue(Topics.none())
N_CUSTOMERS = 40


def evaluation(
    means: Mapping[str, float],
    *,
    noise: float = 0.0,
    metric: str = PURCHASES,
    protocol: str = "open",
) -> Evaluation:
    """Forty customers with these means; ``noise`` is a rival's own, which sums to 0."""
    wave = noise * np.resize([1.0, -1.0], N_CUSTOMERS)
    judged = [
        slate(
            customer,
            {
                name: {metric: mean + (0.0 if name == "meta" else float(wave[customer]))}
                for name, mean in means.items()
            },
        )
        for customer in range(N_CUSTOMERS)
    ]
    return Evaluation({protocol: figures_of(judged, seed=0)}, CATALOGUE, {})


def test_it_is_above_all_where_every_interval_is() -> None:
    found = conclusion(evaluation({"meta": 0.5, "taste": 0.25, "popularity": 0.125}))

    assert found.mark.word == "above all"
    assert "better than each of 2 other scorers; the best is taste" in found.text
    assert "0.5 against 0.25, difference +0.25 [+0.25, +0.25]" in found.text


@pytest.mark.parametrize(
    ("objective", "metric"),
    [("click", MRR), ("purchase", PURCHASES), ("value", DISCOUNTED_REVENUE)],
)
def test_the_objective_decides_by_which_metric(objective: str, metric: str) -> None:
    values = {MRR: 0.25, PURCHASES: 0.5, DISCOUNTED_REVENUE: 40.0}
    judged = [slate(n, {"meta": values, "popularity": values}) for n in range(3)]
    figures = figures_of(judged, seed=0, objective=TrainingObjective(objective))

    text = conclusion(Evaluation({"open": figures}, CATALOGUE, {})).text

    assert metric_of(figures) == metric
    assert metric_name(figures) in text
    assert ("clicked" in text) == (objective == "click")


def test_it_is_below_where_one_is_better() -> None:
    found = conclusion(evaluation({"meta": 0.25, "taste": 0.5, "popularity": 0.125}))

    assert found.mark.word == "below"
    assert "ranks worse than taste" in found.text
    assert "difference -0.25 [-0.25, -0.25]" in found.text


@pytest.mark.parametrize("own", [0.26, 0.24])
def test_it_cannot_tell_where_the_interval_of_the_best_holds_zero(own: float) -> None:
    """By the best rival, on whichever side of it the meta-model is."""
    found = conclusion(evaluation({"meta": own, "taste": 0.25, "popularity": 0.05}, noise=0.1))

    assert found.mark.word == "cannot tell"
    assert "better than 1 of 2 other scorers, worse than none;" in found.text
    assert "the best of the others, taste, may be chance" in found.text


def test_it_cannot_tell_where_only_the_adjustment_holds_the_verdict_open() -> None:
    """The best of all is surely below: what is open is named, with what it was adjusted for."""
    figures = evaluation({"meta": 0.5, "taste": 0.4, "popularity": 0.2}).protocols["open"]
    gap = Interval(value=-0.2, low=-0.3, high=-0.1, n=40)
    figures.differences["meta"]["popularity"][PURCHASES] = Difference(gap, p=0.06)

    found = conclusion(Evaluation({"open": figures}, CATALOGUE, {}))

    assert found.mark.word == "cannot tell"
    assert "better than 1 of 2 other scorers, worse than none;" in found.text
    assert (
        "popularity, is one of 2 comparisons: adjusted for them its p-value is 0.06, not below 5%"
        in found.text
    )
    assert "difference +0.2 [+0.1, +0.3]" in found.text


def test_oracles_and_other_orders_of_the_meta_model_are_no_rivals() -> None:
    means = {"meta": 0.5, "meta-revenue": 0.9, "knowable": 0.9, "truth": 0.9, "popularity": 0.1}

    assert "each of 1 other scorers" in conclusion(evaluation(means)).text


@pytest.mark.parametrize(
    ("own", "words"),
    [
        (0.75, "ranks better than the meta-model: 0.5 against 0.75, difference -0.25"),
        (0.25, "ranks worse than the meta-model: 0.5 against 0.25, difference +0.25"),
        (0.5, "cannot be distinguished from the meta-model: 0.5 against 0.5, difference +0"),
    ],
)
def test_ones_own_ranking_is_compared_in_a_sentence_of_its_own(own: float, words: str) -> None:
    """It is neither a part nor a baseline, and takes nothing from what is said of these."""
    found = conclusion(evaluation({"meta": 0.5, "popularity": 0.125, "own_scores": own}))

    assert found.mark.word == "above all"
    assert "better than each of 1 other scorers; the best is popularity" in found.text
    assert f"Your own ranking (own_scores) {words}" in found.text


def test_shown_lists_decide_where_no_truth_is_known() -> None:
    shown = evaluation({"meta": 0.5, "popularity": 0.1}, metric=MRR, protocol="shown")
    opened = evaluation({"meta": 0.1, "popularity": 0.5}, metric=MRR)
    true = evaluation({"meta": 0.1, "popularity": 0.5})

    def word(other: Evaluation) -> str:
        protocols = {**shown.protocols, **other.protocols}
        return conclusion(Evaluation(protocols, CATALOGUE, {})).mark.word

    assert word(opened) == "above all"
    assert word(true) == "below"
    assert conclusion(opened).mark.word == "below"


def test_of_one_customer_it_cannot_tell() -> None:
    """However many slates agree: they may be the taste of this customer."""
    judged = [slate(7, {"meta": {MRR: 0.5}, "popularity": {MRR: 0.25}}) for _ in range(50)]

    found = conclusion(Evaluation({"shown": figures_of(judged, seed=0)}, CATALOGUE, {}))

    assert found.mark.word == "cannot tell"
    assert "All slates are of one customer" in found.text
    assert "Beside popularity" in found.text
    assert found.text.endswith("0.5 against 0.25, difference +0.25.")


def test_of_ten_open_sales_the_first_ten_cannot_tell_orders_apart() -> None:
    """They are the same in any order, which is no chance."""
    judged = [
        slate(n, {name: {PURCHASES: 40.0 + n} for name in ("meta", "taste", "popularity")})
        for n in range(9)
    ]

    found = conclusion(Evaluation({"open": figures_of(judged, seed=0)}, CATALOGUE, {}))

    assert found.mark.word == "cannot tell"
    assert "Every order has the same expected purchases among the first ten sales" in found.text
    assert "a visit, 44: of at most ten open sales the first ten are all" in found.text
    assert "chance" not in found.text


def test_where_nothing_was_paid_the_value_cannot_tell_orders_apart() -> None:
    judged = [
        slate(n, {name: {DISCOUNTED_REVENUE: 0.0} for name in ("meta", "popularity")})
        for n in range(9)
    ]
    figures = figures_of(judged, seed=0, objective=TrainingObjective.VALUE)

    text = conclusion(Evaluation({"shown": figures}, CATALOGUE, {})).text

    assert "bought from, 0: nothing is known to be paid" in text


def test_no_difference_has_no_sign_of_minus() -> None:
    found = conclusion(evaluation({"meta": 0.5, "taste": 0.5}, metric=MRR))

    assert "difference +0 [+0, +0]" in found.text


def test_nothing_measured_is_said() -> None:
    assert "nothing to compare" in conclusion(Evaluation({}, CATALOGUE, {})).text
