"""The content of sales as numbers, by hand."""

from dataclasses import replace

import numpy as np
import pytest

from models.arrays.array_file import Arrays
from models.catalogue.catalogue import build_catalogue
from models.pictures.topics import Topics
from models.recommenders.content_encoder import Encoder, Projection
from tests.builders import TOPICS, catalogue, picture, row, sale

SHOP = catalogue(
    sale("slope", category="ski", price=99.0, original_price=198.0),
    sale("sea", category="beach"),
    pictures={"slope": picture(0.25, 0.75, embedding={0: 1.0}, statistics=(0.75, 0.0, 0.25, 0.5))},
)
ENCODER = Encoder(
    values=(("category", "beach"), ("country", "FR")),
    numbers=(),
    picture_centre=np.full(128, 0.5),
    picture_axes=np.eye(128)[:, :2],
    topic_centre=np.array([0.5, 0.5]),
    statistics_centre=np.array([0.5, 0.0, 0.5, 0.25]),
    statistics_scale=np.array([0.25, 0.1, 0.125, 0.25]),
    value_centre=np.array([0.25, 0.0]),
    number_centre=np.array([np.log(10.0), 0.1]),
    number_scale=np.array([np.log(10.0), 0.2]),
)


def test_everything_is_centred_and_prices_are_scaled() -> None:
    vectors = ENCODER.encode(SHOP)

    expected = [0.5, -0.5, -0.25, 0.25, 1.0, 0.0, -2.0, 1.0, -0.25, 0.0, 1.0, 2.0]
    assert vectors[row(SHOP, "slope")] == pytest.approx(expected)


def test_what_is_unknown_stands_at_the_centre() -> None:
    vectors = ENCODER.encode(SHOP)

    assert vectors[row(SHOP, "sea")] == pytest.approx([0, 0, 0, 0, 0, 0, 0, 0, 0.75, 0, 0, 0])


def test_topics_of_another_model_say_nothing() -> None:
    of = build_catalogue(SHOP.sales, {}, topics=Topics.none())

    assert ENCODER.encode(of).shape == (2, ENCODER.size)


def test_sales_are_placed_once_for_the_same_sales_with_other_counts() -> None:
    projection = Projection(ENCODER, np.ones((ENCODER.size, 1)))
    later = SHOP.with_counts(SHOP.counts)

    assert projection.project(later) is projection.project(SHOP)
    assert projection.project(SHOP)[:, 0] == pytest.approx(ENCODER.encode(SHOP).sum(axis=1))


def test_a_sale_is_placed_bit_for_bit_the_same_among_other_sales(
    rng: np.random.Generator,
) -> None:
    """A new sale beside it must not change what a sale scores."""
    projection = Projection(ENCODER, rng.normal(size=(ENCODER.size, 7)))
    alone = catalogue(SHOP.sales[row(SHOP, "sea")])

    (placed,) = projection.project(alone)

    assert placed.tobytes() == projection.project(SHOP)[row(SHOP, "sea")].tobytes()


def test_numbers_flags_and_texts_of_attributes_are_encoded_and_unseen_ones_are_the_centre() -> None:
    encoder = replace(
        ENCODER,
        values=(("board", "half"), ("board", "full")),
        numbers=("kids", "stars"),
        value_centre=np.array([0.25, 0.5]),
        number_centre=np.array([0.0, 0.0, 0.5, 3.0]),
        number_scale=np.array([1.0, 1.0, 0.5, 2.0]),
    )
    shop = catalogue(
        sale("s1", attributes={"board": "half", "stars": 5.0, "kids": True, "half": "board"}),
        # Another type than the others' values is an unknown one, and so is another text.
        sale("s2", attributes={"board": "none", "stars": "five", "kids": False}),
        sale("wrong", attributes={"stars": 999_999.0}),
    )

    own = encoder.encode(shop)[:, -6:]

    assert own[row(shop, "s1")] == pytest.approx([0.75, -0.5, 0.0, 0.0, 1.0, 1.0])
    assert own[row(shop, "s2")] == pytest.approx([-0.25, -0.5, 0.0, 0.0, -1.0, 0.0])
    # A placeholder for an unknown number counts five standard deviations, not half a million.
    assert own[row(shop, "wrong")] == pytest.approx([-0.25, -0.5, 0.0, 0.0, 0.0, 5.0])


def test_a_number_counts_as_the_text_that_files_have_where_another_sale_has_a_text() -> None:
    encoder = replace(
        ENCODER,
        values=(("stars", "4.0"), ("kids", "true"), ("stars", "")),
        value_centre=np.zeros(3),
    )
    shop = catalogue(
        sale("s1", attributes={"stars": 4.0, "kids": True}),
        sale("s2", attributes={"stars": "4.0", "kids": "true"}),
        sale("s3", attributes={"stars": "4+", "kids": False}),
    )

    own = encoder.encode(shop)[:, -5:-2]

    assert own.tolist() == [[1.0, 1.0, 0.0], [1.0, 1.0, 0.0], [0.0, 0.0, 0.0]]


def test_an_encoder_round_trips() -> None:
    encoder = replace(
        ENCODER, numbers=("stars",), number_centre=np.zeros(3), number_scale=np.ones(3)
    )

    again = Encoder.from_arrays(Arrays.from_bytes(Arrays(encoder.to_arrays()).to_bytes()))

    assert (again.values, again.numbers) == (encoder.values, encoder.numbers)
    assert again.encode(SHOP).tobytes() == encoder.encode(SHOP).tobytes()


def test_scales_of_another_number_of_attributes_are_refused() -> None:
    arrays = ENCODER.to_arrays() | {"numbers": np.array(["stars"])}

    with pytest.raises(ValueError, match="an encoder of 1 numbers has 2 scales"):
        Encoder.from_arrays(Arrays(arrays))


def test_a_later_catalogue_is_projected_as_if_it_were_the_first() -> None:
    """One sale is dearer, one has another picture, one is new, one is gone."""
    pictures = {
        name: picture(0.5, 0.5, embedding={index: 1.0})
        for index, name in enumerate(("slope", "sea", "town"))
    }
    sales = [sale(name, category="beach", price=50.0) for name in ("slope", "sea", "town", "gone")]
    before = build_catalogue(sales, pictures, topics=TOPICS)
    axes = np.random.default_rng(1).normal(size=(ENCODER.size, 3))
    projection = Projection(ENCODER, axes)
    projection.project(before)

    dearer = sales[0].model_copy(update={"price": 75.0})
    later = build_catalogue(
        [dearer, *sales[1:3], sale("new", price=10.0)],
        pictures | {"sea": picture(0.25, 0.75, embedding={1: 1.0})},
        topics=TOPICS,
        before=before,
    )

    alone = Projection(ENCODER, axes).project(later)
    assert projection.project(later).tolist() == alone.tolist()
    again = projection.project(before)
    assert again.tolist() == Projection(ENCODER, axes).project(before).tolist()
