"""Content preferences that a log was made with are found in it."""

import numpy as np
import pytest

from models.domain.event import EventType
from models.domain.sale import Sale
from models.recommenders.content_preference import ContentPreference
from tests.builders import query as ask
from tests.logs import HOUR, Row, catalogue, event_table, sale
from training.recommenders.content_preference import fit_content_preference
from training.recommenders.interactions import Interactions

COLOURS = ("black", "white")
SHOP = catalogue(*(sale(f"s{index}", category=COLOURS[index % 2]) for index in range(40)))


def coloured(index: int) -> Sale:
    attributes = {"colour": COLOURS[index % 2], "number": f"n{index}", "in_shop": True}
    return sale(f"s{index}", attributes=attributes)


def shop_log(rng: np.random.Generator, *, faithful: float) -> list[Row]:
    """Two hundred customers of one colour each open 4 sales of 20; not always of their colour."""
    rows: list[Row] = []
    for customer in range(200):
        for at in range(4):
            own = rng.random() < faithful
            colour = (customer + (not own)) % 2
            opened = 2 * int(rng.integers(20)) + colour
            who, when = f"c{customer}", -at * HOUR
            rows += [
                Row(kind="impression", sale=f"s{shown}", position=1, customer=who, at=when)
                for shown in rng.integers(0, 40, size=5).tolist()
            ]
            rows.append(Row(kind="click", sale=f"s{opened}", customer=who, at=when))
    return rows


def fitted(rows: list[Row]) -> ContentPreference:
    return fit_content_preference(Interactions.from_events(event_table(rows), SHOP))


def test_on_a_checkerboard_the_one_dimension_is_the_colour(rng: np.random.Generator) -> None:
    """Faithful in 9 of 10, a customer of a colour lies at 0.8 on an axis of unit variance."""
    taste = fitted(shop_log(rng, faithful=0.9))

    assert len(taste.spread) == 1
    assert abs(taste.mean[0]) < 0.1
    # The ridge makes the axis shorter: variance 1 / (1 + 0.5 · mean over the two axes).
    assert taste.spread[0] == pytest.approx(0.64 / 1.25, rel=0.15)


def test_after_one_sale_unseen_ones_of_its_colour_come_first(rng: np.random.Generator) -> None:
    taste = fitted(shop_log(rng, faithful=0.9))
    names = [f"s{index}" for index in range(2, 40)]

    scores = taste.scores(ask(SHOP, (EventType.CLICK, "s0", 0.0), candidates=names))[:, 0]

    black = np.array([int(name[1:]) % 2 == 0 for name in names])
    assert scores[black].min() > scores[~black].max()


def test_a_taste_for_an_attribute_of_the_shop_is_found(rng: np.random.Generator) -> None:
    """The same as with a column of the contract; article numbers and constants are no taste."""
    rows = shop_log(rng, faithful=0.9)
    shop = catalogue(*map(coloured, range(40)))

    taste = fit_content_preference(Interactions.from_events(event_table(rows), shop))

    encoder = taste.projection.encoder
    assert (encoder.numbers, encoder.values) == ((), (("colour", "black"), ("colour", "white")))
    assert taste.spread == pytest.approx(fitted(rows).spread)


def test_numbers_and_flags_of_the_shop_are_part_of_tastes(rng: np.random.Generator) -> None:
    shop = catalogue(
        *(
            sale(f"s{index}", attributes={"stars": index % 2, "is_white": index % 2 == 1})
            for index in range(40)
        )
    )

    taste = fit_content_preference(
        Interactions.from_events(event_table(shop_log(rng, faithful=0.9)), shop)
    )

    names = [f"s{index}" for index in range(2, 40)]
    scores = taste.scores(ask(shop, (EventType.CLICK, "s0", 0.0), candidates=names))[:, 0]
    black = np.array([int(name[1:]) % 2 == 0 for name in names])
    assert taste.projection.encoder.numbers == ("is_white", "stars")
    assert scores[black].min() > scores[~black].max()


def test_customers_without_tastes_have_no_spread_to_speak_of(rng: np.random.Generator) -> None:
    taste = fitted(shop_log(rng, faithful=0.5))

    assert taste.spread.max(initial=0.0) < 0.05


@pytest.mark.parametrize("rows", [[], [Row(kind="click")], [Row(kind="impression", position=1)]])
def test_with_too_little_to_learn_from_nothing_is_known(rows: list[Row]) -> None:
    assert fitted(rows).projection.n_dimensions == 0


def test_passing_over_one_colour_says_something_of_the_other(rng: np.random.Generator) -> None:
    taste = fitted(shop_log(rng, faithful=0.9))
    passed = [(EventType.IMPRESSION, f"s{2 * index}", 60.0) for index in range(10)]

    scores = taste.scores(ask(SHOP, *passed, candidates=["s30", "s31"]))[:, 0]

    assert scores[1] > scores[0]
