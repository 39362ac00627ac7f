"""Figures of a model card are of later slates, as computed by hand."""

from dataclasses import dataclass
from typing import cast

import numpy as np
import pytest
from numpy.typing import NDArray

from models.ranker.objective import TrainingObjective
from tests.logs import DAY, Row, catalogue, event_table
from tests.priced import PRICE, SCHEMA
from training.configuration import RunConfig
from training.examples.point_in_time import PointInTime
from training.examples.slates import shown_slates
from training.pipeline.held_out import HeldOutSlates, calibration_of, importances_of, segments_of
from training.pipeline.model_card import probability_of
from training.ranker.early_stopping import MetaModel

SHOP = catalogue("s1", "s2", "s3")


@dataclass(frozen=True)
class PriceModel:
    """Log-odds are the price; all sales are examined."""

    def log_odds(self, matrix: NDArray[np.float32]) -> NDArray[np.float64]:
        return matrix[:, PRICE].astype(np.float64)

    def p_examined(self, matrix: NDArray[np.float32]) -> NDArray[np.float64]:
        return np.ones(len(matrix))


def held_out(n: int, *, prices: NDArray[np.float64], bought: str | None = "s1") -> HeldOutSlates:
    """Lists of s1, s2 and s3 with prices of each, by a customer each; one of them is bought."""
    log = [
        Row(kind="impression", at=visit, sale=f"s{number}", position=number, customer=f"c{visit}")
        for visit in range(n)
        for number in (1, 2, 3)
    ]
    log += [
        Row(kind="purchase", at=visit, sale=bought, customer=f"c{visit}")
        for visit in range(n)
        if bought
    ]
    slates = shown_slates(event_table(log), SHOP, outcome_us=DAY)
    matrix = np.zeros((len(slates.rows), len(SCHEMA.names)), dtype=np.float32)
    matrix[:, PRICE] = np.tile(prices, n)
    return HeldOutSlates(slates, matrix, SCHEMA, cast("MetaModel", PriceModel()), seed=0)


def test_orders_are_measured_by_the_rank_of_what_was_bought() -> None:
    slates = held_out(4, prices=np.array([2.0, 3.0, 1.0]))

    found = slates.measure({"meta": slates.ranker.log_odds(slates.matrix)})

    assert found["meta", "mrr"].tolist() == [0.5] * 4
    assert found["meta", "ndcg_at_10"].tolist() == pytest.approx([1 / np.log2(3)] * 4)
    assert found["meta", "auc"].tolist() == [0.5] * 4
    interval = slates.intervals(found)["meta"]["mrr"]
    assert (interval.value, interval.low, interval.high, interval.n) == (0.5, 0.5, 0.5, 4)


def test_lists_of_one_customer_alone_have_no_figures() -> None:
    """Their resamples all agree: the interval would be a point."""
    slates = held_out(4, prices=np.array([2.0, 3.0, 1.0]))
    of_one = np.arange(4) == 2
    found = slates.measure({"meta": slates.ranker.log_odds(slates.matrix)})

    assert slates.intervals(found, within=of_one) == {}
    assert slates.intervals(found, within=~of_one)["meta"]["mrr"].n == 3


def test_only_lists_with_a_purchase_are_ranked_and_few_are_spread_over_all() -> None:
    without = held_out(3, prices=np.zeros(3), bought=None)
    slates = held_out(9, prices=np.zeros(3))

    assert len(without.sold().slates) == 0
    assert len(slates.sold().slates) == 9
    assert slates.spread(3).slates.customers.tolist() == slates.slates.customers[[0, 4, 8]].tolist()
    assert slates.spread(3).matrix.shape == (9, len(SCHEMA.names))


def test_a_group_of_features_matters_as_much_as_the_rank_falls_without_it() -> None:
    """By price what is bought comes first; at random ranks 1, 2 and 3 are worth 11/18."""
    found = importances_of(held_out(400, prices=np.array([3.0, 2.0, 1.0])))

    assert next(iter(found)) == "features of the sale"
    # The standard deviation of a reciprocal rank is 0.28: four standard errors of 400.
    assert found["features of the sale"].value == pytest.approx(1 - 11 / 18, abs=0.06)
    assert found["features of the customer"].value == 0


def test_probabilities_are_calibrated_on_other_customers_than_measured() -> None:
    """One of three is bought; log-odds of 5 say 99%, before the other half lowers them."""
    slates = held_out(900, prices=np.zeros(3))
    noise = np.random.default_rng(0).normal(size=len(slates.matrix))
    slates.matrix[:, PRICE] = 5 + 0.1 * noise

    figures = calibration_of(slates).figures

    assert figures["base_rate"].value == pytest.approx(1 / 3)
    # Ten bins of 270: each rate has a standard error of 0.03.
    assert figures["calibration_error"].value < 0.05
    assert figures["auc"].value == pytest.approx(0.5, abs=0.05)


def test_probabilities_are_measured_whatever_the_numbers_of_the_customers() -> None:
    """All held-out customers have an even code; one alone has none to calibrate on."""
    slates = held_out(400, prices=np.zeros(3))
    even = slates.select(slates.slates.customers % 2 == 0)
    even.matrix[:, PRICE] = 5

    many, one = (calibration_of(part).figures for part in (even, even.spread(1)))

    # One of three is bought; a line that was not fitted would say 99%.
    assert many["calibration_error"].value < 0.05
    assert one["base_rate"].value == pytest.approx(1 / 3)


@pytest.mark.parametrize(("sale", "kind"), [("s1", "view"), ("unknown", "view"), ("", "search")])
def test_segments_are_by_what_was_received_of_the_customer(sale: str, kind: str) -> None:
    """Searches, and events with sales that the dataset does not have, count as in `evaluate`."""
    log = [
        *(Row(at=-1, sale=sale, kind=kind, customer="hot") for _ in range(10)),
        Row(at=-1, sale=sale, kind=kind, customer="warm"),
        *(Row(kind="impression", sale="s1", customer=name) for name in ("hot", "warm", "cold")),
    ]
    events = event_table(log)
    slates = shown_slates(events, SHOP, outcome_us=DAY)
    late = HeldOutSlates(
        slates, np.empty((3, 1), np.float32), SCHEMA, cast("MetaModel", PriceModel()), seed=0
    )

    found = segments_of(late, PointInTime(events, SHOP))

    names = events.customers.values
    assert {name: names[int(slates.customers[mask][0])] for name, mask in found.items()} == {
        "customers: cold": "cold",
        "customers: hot": "hot",
        "customers: warm": "warm",
    }


@pytest.mark.parametrize(
    ("kind", "position", "caller_orders", "expected", "clicked"),
    [
        ("impression", 1, False, "shown_at_position_1", "click_shown_at_position_1"),
        ("impression", None, False, "shown", "click_shown"),
        ("impression", 1, True, "shown_in_the_callers_list", "click_shown_in_the_callers_list"),
        ("view", None, False, "visit", "click_visit"),
    ],
)
def test_what_a_probability_is_of_follows_from_what_is_logged(
    kind: str, position: int | None, expected: str, clicked: str, *, caller_orders: bool
) -> None:
    events = event_table([Row(kind=kind, position=position)])
    slates = shown_slates(events, SHOP, outcome_us=DAY)

    past = PointInTime(events, SHOP)

    found = {
        objective: probability_of(
            past, slates, config=RunConfig(objective=objective, caller_orders=caller_orders)
        )
        for objective in TrainingObjective
    }

    assert found == {"click": clicked, "purchase": expected, "value": expected}
