"""Features of a shop's own columns: values, names and the bundle's file."""

import math
import re

import numpy as np
import pytest

from models.catalogue.attributes import AttributeColumns
from models.domain.profile import Profile
from models.domain.sale import AttributeValues
from models.features.attributes import AttributeFeatures
from models.features.feature import Scope
from models.features.schema import FeatureSchema
from models.query.query import Batch
from tests.builders import catalogue, query, sale
from tests.builders import row as row_of

FEATURES = AttributeFeatures(
    sales=AttributeColumns(("stars",), (("board", "half"),)),
    customers=AttributeColumns(("age",), (("tier", "gold"),)),
)
SCHEMA = FeatureSchema((), FEATURES)
SHOP = catalogue(
    sale("alps", attributes={"stars": 4.0, "board": "half"}),
    sale("rome", attributes={"board": "full"}),
    sale("oslo"),
)
OWN = ("sale.stars", "sale.board_half", "customer.age", "customer.tier_gold")


def values_of(sale_id: str, attributes: AttributeValues) -> list[float]:
    profile = Profile(0, (0,) * 10, attributes=attributes)
    row = SCHEMA.assemble(query(SHOP, profile=profile))[row_of(SHOP, sale_id)]
    return [row[SCHEMA.names.index(name)] for name in OWN]


@pytest.mark.parametrize(
    ("sale_id", "attributes", "values"),
    [
        ("alps", {"age": 41.0, "tier": "gold"}, [4.0, 1.0, 41.0, 1.0]),
        ("rome", {"tier": "blue"}, [math.nan, 0.0, math.nan, 0.0]),
        ("oslo", {}, [math.nan] * 4),
    ],
)
def test_the_columns_of_sale_and_customer_are_features(
    sale_id: str, attributes: AttributeValues, values: list[float]
) -> None:
    np.testing.assert_array_equal(values_of(sale_id, attributes), values)


def test_queries_of_a_batch_have_the_values_that_they_have_alone() -> None:
    queries = [
        query(SHOP, profile=Profile(0, (0,) * 10, attributes=attributes))
        for attributes in ({"age": 41.0}, {}, {"age": 3.0, "tier": "gold"})
    ]
    counts = [Batch.from_query(one).counts for one in queries]

    together = SCHEMA.assemble_batch(Batch.from_queries(queries, counts))

    alone = np.stack([SCHEMA.assemble(one) for one in queries])
    assert together.tobytes() == alone.tobytes()


def test_a_shop_without_columns_has_no_such_feature() -> None:
    assert FeatureSchema((), AttributeFeatures()).names == FeatureSchema(()).names
    assert [SCHEMA.features[name][0] for name in OWN] == [Scope.SALE] * 2 + [Scope.CUSTOMER] * 2


def test_other_columns_are_another_schema() -> None:
    other = AttributeFeatures(sales=AttributeColumns(("rooms",)))

    assert len({SCHEMA.hash, FeatureSchema(()).hash, FeatureSchema((), other).hash}) == 3


def test_names_are_distinct_and_of_characters_that_trees_can_be_stored_with() -> None:
    columns = AttributeColumns(("a b", "a_b", 'x":[', "é" * 200), (("a", "b"),))

    [group] = AttributeFeatures(sales=columns).groups

    assert len(group.features) == 5
    assert all(re.fullmatch(r"sale\.[\w.]{1,45}", name) for name in group.features)


def test_the_file_of_a_bundle_is_read_again() -> None:
    assert AttributeFeatures.from_bytes(FEATURES.to_bytes()) == FEATURES
    with pytest.raises(ValueError, match="not a file of arrays"):
        AttributeFeatures.from_bytes(b"")
