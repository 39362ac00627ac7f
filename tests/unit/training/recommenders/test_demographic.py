"""The fit of expected tastes: planted effects of attributes are found, and shrunk."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest

from models.catalogue.attributes import AttributeColumns
from models.dataset.customers import AttributeColumn, CustomerTable
from models.recommenders.content_encoder import Projection
from models.recommenders.content_preference import ContentPreference
from tests.logs import Row, catalogue, event_table, sale
from tests.unit.models.recommenders.test_content_preference import ENCODER
from training.recommenders.demographic import fit_demographic
from training.recommenders.interactions import Interactions

SHOP = catalogue(sale("slope", category="ski"), sale("sea", category="beach"))
TASTE = ContentPreference(
    Projection(ENCODER, np.array([*[[0.0]] * 4, [2.0], [0.0], [0.0], [0.0]])),
    mean=np.array([0.0]),
    spread=np.array([0.5]),
    rate=0.0,
)
"""Ski is at 1 and the sea at -1."""


def interactions(clicks: list[str], tiers: Sequence[str | None]) -> Interactions:
    """Customers in order, each with one click and perhaps a tier."""
    rows = [
        Row(kind="click", customer=f"c{number:03}", sale=sale_id, at=number)
        for number, sale_id in enumerate(clicks)
    ]
    events = event_table(rows)
    names = sorted({tier for tier in tiers if tier})
    codes = np.array([names.index(tier) if tier else -1 for tier in tiers], dtype=np.int32)
    known = CustomerTable(events.customers.values, {"tier": AttributeColumn(names, codes)})
    return Interactions.from_events(replace(events, attributes=known), SHOP)


def test_the_effect_of_an_attribute_is_the_ridge_estimate() -> None:
    clicks, tiers = ["slope"] * 3 + ["sea"] + ["sea"] * 4, ["gold"] * 4 + ["blue"] * 4

    found = fit_demographic(interactions(clicks, tiers), TASTE)

    # Both indicators are ±1 after scaling, and opposite. Each customer has the weight
    # w = 1 / (1 + 0.5); the solution of (8 w [[1, -1], [-1, 1]] + 2 / 0.5 I) x = b is along
    # (1, -1), where the matrix is 16 w + 4; means of gold and blue are 0.5 and -1.
    w = 1 / 1.5
    expected = w * (4 * 0.5 + 4 * 1) / (16 * w + 4)
    assert found.encoder.columns == AttributeColumns((), (("tier", "blue"), ("tier", "gold")))
    assert found.weights == pytest.approx(np.array([[-expected], [expected]]))


def test_customers_without_attributes_change_nothing() -> None:
    clicks, tiers = ["slope", "sea"] * 3, ["gold", "blue"] * 3

    alone = fit_demographic(interactions(clicks, tiers), TASTE)
    beside = fit_demographic(interactions([*clicks, "sea"], [*tiers, None]), TASTE)

    assert beside.weights == pytest.approx(alone.weights)


def test_without_attributes_there_is_nothing_to_fit() -> None:
    found = fit_demographic(interactions(["slope", "sea"], [None, None]), TASTE)

    assert (len(found.encoder.columns), found.weights.shape) == (0, (0, 1))
