"""Covisitation, counted by hand."""

import numpy as np
import pytest

from models.domain.event import key
from models.recommenders.item_similarity import ItemSimilarity
from tests.logs import Row, catalogue, event_table
from training.recommenders.covisitation import fit_covisitation
from training.recommenders.interactions import Interactions

SHOP = catalogue(*(f"s{index}" for index in range(40)))


def strengths(rows: list[Row], sale_id: str) -> dict[int, float]:
    """Return the companions of a sale, strongest first."""
    fitted: ItemSimilarity = fit_covisitation(
        Interactions.from_events(event_table(rows), SHOP)
    ).companions
    (place,) = np.flatnonzero(fitted.keys == np.uint64(key(sale_id))).tolist()
    found = zip(fitted.companions[place].tolist(), fitted.strengths[place].tolist(), strict=True)
    return {companion: strength for companion, strength in found if strength}


def test_sales_go_together_by_the_customers_they_have_in_common() -> None:
    """Both have s1 and s2, one has s3 twice: 2 / (5 + 2) and 1 / (5 + sqrt(2))."""
    log = [
        Row(customer="c1", sale="s1"),
        Row(customer="c1", sale="s2", kind="click"),
        Row(customer="c1", sale="s3", kind="click"),
        Row(customer="c1", sale="s3", kind="purchase"),
        Row(customer="c2", sale="s1"),
        Row(customer="c2", sale="s2"),
        Row(customer="c2", sale="s4", kind="impression"),
    ]

    found = strengths(log, "s1")

    assert found == pytest.approx({key("s2"): 2 / 7, key("s3"): 1 / (5 + 2**0.5)})
    assert next(iter(found)) == key("s2")


def test_the_twenty_strongest_are_kept() -> None:
    """Each customer has s0 and one other sale; ten of these have two customers."""
    log = [
        Row(customer=f"c{number}", sale=sale)
        for number, other in enumerate([*range(1, 40), *range(30, 40)])
        for sale in ("s0", f"s{other}")
    ]

    found = strengths(log, "s0")

    assert len(found) == 20
    assert set(list(found)[:10]) == {key(f"s{other}") for other in range(30, 40)}


def test_without_two_sales_of_one_customer_nothing_goes_together() -> None:
    log = [Row(customer="c1", sale="s1"), Row(customer="c2", sale="s2")]

    fitted = fit_covisitation(Interactions.from_events(event_table(log), SHOP))

    assert len(fitted.companions.keys) == 0
