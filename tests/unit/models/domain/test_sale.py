"""Validation of sales."""

import numpy as np
import pytest
from pydantic import ValidationError

from models.domain.sale import PictureScores, Sale
from models.neighbours.search import EMBEDDING_SIZE
from tests.builders import picture

OPENS = {"sale_id": "s1", "opens_at": "2025-03-10T12:00:00Z"}


def test_a_sale_needs_only_an_id_and_its_opening() -> None:
    sale = Sale.model_validate(OPENS)

    assert (sale.price, sale.markets, sale.closes_at, sale.attributes) == (None, None, None, {})


def test_further_columns_of_an_export_are_attributes() -> None:
    attributes = {"stars": 4.5, "pool": True, "board": "half", "attributes": "few"}

    assert Sale.model_validate(OPENS | {"attributes": attributes}).attributes == attributes


def test_an_attribute_that_is_null_is_one_that_is_not_there() -> None:
    with_null = Sale.model_validate(OPENS | {"attributes": {"stars": 4.5, "spa": None}})

    assert with_null == Sale.model_validate(OPENS | {"attributes": {"stars": 4.5}})


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
        ("price", 1.1e12),
        ("price", 9e-7),
        ("original_price", 5e-324),
        ("original_price", 1e308),
        ("margin", -1.1e12),
        ("margin", 1e308),
        ("margin", -1e-9),
        ("stock", -1),
        ("stock", 2**53 + 1),
        ("opens_at", "1969-12-31T23:59:59Z"),
        ("opens_at", "0001-01-01T00:00:00+12:00"),
        ("sold_out_at", "1970-01-01T00:00:00+00:01"),
        ("image", ""),
        ("image", "a\nb.jpg"),
        ("markets", []),
        ("currency", "EURO"),
        ("category", "ski\nforged"),
        ("markets", [f"m{i}" for i in range(64)]),
        ("attributes", {f"a{i}": i for i in range(101)}),
        ("attributes", {"a": [1]}),
        ("attributes", {"a": float("inf")}),
        ("attributes", {"a": "x" * 1_001}),
        ("attributes", {"x" * 129: 1}),
        ("attributes", {"": 1}),
        ("attributes", {"a\nforged": 1}),
        ("attributes", {"price": 3.0}),
        ("colour", "red"),
    ],
)
def test_a_faulty_field_is_refused_by_name(name: str, value: object) -> None:
    with pytest.raises(ValidationError, match=name):
        Sale.model_validate(OPENS | {name: value})


def test_pictures_of_a_sale_are_averaged_and_the_vector_has_unit_length() -> None:
    each = {
        1: picture(1.0, 0.0, embedding={0: 1.0}, statistics=(0.25, 0.0, 1.0, 0.5)),
        3: picture(0.5, 0.5, embedding={1: 1.0}, statistics=(0.75, -0.5, 0.0, 0.5)),
    }

    together = PictureScores.combine(each)

    half = 0.5**0.5
    np.testing.assert_allclose(together.embedding[:3], [half, half, 0], atol=1e-6)
    assert together.probabilities.tolist() == [0.75, 0.25]
    assert together.statistics.tolist() == [0.5, -0.25, 0.5, 0.5]
    assert together.each == each


def test_the_order_in_which_pictures_came_does_not_matter(rng: np.random.Generator) -> None:
    vectors = rng.normal(size=(5, EMBEDDING_SIZE)).astype(np.float32)
    each = {
        n: PictureScores(vector[:7], vector, vector[:4])
        for n, vector in enumerate(vectors, start=1)
    }

    forwards, backwards = (
        PictureScores.combine(given) for given in (each, dict(reversed(list(each.items()))))
    )

    assert forwards.embedding.tobytes() == backwards.embedding.tobytes()
    assert forwards.probabilities.tobytes() == backwards.probabilities.tobytes()


def test_a_cover_alone_stays_as_it_is() -> None:
    cover = picture(0.25, 0.75, embedding={0: 0.6, 5: 0.8})

    assert PictureScores.combine({1: cover}) is cover
    assert [*PictureScores.combine({2: cover}).each] == [2]


def test_vectors_that_cancel_out_leave_none() -> None:
    each = {1: picture(1.0, 0.0, embedding={0: 1.0}), 2: picture(1.0, 0.0, embedding={0: -1.0})}

    assert not PictureScores.combine(each).embedding.any()


def test_no_picture_cannot_be_combined() -> None:
    with pytest.raises(ValueError, match="no picture to combine"):
        PictureScores.combine({})


@pytest.mark.parametrize("end", ["9999-12-31T23:59:59Z", "9999-12-31T23:59:59.999999-12:00"])
def test_the_end_of_the_last_year_is_taken_in_every_zone(end: str) -> None:
    sale = Sale.model_validate(OPENS | {"closes_at": end, "sold_out_at": end})

    assert sale.closes_at is not None
    assert sale.closes_at.isoformat().startswith("9999-12-31T23:59:59")
    assert Sale.model_validate_json(sale.model_dump_json()) == sale
