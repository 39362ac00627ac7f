"""Pictures: similarity to what was looked at, and to what sold, by hand."""

import math

import numpy as np
import pytest

from models.arrays.array_file import Arrays
from models.domain.event import EventType
from models.recommenders.image_similarity import ImageSimilarity
from tests.builders import POPULARITY, Seen, catalogue, picture, query, sale

VIEW = EventType.VIEW
IMAGES = ImageSimilarity(POPULARITY)
NAMES = ["east", "north_east", "north", "west", "bare"]
SHOP = catalogue(
    *map(sale, NAMES),
    pictures={
        "east": picture(1, 0, embedding={0: 1.0}),
        "north_east": picture(1, 0, embedding={0: 0.6, 1: 0.8}),
        "north": picture(1, 0, embedding={1: 1.0}),
        "west": picture(1, 0, embedding={0: -1.0}),
    },
    counts={"north": {EventType.IMPRESSION: 90.0, EventType.CLICK: 19.0, EventType.PURCHASE: 19.0}},
)


def column(name: str, *events: Seen) -> list[float]:
    values = IMAGES.scores(query(SHOP, *events, candidates=NAMES))
    return values[:, list(ImageSimilarity.columns).index(name)].tolist()


def approximately(*expected: float) -> object:
    return pytest.approx(list(expected), rel=1e-6, abs=1e-7, nan_ok=True)


def test_pictures_agree_by_their_cosine_with_the_taste() -> None:
    expected = approximately(1 / 1.5, 0.6 / 1.5, 0.0, -1 / 1.5, math.nan)

    assert column("images", (VIEW, "east", 0.0)) == expected
    assert column("images_visit", (VIEW, "east", 0.0)) == expected


def test_this_visit_forgets_what_lasting_taste_keeps() -> None:
    """A view of half an hour ago counts 1/2 beside a new one, for this visit."""
    events = ((VIEW, "east", 1_800.0), (VIEW, "north", 0.0))

    assert column("images_visit", *events)[:3] == approximately(0.25, 0.55, 0.5)
    assert column("images", *events)[:3] == pytest.approx([0.4, 0.56, 0.4], rel=1e-3)


def test_interest_in_neighbours_is_weighted_by_similarity() -> None:
    """Neighbours of north_east: north at 0.8 and east at 0.6. A sale is not its own."""
    events = ((VIEW, "east", 0.0), (VIEW, "north", 0.0), (VIEW, "north", 0.0))

    assert column("images_neighbours", *events) == approximately(
        0.0, (0.6 + 2 * 0.8) / 3.5, 0.0, 0.0, 0.0
    )


def test_look_alikes_count_together_by_a_high_power_of_similarity() -> None:
    """North, with 90 impressions, 19 clicks and purchases, looks most like north-east.

    Its own look-alike was never shown. Priors are 10 impressions with 1 click, and 5 clicks
    with 1 purchase.
    """
    near = 0.8**8
    clicks = (1 + 19 * near) / (10 + 90 * near)
    purchases = (1 + 19 * near) / (5 + 19 * near)

    assert column("images_look_alike_clicks") == approximately(0.1, clicks, 0.1, math.nan, math.nan)
    assert column("images_look_alikes") == approximately(
        0.1 * 0.2, clicks * purchases, 0.1 * 0.2, math.nan, math.nan
    )


def test_of_equal_look_alikes_those_decide_that_were_shown_more() -> None:
    """One of two was opened by 9 of 10, the other by 90 of 990: together by 99 of 1,000."""
    shown, opened = EventType.IMPRESSION, EventType.CLICK
    alike = {name: picture(1, 0, embedding={0: 1.0}) for name in ("new", "small", "large")}
    counts = {"small": {shown: 10.0, opened: 9.0}, "large": {shown: 990.0, opened: 90.0}}
    of = catalogue(*map(sale, alike), pictures=alike, counts=counts)

    (rate,) = IMAGES.scores(query(of, candidates=["new"]))[:, -1]

    assert rate == pytest.approx((99 + 1) / (1_000 + 10))


def test_without_events_no_picture_agrees() -> None:
    assert column("images") == approximately(0.0, 0.0, 0.0, 0.0, math.nan)
    assert column("images_neighbours") == [0.0] * 5


def test_a_new_sale_inherits_from_the_pictures_it_looks_like(rng: np.random.Generator) -> None:
    """On a checkerboard of two motifs, of which one sells, unseen sales take its side."""
    board = [sale(f"s{index}") for index in range(30)]
    pictures = {
        one.sale_id: picture(1, 0, embedding={index % 2: 0.8, 2 + index: 0.6})
        for index, one in enumerate(board)
    }
    sold = {EventType.IMPRESSION: 100.0, EventType.CLICK: 50.0, EventType.PURCHASE: 25.0}
    shown = {EventType.IMPRESSION: 100.0}
    counts = {f"s{index}": sold if index % 2 else shown for index in range(20)}
    of = catalogue(*board, pictures=pictures, counts=counts)
    unseen = [f"s{index}" for index in rng.permutation(np.arange(20, 30))]

    look_alikes = IMAGES.scores(query(of, candidates=unseen))[:, -1]

    of_selling = np.array([int(sale_id[1:]) % 2 == 1 for sale_id in unseen])
    assert look_alikes[of_selling].min() > 2 * look_alikes[~of_selling].max()


def test_priors_round_trip() -> None:
    content = Arrays(IMAGES.to_arrays()).to_bytes()

    assert ImageSimilarity.from_arrays(Arrays.from_bytes(content)) == IMAGES
