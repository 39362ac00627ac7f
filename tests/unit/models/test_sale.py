"""What a sale must be."""

import pytest
from pydantic import ValidationError

from models.sale import Sale

OPENS = {"sale_id": "s1", "opens_at": "2025-03-10T12:00:00Z"}


def test_a_sale_needs_only_an_id_and_its_opening() -> None:
    sale = Sale.model_validate(OPENS)

    assert (sale.price, sale.markets, sale.closes_at, sale.attributes) == (None, None, None, {})


def test_further_columns_of_an_export_are_attributes() -> None:
    attributes = {"stars": 4.5, "pool": True, "board": "half", "spa": None}

    assert Sale.model_validate(OPENS | {"attributes": attributes}).attributes == attributes


@pytest.mark.parametrize("closes_at", ["2025-03-10T12:00:00Z", "2025-03-10T13:00:00+02:00"])
def test_a_sale_closes_after_it_opens(closes_at: str) -> None:
    with pytest.raises(ValidationError, match="is not after opens_at"):
        Sale.model_validate(OPENS | {"closes_at": closes_at})


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("sale_id", ""),
        ("opens_at", "2025-03-10T12:00:00"),
        ("price", -0.01),
        ("price", "nan"),
        ("original_price", "inf"),
        ("margin", "nan"),
        ("stock", -1),
        ("currency", "EURO"),
        ("category", "ski\nforged"),
        ("markets", [f"m{i}" for i in range(65)]),
        ("attributes", {f"a{i}": i for i in range(101)}),
        ("attributes", {"a": [1]}),
        ("colour", "red"),
    ],
)
def test_a_faulty_field_is_refused_by_name(name: str, value: object) -> None:
    with pytest.raises(ValidationError, match=name):
        Sale.model_validate(OPENS | {name: value})
