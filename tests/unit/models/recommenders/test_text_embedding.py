"""Terms of texts in any language, and their places by hand."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.arrays.array_file import Arrays
from models.recommenders.text_embedding import MAX_TERMS, TextSpace, terms

SPACE = TextSpace(
    words=("sea", "ski", "spa"),
    idf=np.array([1.0, 2.0, 1.0]),
    axes=np.array([[1.0, 0.0], [0.0, 1.0], [0.0, 1.0]]),
)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Half-board in Saint-Malo!", ["half", "board", "in", "saint", "malo"]),
        ("STRASSE straße", ["strasse", "strasse"]),
        ("\ufb01ne e\u0301te\u0301 snake_case 3*", ["fine", "été", "snake", "case", "3"]),
        ("Отель над рекой", ["отель", "над", "рекой"]),
        ("温泉旅館", ["温泉", "泉旅", "旅館"]),
        ("海 Spa", ["海", "spa"]),
        ("", []),
        (" \n – ", []),
    ],
)
def test_a_text_is_split_into_terms(text: str, expected: list[str]) -> None:
    assert terms(text) == expected


def test_a_long_text_ends_early() -> None:
    assert len(terms("word " * 4_000)) == MAX_TERMS
    assert len(terms("温" * 4_000)) == MAX_TERMS


def test_a_text_is_placed_by_its_terms() -> None:
    """Weights 1 + log 2 and 2 · 1 on the two axes; unknown words count nothing."""
    (placed,) = SPACE.embed(["Sea, sea and ski"])

    length = math.hypot(1 + math.log(2), 2)
    assert placed.tolist() == pytest.approx([(1 + math.log(2)) / length, 2 / length])


def test_terms_of_one_axis_add_up_and_the_length_is_one() -> None:
    (placed,) = SPACE.embed(["ski spa"])

    assert placed.tolist() == pytest.approx([0.0, 1.0])


def test_a_text_without_a_known_term_has_no_place() -> None:
    assert SPACE.embed(["", "mountains"]).tolist() == [[0.0, 0.0], [0.0, 0.0]]


@given(st.lists(st.text(alphabet="seakip 海温é", max_size=30), min_size=1, max_size=5))
def test_a_place_has_length_one_or_none_and_does_not_depend_on_others(texts: list[str]) -> None:
    placed = SPACE.embed(texts)

    lengths = np.sqrt(np.square(placed).sum(axis=1))
    assert np.all(np.isclose(lengths, 1.0) | (lengths == 0.0))
    np.testing.assert_array_equal(placed, np.vstack([SPACE.embed([text]) for text in texts]))


def test_it_round_trips() -> None:
    again = TextSpace.from_arrays(Arrays.from_bytes(Arrays(SPACE.to_arrays()).to_bytes()))

    assert again.embed(["ski, sea"]).tolist() == SPACE.embed(["ski, sea"]).tolist()


def test_arrays_that_do_not_fit_are_refused() -> None:
    with pytest.raises(ValueError, match="3 terms with 2 weights on axes of 3"):
        TextSpace.from_arrays(Arrays({**SPACE.to_arrays(), "idf": np.ones(2)}))
