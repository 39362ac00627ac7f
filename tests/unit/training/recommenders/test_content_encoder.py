"""Which texts of a shop become content, however many there are and however long."""

import tracemalloc

import numpy as np
import pytest

from models.arrays.array_file import Arrays
from models.recommenders.content_encoder import Encoder
from tests.logs import catalogue, sale
from training.recommenders.content_encoder import MAX_TEXTS, fit_encoder


def test_rare_texts_of_many_sales_take_no_room() -> None:
    """A table of sales by texts would take 40 MB here, and 16 GB at 100,000 sales."""
    shop = catalogue(
        *(
            sale(f"s{index}", destination=f"d{index}", attributes={"hotel": f"h{index % 1_500}"})
            for index in range(3_000)
        )
    )

    tracemalloc.start()
    encoder = fit_encoder(shop, np.ones(len(shop.sales)))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert encoder.values == ()
    assert peak < 10e6


def test_of_many_common_texts_the_most_shown_are_used() -> None:
    shop = catalogue(
        *(
            sale(f"{index:04}", attributes={"hotel": f"h{index % 400:03}", "board": "half"})
            for index in range(1_200)
        ),
        sale("other", attributes={"board": "full"}),
    )
    looks = np.array([2.0 if one.sale_id >= "0800" else 1.0 for one in shop.sales])
    looks[shop.row_for("0399")] = 0.5

    encoder = fit_encoder(shop, looks)

    assert len(encoder.values) == MAX_TEXTS
    assert ("board", "half") in encoder.values
    assert ("hotel", "h000") in encoder.values
    assert ("hotel", "h399") not in encoder.values


def test_long_texts_and_those_that_arrays_cannot_hold_are_no_values() -> None:
    odd = {"terms": "x" * 1_000, "zero": "b\0", "a.b": "🏖 b "}
    other = {"terms": "y" * 1_000, "zero": "b", "a.b": "b"}
    shop = catalogue(
        *(sale(f"s{index}", attributes=other if index % 2 else odd) for index in range(8))
    )

    encoder = fit_encoder(shop, np.ones(len(shop.sales)))
    again = Encoder.from_arrays(Arrays.from_bytes(Arrays(encoder.to_arrays()).to_bytes()))

    assert encoder.values == (("a.b", "b"), ("a.b", "🏖 b "))
    assert again.encode(shop).tobytes() == encoder.encode(shop).tobytes()


def test_numbers_of_any_size_are_learned_without_overflow() -> None:
    """Warnings are errors here: the square of 1e300 is infinite."""
    shop = catalogue(
        sale("a", attributes={"odd": 1e300, "stars": True}),
        sale("b", attributes={"odd": -1.7e308, "stars": 1.0}),
        sale("c", attributes={"odd": 2.0, "stars": 5.0}),
    )

    encoder = fit_encoder(shop, np.ones(len(shop.sales)))
    vectors = encoder.encode(shop)

    assert encoder.numbers == ("odd", "stars")
    (odd, stars), order = vectors[:, -2:].T, [one.sale_id for one in shop.sales]
    assert dict(zip(order, odd.tolist(), strict=True)) == pytest.approx(
        {"a": 1.5**0.5, "b": -(1.5**0.5), "c": 0.0}
    )
    # A flag is the number 1 beside numbers of the same name.
    assert dict(zip(order, stars.tolist(), strict=True)) == pytest.approx(
        {"a": -(0.5**0.5), "b": -(0.5**0.5), "c": 2**0.5}
    )


def test_an_attribute_of_numbers_and_texts_is_both() -> None:
    values = ["half", "half", "full", "full", 1.0, 2.0]
    shop = catalogue(
        *(sale(f"s{index}", attributes={"board": value}) for index, value in enumerate(values))
    )

    encoder = fit_encoder(shop, np.ones(len(shop.sales)))

    assert encoder.numbers == ("board",)
    assert encoder.values == (("board", "full"), ("board", "half"))
    assert encoder.value_centre == pytest.approx([1 / 3, 1 / 3])
