"""Without logged impressions, slates are visits with sampled sales."""

from typing import Final

import numpy as np
import pytest

from models.domain.event import from_us
from models.ranker.objective import TrainingObjective
from tests.logs import (
    DAY,
    HOUR,
    MINUTE,
    NOON,
    Row,
    catalogue,
    event_table,
    ids_of,
    merged_log,
    sale,
)
from training.examples.sampled_slates import VISIT_GAP_US, visit_slates
from training.examples.slates import Slates

IDS: Final = tuple(f"s{number}" for number in range(1, 8))
SHOP: Final = catalogue(*IDS)
KINDS: Final = ("view", "click", "purchase")


def slates_of(
    *log: Row, seed: int = 0, n_negatives: int = 2, shop: tuple[str, ...] = IDS
) -> Slates:
    return visit_slates(
        event_table(log),
        catalogue(*shop),
        n_negatives=n_negatives,
        outcome_us=DAY,
        rng=np.random.default_rng(seed),
    )


def bought_ids(slates: Slates) -> list[str]:
    return sorted(ids_of(SHOP, slates.rows[slates.bought]))


def test_events_less_than_half_an_hour_apart_are_one_visit() -> None:
    log = [Row(at=0), Row(at=VISIT_GAP_US), Row(at=2 * VISIT_GAP_US + 1), Row(customer="c2")]

    slates = slates_of(*log)

    assert sorted(slates.customers.tolist()) == [0, 0, 1]


def test_a_visit_happens_at_any_of_its_events_and_slates_are_ordered_by_time() -> None:
    log = [Row(at=n * MINUTE, customer=c) for c in ("c1", "c2") for n in range(3)]
    moments = {
        tuple(((slates_of(*log, seed=seed).now_us - NOON) // MINUTE).tolist())
        for seed in range(100)
    }

    assert moments == {(0, 0), (0, 1), (0, 2), (1, 1), (1, 2), (2, 2)}


def test_with_the_objective_click_a_visit_ends_in_clicks_and_purchases() -> None:
    log = [Row(), *(Row(kind=kind, at=HOUR, sale=f"s{n}") for n, kind in enumerate(KINDS, start=2))]

    slates = visit_slates(
        event_table(log),
        SHOP,
        n_negatives=2,
        outcome_us=DAY,
        rng=np.random.default_rng(0),
        objective=TrainingObjective.CLICK,
    )

    first = slates.entries(0)
    assert sorted(ids_of(SHOP, slates.rows[first][slates.bought[first]])) == ["s3", "s4"]


def test_what_was_bought_within_24_hours_is_positive_and_the_rest_are_samples() -> None:
    slates = slates_of(
        Row(at=0, sale="s1"),
        Row(kind="purchase", at=HOUR, sale="s2"),
        Row(kind="purchase", at=DAY, sale="s3"),
        Row(kind="purchase", at=DAY + 1, sale="s4"),
        Row(kind="purchase", at=HOUR, sale="s5", customer="c2"),
        Row(kind="purchase", at=HOUR, sale="gone"),
    )
    entries = slates.entries(0)

    assert bought_ids(slates.select(np.array([0]))) == ["s2", "s3"]
    assert slates.weights[entries].tolist() == [1.0, 1.0, 2.5, 2.5]
    assert len(set(slates.rows[entries].tolist())) == 4
    assert set(slates.positions.tolist()) == {0}


def test_a_visit_whose_purchase_is_refunded_later_stays_a_visit_without_an_outcome() -> None:
    """Whether it is one may not depend on what happens days later; a refund is none."""
    log = [
        Row(kind="purchase", sale="s2"),
        Row(kind="refund", at=2 * DAY, sale="s2"),
        Row(at=HOUR, customer="c2"),
    ]

    slates = slates_of(*log)

    assert ((slates.now_us - NOON) // HOUR).tolist() == [0, 1]
    assert bought_ids(slates) == []


def test_a_purchase_at_the_very_moment_is_an_outcome() -> None:
    assert bought_ids(slates_of(Row(kind="purchase", sale="s2"))) == ["s2"]


def test_a_purchase_that_was_received_before_the_moment_is_no_outcome() -> None:
    """A planted leak: the features of the visit already see it."""
    log = [Row(at=1, sale="s1"), Row(kind="purchase", at=2, received=0, sale="s2")]

    assert [bought_ids(slates_of(*log, seed=seed)) for seed in range(10)] == [[]] * 10


def test_what_a_guest_looked_at_and_the_customer_bought_is_an_outcome_of_the_visit() -> None:
    """Of a purchase by their customer two hours later; the customer's visit has it as well."""
    log = [
        Row(customer="v1", sale="s1"),
        Row(customer="c1", sale="s2", kind="purchase", at=2 * HOUR),
        Row(customer="c2", sale="s3", kind="purchase", at=2 * HOUR),
    ]
    slates = visit_slates(
        merged_log(log, [("v1", "c1", 2 * HOUR)]),
        SHOP,
        n_negatives=2,
        outcome_us=DAY,
        rng=np.random.default_rng(0),
    )

    of_guest = slates.select(np.flatnonzero(slates.now_us == NOON))
    assert bought_ids(of_guest) == ["s2"]
    assert bought_ids(slates) == ["s2", "s2", "s3"]


def test_weights_undo_the_sampling_without_bias() -> None:
    """The weighted sum over samples has the mean of the sum over all open sales."""
    value = {sale_id: float(2**index) for index, sale_id in enumerate(IDS)}
    log = [Row(sale="s1"), Row(kind="purchase", at=HOUR, sale="s2")]

    sums: list[float] = []
    for seed in range(500):
        slates = slates_of(*log, seed=seed)
        entries = slates.entries(0)
        values = [value[sale_id] for sale_id in ids_of(SHOP, slates.rows[entries])]
        sums.append(float(np.dot(values, slates.weights[entries])))

    standard_error = float(np.std(sums)) / len(sums) ** 0.5
    assert abs(np.mean(sums) - sum(value.values())) < 4 * standard_error


@pytest.mark.parametrize("n_negatives", [6, 7, 100])
def test_where_few_sales_are_open_all_of_them_stand_for_themselves(n_negatives: int) -> None:
    log = [Row(sale="s1"), Row(kind="purchase", at=HOUR, sale="s2")]

    slates = slates_of(*log, n_negatives=n_negatives)

    assert sorted(slates.rows[slates.entries(0)].tolist()) == list(range(7))
    assert slates.weights[slates.entries(0)].tolist() == [1.0] * 7


def test_only_sales_that_are_open_in_the_market_are_examples() -> None:
    shop = catalogue(
        sale("open", markets=("fr",)),
        sale("elsewhere", markets=("uk",)),
        sale("closed", closes_at=from_us(NOON)),
        sale("later", opens_at=from_us(NOON + 1)),
    )
    log = [Row(sale="open", market="fr"), Row(kind="purchase", at=HOUR, sale="closed")]

    slates = visit_slates(
        event_table(log), shop, n_negatives=5, outcome_us=DAY, rng=np.random.default_rng(0)
    )

    assert ids_of(shop, slates.rows[slates.entries(0)]) == ["open"]


def test_a_visit_while_nothing_is_open_has_no_examples() -> None:
    shop = catalogue(sale("closed", closes_at=from_us(NOON)))

    slates = visit_slates(
        event_table([Row(sale="closed")]),
        shop,
        n_negatives=5,
        outcome_us=DAY,
        rng=np.random.default_rng(0),
    )

    assert (len(slates), len(slates.rows)) == (1, 0)
