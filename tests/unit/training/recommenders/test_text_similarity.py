"""Texts that say what customers like are found to; those that say nothing, too."""

import math

import numpy as np
import pytest

from models.catalogue.catalogue import Catalogue
from models.domain.event import EventType
from models.recommenders.text_similarity import TextSimilarity
from tests.builders import query as ask
from tests.logs import HOUR, Row, catalogue, event_table, sale
from training.recommenders.interactions import Interactions
from training.recommenders.text_similarity import fit_text_similarity
from training.recommenders.tfidf import fit_text_space

ABOUT = ("sandy beach and sea", "powder snow and slopes")
PLACES = ("Nice", "Oslo", "Rome", "Bern", "Bari")


def shop(*, told: bool) -> Catalogue:
    """Sales of two kinds, at one of five places; titles tell the kind, or nothing."""
    return catalogue(
        *(
            sale(f"s{index}", title=f"{PLACES[index % 5]}: {ABOUT[index % 2] if told else 'hotel'}")
            for index in range(40)
        )
    )


def faithful_log(rng: np.random.Generator) -> list[Row]:
    """Two hundred customers each open four sales of one kind; s0 and s1 have no event yet."""
    return [
        Row(
            kind="click",
            customer=f"c{customer}",
            sale=f"s{2 * int(rng.integers(1, 20)) + customer % 2}",
            at=-visit * HOUR,
        )
        for customer in range(200)
        for visit in range(4)
    ]


def fitted(rng: np.random.Generator, *, told: bool) -> TextSimilarity:
    return fit_text_similarity(
        Interactions.from_events(event_table(faithful_log(rng)), shop(told=told))
    )


def test_after_one_sale_new_ones_of_its_kind_come_first(rng: np.random.Generator) -> None:
    asked = ask(shop(told=True), (EventType.CLICK, "s2", 0.0), candidates=["s0", "s1"])

    alike, other = fitted(rng, told=True).scores(asked)[:, 0].tolist()

    assert alike > 0.2
    assert other < -0.2


def test_the_kind_decides_and_not_the_place(rng: np.random.Generator) -> None:
    """Customers agree in the kind, which is one dimension of several in the texts."""
    text = fitted(rng, told=True)

    assert text.spread[0] > 10 * text.spread[1:].max(initial=0.0)


def test_of_texts_that_say_nothing_nothing_is_made(rng: np.random.Generator) -> None:
    """What a text does not tell must not move a sale: little spread, scores all alike."""
    text = fitted(rng, told=False)
    names = [f"s{index}" for index in range(40)]

    scores = text.scores(ask(shop(told=False), (EventType.CLICK, "s2", 0.0), candidates=names))

    assert np.ptp(np.nan_to_num(scores[:, 0])) < 0.1


@pytest.mark.parametrize("rows", [[], [Row(kind="click")]])
def test_with_too_little_to_learn_from_nothing_is_known(rows: list[Row]) -> None:
    assert (
        fit_text_similarity(Interactions.from_events(event_table(rows), shop(told=True))).n_axes
        == 0
    )


def test_rare_terms_weigh_more() -> None:
    """Of six texts three name the sea, two the hills; no two share any other term."""
    texts = ["hills sea sea", "hills spa", "sea ski", "sea inn", "dunes", "moors"]
    space = fit_text_space(texts)

    (placed,) = space.embed(["The sea, the sea, the hills"])

    assert space.words == ("hills", "sea")
    weights = [1 + math.log(7 / 3), (1 + math.log(2)) * (1 + math.log(7 / 4))]
    assert placed.tolist() == pytest.approx([weight / math.hypot(*weights) for weight in weights])


def test_the_same_texts_in_any_order_give_the_same_bits(rng: np.random.Generator) -> None:
    words = [f"w{index}" for index in range(300)]
    texts = [" ".join(rng.choice(words, size=12)) for _ in range(200)]

    first, second = (fit_text_space(order).to_arrays() for order in (texts, texts[::-1]))

    assert all(first[name].tobytes() == second[name].tobytes() for name in first)
    assert first["axes"].shape == (300, 128)
