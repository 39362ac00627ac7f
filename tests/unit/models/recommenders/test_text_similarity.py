"""Texts in one dimension: what is expected after some sales, by hand."""

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import ClassVar

import numpy as np
import pytest
from numpy.typing import NDArray

from models.arrays.array_file import Arrays
from models.catalogue.catalogue import Catalogue
from models.domain.event import EventType
from models.features.schema import FeatureSchema
from models.recommenders.text_embedding import TextSpace
from models.recommenders.text_similarity import TextSimilarity
from tests.builders import Seen, catalogue, query, sale, scorer

CLICK, PURCHASE = EventType.CLICK, EventType.PURCHASE

TEXT = TextSimilarity(
    space=TextSpace(("sea", "ski"), np.ones(2), np.eye(2)),
    centre=np.array([0.5, 0.5]),
    axes=np.array([[-1.0], [1.0]]),
    mean=np.array([0.1]),
    spread=np.array([0.5]),
)
"""A text about the sea is at -1, one about skiing at 1."""

SHOP = catalogue(
    sale("slope", title="Ski!"),
    sale("piste", description="Where to ski"),
    sale("beach", title="By the sea"),
    sale("mute", title="Elsewhere"),
)
NAMES = ["slope", "piste", "beach", "mute"]


def column(
    name: str, *events: Seen, text: TextSimilarity = TEXT, shop: Catalogue = SHOP
) -> list[float]:
    values = text.scores(query(shop, *events, candidates=NAMES))
    return values[:, list(TextSimilarity.columns).index(name)].tolist()


def liking(mean: float, n: float) -> float:
    """The posterior mean written the other way round: precisions add up."""
    return (0.1 / 0.5 + n * mean) / (1 / 0.5 + n)


def test_without_events_the_average_liking_is_expected() -> None:
    scores = column("text")

    assert scores[:3] == pytest.approx([0.1, 0.1, -0.1])
    assert math.isnan(scores[3])


def test_after_events_precisions_add_up() -> None:
    one, both = liking(1.0, 1), liking(0.0, 2)

    assert column("text", (CLICK, "slope", 0.0))[:3] == pytest.approx([one, one, -one])
    found = column("text", (CLICK, "slope", 0.0), (CLICK, "beach", 0.0))
    assert found[:3] == pytest.approx([both, both, -both])


def test_a_sale_counts_once_and_one_without_known_words_not_at_all() -> None:
    once = column("text", (CLICK, "slope", 0.0))
    events = ((CLICK, "slope", 60.0), (CLICK, "mute", 30.0), (PURCHASE, "slope", 0.0))

    np.testing.assert_array_equal(column("text", *events), once)


def test_a_sale_fades_by_half_in_half_an_hour_of_the_visit() -> None:
    visit = column("text_visit", (CLICK, "slope", 1_800.0))

    assert visit[0] == pytest.approx(liking(1.0, 0.5))


class CountingSpace(TextSpace):
    """Remembers how many texts it placed each time."""

    placed: ClassVar[list[int]] = []

    def embed(self, texts: Sequence[str]) -> NDArray[np.float64]:
        """Place texts."""
        self.placed.append(len(texts))
        return super().embed(texts)


def test_texts_are_read_once_and_those_that_changed_again() -> None:
    space = CountingSpace(TEXT.space.words, TEXT.space.idf, TEXT.space.axes)
    text = replace(TEXT, space=space)
    space.placed.clear()
    changed = catalogue(*SHOP.sales[1:], sale(SHOP.sales[0].sale_id, title="The sea"))

    scores = [column("text", text=text, shop=shop) for shop in (SHOP, SHOP, changed)]

    assert space.placed == [4, 1]
    np.testing.assert_array_equal(scores[-1], column("text", text=replace(TEXT), shop=changed))


def test_a_catalogue_that_was_prepared_makes_no_answer_wait() -> None:
    space = CountingSpace(TEXT.space.words, TEXT.space.idf, TEXT.space.axes)
    text = replace(TEXT, space=space)
    space.placed.clear()

    replace(scorer(SHOP.sales), schema=FeatureSchema((text,))).prepare(SHOP)
    assert space.placed == [4]
    column("text", (CLICK, "slope", 0.0), text=text)

    assert space.placed == [4]


def test_without_dimensions_nothing_is_known() -> None:
    none = np.empty(0)
    blind = TextSimilarity(
        TextSpace((), none, np.empty((0, 0))), none, np.empty((0, 0)), none, none
    )

    assert all(map(math.isnan, column("text", (CLICK, "slope", 0.0), text=blind)))


def test_it_round_trips() -> None:
    again = TextSimilarity.from_arrays(Arrays.from_bytes(Arrays(TEXT.to_arrays()).to_bytes()))

    events = ((CLICK, "slope", 9.0), (CLICK, "beach", 99.0))
    np.testing.assert_array_equal(column("text", *events, text=again), column("text", *events))


@pytest.mark.parametrize(
    ("name", "array"), [("centre", np.zeros(3)), ("axes", np.zeros((3, 1))), ("mean", np.zeros(2))]
)
def test_arrays_that_do_not_fit_are_refused(name: str, array: NDArray[np.float64]) -> None:
    with pytest.raises(ValueError, match="for texts of 2 dimensions"):
        TextSimilarity.from_arrays(Arrays({**TEXT.to_arrays(), name: array}))
