"""Content: tastes with a known answer, by hand."""

import math

import numpy as np
import pytest

from models.arrays.array_file import Arrays
from models.catalogue.catalogue import Catalogue, build_catalogue
from models.domain.event import EventType
from models.pictures.topics import Topics
from models.recommenders.content_profile import ContentProfile
from tests.builders import TOPICS, Seen, catalogue, picture, query, sale

VIEW, CART = EventType.VIEW, EventType.CART

SHOP = catalogue(
    sale("slope", category="ski", country="FR", destination="Tignes", price=99.0),
    sale("chalet", category="ski", country="CH", price=999.0),
    sale("sea", category="beach", country="FR", destination="Nice", price=99.0),
    sale("bare"),
    pictures={
        "slope": picture(1.0, 0.0, embedding={0: 1.0}),
        "chalet": picture(0.8, 0.2, embedding={0: 0.6, 1: 0.8}),
        "sea": picture(0.0, 1.0, embedding={2: 1.0}),
    },
)
NAMES = ["slope", "chalet", "sea", "bare"]


def column(name: str, *events: Seen, of: Catalogue = SHOP) -> list[float]:
    values = ContentProfile().scores(query(of, *events, candidates=NAMES))
    return values[:, list(ContentProfile.columns).index(name)].tolist()


def approximately(*expected: float) -> object:
    return pytest.approx(list(expected), rel=1e-5, abs=1e-6, nan_ok=True)


def test_topics_agree_with_what_was_looked_at_now() -> None:
    """One view now: taste (1, 0) / 1.5, against the direction of each sale's shares."""
    expected = approximately(1 / 1.5, 0.8 / math.sqrt(0.68) / 1.5, 0.0, math.nan)

    assert column("content_topics", (VIEW, "slope", 0.0)) == expected
    assert column("content_topics_visit", (VIEW, "slope", 0.0)) == expected


def test_this_visit_forgets_what_lasting_taste_keeps() -> None:
    """After two hours a view counts 1/16 in the visit, and in lasting taste nearly in full."""
    visit = column("content_topics_visit", (VIEW, "slope", 7_200.0))
    lasting = column("content_topics", (VIEW, "slope", 7_200.0))

    assert visit[0] == pytest.approx(1 / 16 / (0.5 + 1 / 16), rel=1e-5)
    assert lasting[0] == pytest.approx(1 / 1.5, rel=0.01)


def test_sales_without_a_picture_add_interest_and_no_topic() -> None:
    assert column("content_topics", (VIEW, "slope", 0.0), (VIEW, "bare", 0.0))[0] == (
        pytest.approx(1 / 2.5)
    )


def test_shares_of_interest_are_by_value() -> None:
    events = ((VIEW, "slope", 0.0), (CART, "sea", 0.0), (VIEW, "chalet", 0.0))

    assert column("content_category", *events) == approximately(2 / 4.5, 2 / 4.5, 2 / 4.5, 0.0)
    assert column("content_country", *events) == approximately(3 / 4.5, 1 / 4.5, 3 / 4.5, 0.0)
    assert column("content_destination", *events) == approximately(1 / 4.5, 0, 2 / 4.5, 0.0)


def test_missing_values_have_nothing_in_common() -> None:
    assert column("content_category", (VIEW, "bare", 0.0)) == [0.0] * 4


def test_prices_are_compared_on_a_logarithmic_scale() -> None:
    events = ((CART, "slope", 0.0), (CART, "chalet", 0.0), (VIEW, "bare", 0.0))
    half = math.log(10) / 2

    assert column("content_price", *events) == approximately(-half, half, -half, math.nan)


@pytest.mark.parametrize("events", [(), ((VIEW, "bare", 0.0),), ((VIEW, "unknown", 0.0),)])
def test_without_a_price_in_the_past_its_distance_is_unknown(events: tuple[Seen, ...]) -> None:
    assert np.isnan(column("content_price", *events)).all()


def test_the_order_sums_topics_and_attributes() -> None:
    events = ((VIEW, "slope", 0.0),)
    parts = ("content_topics", "content_category", "content_country", "content_destination")

    expected = np.nansum([column(name, *events) for name in parts], axis=0)

    assert column("content", *events) == approximately(*expected)
    assert column("content", *events)[3] == 0.0


def test_without_events_nothing_agrees() -> None:
    assert column("content") == [0.0] * 4
    assert column("content_topics") == approximately(0.0, 0.0, 0.0, math.nan)


def test_without_topics_agreement_is_unknown_and_attributes_decide() -> None:
    of = build_catalogue(SHOP.sales, {}, topics=Topics.none())

    assert np.isnan(column("content_topics", (VIEW, "slope", 0.0), of=of)).all()
    assert column("content", (VIEW, "slope", 0.0), of=of) == approximately(2, 2 / 3, 2 / 3, 0)


def test_a_picture_without_any_topic_agrees_with_nothing() -> None:
    of = catalogue(*SHOP.sales, pictures={"slope": picture(0.0, 0.0, embedding={0: 1.0})})

    assert np.isnan(column("content_topics", (VIEW, "slope", 0.0), of=of)).all()


def test_on_a_checkerboard_a_taste_finds_its_colour(rng: np.random.Generator) -> None:
    """Sales alternate between two topics; after one colour, unseen ones of it come first."""
    board = [sale(f"s{index}") for index in range(40)]
    pictures = {
        one.sale_id: picture(*(0.9, 0.1)[:: 1 if index % 2 else -1], embedding={index: 1.0})
        for index, one in enumerate(board)
    }
    of = build_catalogue(board, pictures, topics=TOPICS)
    even: list[int] = (rng.choice(20, size=4, replace=False) * 2).tolist()
    seen = [f"s{index}" for index in even]
    unseen = [one.sale_id for one in board if one.sale_id not in seen]

    scores = ContentProfile().scores(
        query(of, *((VIEW, sale_id, 60.0) for sale_id in seen), candidates=unseen)
    )

    best = np.argsort(-scores[:, 0], kind="stable")[: 20 - len(seen)]
    assert all(int(unseen[int(index)][1:]) % 2 == 0 for index in best)


def test_nothing_is_fitted() -> None:
    assert ContentProfile.from_arrays(Arrays(ContentProfile().to_arrays())) == ContentProfile()
