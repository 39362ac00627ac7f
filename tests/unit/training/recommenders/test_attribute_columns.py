"""Which columns of attributes are chosen: those in which two draws differ most often."""

import numpy as np

from models.catalogue.attributes import AttributeColumns
from models.domain.sale import AttributeValues
from tests.logs import Row, catalogue, event_table, sale
from training.recommenders.attribute_columns import choose_attributes, choose_columns
from training.recommenders.interactions import Interactions

# By the share of pairs that differ: rooms 3/4, blue 1/2, gold 3/8, green 3/8, pool 3/8.
FOUR: tuple[AttributeValues, ...] = (
    {"rooms": 1.0, "tier": "blue", "pool": True, "only": "x"},
    {"rooms": 2.0, "tier": "blue", "pool": False, "only": "x"},
    {"rooms": 3.0, "tier": "gold", "pool": False, "only": "x"},
    {"rooms": 4.0, "tier": "gold", "pool": False, "only": "x"},
)


def test_columns_that_differ_most_often_are_chosen() -> None:
    weights = np.ones(4)

    assert choose_columns(FOUR, weights, most=1) == AttributeColumns(("rooms",))
    assert choose_columns(FOUR, weights, most=3) == AttributeColumns(
        ("rooms",), (("tier", "blue"), ("tier", "gold"))
    )
    assert choose_columns(FOUR, weights, most=9).names == {"rooms", "tier", "pool"}


def test_what_no_weight_is_on_does_not_count() -> None:
    assert choose_columns(FOUR, np.array([0.0, 1.0, 0.0, 0.0]), most=9) == AttributeColumns()
    assert choose_columns((), np.empty(0), most=9) == AttributeColumns()


def test_a_number_that_few_have_differs_seldom() -> None:
    rare: list[AttributeValues] = [{"rooms": float(n)} for n in range(2)]
    described = [*rare, *[{"pool": bool(n % 2)} for n in range(8)]]

    # 2 / 10 know rooms: 2 of 100 ordered pairs differ in them; 32 of 100 in the pool.
    assert choose_columns(described, np.ones(10), most=1) == AttributeColumns(("pool",))


def test_features_are_columns_of_exposed_sales() -> None:
    shop = catalogue(
        sale("s1", attributes={"stars": 3.0}),
        sale("s2", attributes={"stars": 4.0}),
        sale("never", attributes={"secret": 1.0}),
        sale("seen", attributes={"secret": 2.0}),
    )
    events = event_table([Row(sale="s1"), Row(sale="s2"), Row(sale="seen")])

    found = choose_attributes(Interactions.from_events(events, shop))

    assert found.sales == AttributeColumns(("stars",))
    assert found.customers == AttributeColumns()
