"""A catalogue built upon an earlier one is the one built from nothing, bit for bit."""

from dataclasses import fields

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from models.catalogue.catalogue import Catalogue, build_catalogue
from models.catalogue.snapshot import Snapshot
from models.domain.sale import PictureScores, Sale
from tests.builders import TOPICS, picture, rows, sale

IDS = [f"s{index}" for index in range(12)]


def shows(share: float, at: int) -> PictureScores:
    return picture(share, 1 - share, embedding={at: 0.6, at + 1: 0.8})


sales = st.builds(
    sale,
    st.sampled_from(IDS),
    category=st.sampled_from([None, "ski", "beach", "city"]),
    country=st.sampled_from([None, "FR", "ski"]),
    markets=st.sampled_from([None, ("fr",), ("de", "fr"), ("it",)]),
    price=st.sampled_from([None, 0.0, 99.5]),
    original_price=st.sampled_from([None, 0.0, 120.0]),
    margin=st.sampled_from([None, 0.25]),
    closes_at=st.none(),
    stock=st.sampled_from([None, 0, 3]),
)
pictures = st.builds(shows, st.sampled_from([0.125, 0.5, 1.0]), st.integers(0, 5))
changes = st.one_of(
    st.tuples(st.just("put"), sales),
    st.tuples(st.just("delete"), st.sampled_from(IDS)),
    st.tuples(st.just("picture"), st.sampled_from(IDS), st.one_of(st.none(), pictures)),
)


def arrays(of: Catalogue) -> dict[str, NDArray[np.generic]]:
    """Every array of a catalogue, by its name."""
    flat: dict[str, NDArray[np.generic]] = {}
    for part in (of, of.markets, of.vocabulary, of.neighbours, of.counts):
        for field in fields(part):
            value = getattr(part, field.name)
            if isinstance(value, np.ndarray):
                flat[f"{type(part).__name__}.{field.name}"] = value
    return flat


@given(steps=st.lists(st.lists(changes, min_size=1, max_size=6), min_size=1, max_size=6))
def test_any_sequence_of_changes_gives_the_columns_of_a_fresh_build(
    steps: list[list[tuple[object, ...]]],
) -> None:
    known: dict[str, Sale] = {}
    seen: dict[str, PictureScores] = {}
    content, built = Snapshot.from_sales({}, {}), build_catalogue((), {}, topics=TOPICS)

    for step in steps:
        for change in step:
            match change:
                case ("put", Sale() as one):
                    known[one.sale_id] = one
                case ("delete", str() as sale_id):
                    known.pop(sale_id, None)
                case ("picture", str() as sale_id, PictureScores() as scores):
                    seen[sale_id] = scores
                case (_, str() as sale_id, None):
                    seen.pop(sale_id, None)
                case _:
                    raise AssertionError(change)
        content = Snapshot.from_sales(known, seen, before=content)
        built = content.catalogue(TOPICS, before=built)
        fresh = Snapshot.from_sales(known, seen)
        expected = fresh.catalogue(TOPICS)

        assert content.id == fresh.id
        assert (built.sales, built.pictures) == (expected.sales, expected.pictures)
        assert built.markets.names == expected.markets.names
        assert built.vocabulary.values == expected.vocabulary.values
        is_equal = {
            name: values.dtype == arrays(built)[name].dtype
            and values.shape == arrays(built)[name].shape
            and values.tobytes() == arrays(built)[name].tobytes()
            for name, values in arrays(expected).items()
        }
        assert all(is_equal.values()), is_equal


def test_what_has_not_changed_is_taken_over() -> None:
    """The earlier columns are believed: only a new sale is read, only a new picture described."""
    known = {sale_id: sale(sale_id) for sale_id in IDS}
    seen = {sale_id: picture(0.5, 0.5, embedding={0: 1.0}) for sale_id in IDS[:3]}
    before = Snapshot.from_sales(known, seen).catalogue(TOPICS)
    before.topics[:] = 0.75
    before.margin[:] = 0.75

    known["s1"] = sale("s1", margin=0.5)
    seen["s2"] = picture(0.25, 0.75, embedding={0: 1.0})
    of = Snapshot.from_sales(known, seen).catalogue(TOPICS, before=before)

    three = rows(of, "s0", "s1", "s2")
    assert of.margin[three].tolist() == [0.75, 0.5, 0.75]
    np.testing.assert_allclose(
        of.topics[three], [[0.75, 0.75], [0.75, 0.75], [0.25, 0.75]], atol=1e-6
    )
