"""Columns of attributes: numbers, and indicators of texts, by hand."""

import math

import numpy as np
import pytest

from models.arrays.array_file import Arrays
from models.catalogue.attributes import AttributeColumns
from models.domain.sale import AttributeValues

COLUMNS = AttributeColumns(("age", "club"), (("tier", "gold"), ("tier", "blue")))
UNKNOWN = math.nan


@pytest.mark.parametrize(
    ("attributes", "values"),
    [
        ({"age": 41.0, "club": True, "tier": "gold"}, [41.0, 1.0, 1.0, 0.0]),
        ({"club": False, "tier": "unseen"}, [UNKNOWN, 0.0, 0.0, 0.0]),
        ({"age": "old", "tier": "blue", "other": 3.0}, [UNKNOWN, UNKNOWN, 0.0, 1.0]),
        ({}, [UNKNOWN] * 4),
    ],
)
def test_the_columns_of_attributes(attributes: AttributeValues, values: list[float]) -> None:
    np.testing.assert_array_equal(COLUMNS.values([attributes]), [values])


def test_none_have_no_rows_and_no_columns_have_no_width() -> None:
    assert COLUMNS.values([]).shape == (0, 4)
    assert AttributeColumns().values([{"age": 1.0}]).shape == (1, 0)


@pytest.mark.parametrize("columns", [COLUMNS, AttributeColumns()])
def test_columns_are_restored(columns: AttributeColumns) -> None:
    assert AttributeColumns.from_arrays(Arrays(columns.to_arrays("own")), "own") == columns
