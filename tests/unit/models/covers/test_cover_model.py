"""Cover model: vectors of pictures, tastes and log-odds by hand; files are read as written."""

from dataclasses import replace

import numpy as np
import pytest

from models.arrays.array_file import Arrays
from models.covers.cover_model import CoverModel, picture_key
from models.domain.customer import Window, pack_member
from models.domain.event import EventType, key
from models.domain.sale import PictureScores
from models.neighbours.search import EMBEDDING_SIZE
from tests.builders import NOW_US, catalogue, picture, row, sale

BEACH, ROOM = picture(1, 0, embedding={0: 1.0}), picture(0, 1, embedding={1: 1.0})
SHOP = catalogue(
    sale("alps"),
    sale("rome"),
    sale("oslo"),
    pictures={
        "alps": PictureScores.combine({1: BEACH, 3: ROOM}),
        "rome": PictureScores.combine({2: ROOM, 4: BEACH}),
        "oslo": BEACH,
    },
)
MODEL = CoverModel(
    axes=np.eye(EMBEDDING_SIZE)[:, :2],
    common=np.array([0.5, 0.0, 0.25]),
    agreement=np.array([2.0, 1.0]),
    keys=np.array([picture_key(key("alps"), ROOM)], dtype=np.uint64),
    liking=np.array([0.125]),
)
NOTHING = np.zeros(2)


def clicks(*seen: tuple[str, int | None]) -> Window:
    """The window of a customer who clicked sales with covers."""
    return Window.from_members(
        [
            pack_member(
                2**20 * number, key(name), at_us=NOW_US, event_type=EventType.CLICK, cover=cover
            )
            for number, (name, cover) in enumerate(seen)
        ]
    )


def test_a_picture_is_described_by_what_differs_from_the_mean_of_its_sale() -> None:
    found = MODEL.pictures(SHOP, row(SHOP, "alps"))

    assert found is not None
    assert found.numbers == (1, 3)
    assert found.vectors.tolist() == [[0.5, -0.5, 1.0], [-0.5, 0.5, 0.0]]


def test_a_picture_that_replaces_another_is_not_liked_for_it() -> None:
    """Of picture 3, an eighth is liked of the room alone: not of the beach under its number."""
    shop = catalogue(sale("alps"), pictures={"alps": PictureScores.combine({1: ROOM, 3: BEACH})})
    plain = replace(MODEL, common=np.zeros(3))
    before, after = plain.pictures(SHOP, row(SHOP, "alps")), plain.pictures(shop, 0)

    assert before is not None
    assert after is not None
    assert plain.log_odds([before], NOTHING)[0, :2].tolist() == [0.0, 0.125]
    assert plain.log_odds([after], NOTHING)[0, :2].tolist() == [0.125, 0.0]


def test_a_sale_with_one_picture_or_none_has_no_choice() -> None:
    assert MODEL.pictures(SHOP, row(SHOP, "oslo")) is None
    assert MODEL.pictures(catalogue(sale("alps")), 0) is None


def test_a_taste_is_the_mean_of_clicked_covers_shrunk_by_four_clicks() -> None:
    """Clicks without a cover, of unknown pictures and of unknown sales say nothing."""
    window = clicks(("alps", 1), ("rome", 4), ("rome", 1), ("alps", None), ("gone", 1))

    assert MODEL.taste(window, SHOP).tolist() == pytest.approx([1.0 / 6, -1.0 / 6])
    assert MODEL.taste(Window.empty(), SHOP).tolist() == [0.0, 0.0]


def test_log_odds_add_looks_the_first_picture_taste_and_liking() -> None:
    """For a taste of (0.5, 0) the weights of looks are (1.5, 0)."""
    alps = MODEL.pictures(SHOP, row(SHOP, "alps"))
    assert alps is not None

    found = MODEL.log_odds([alps], np.array([0.5, 0.0]))

    assert found[0, :2].tolist() == pytest.approx([0.75 + 0.25, -0.75 + 0.125])
    assert np.isneginf(found[0, 2:]).all()


def test_another_picture_of_the_same_number_is_new() -> None:
    other = picture(0, 1, embedding={1: 0.8, 2: 0.6})
    shop = catalogue(sale("alps"), pictures={"alps": PictureScores.combine({1: BEACH, 3: other})})
    alps = replace(MODEL, common=np.zeros(3)).pictures(shop, 0)
    assert alps is not None

    found = replace(MODEL, common=np.zeros(3)).log_odds([alps], NOTHING)

    assert found[0, :2].tolist() == pytest.approx([0.0, 0.0])


def test_a_model_is_read_as_it_was_written() -> None:
    again = CoverModel.from_bytes(MODEL.to_bytes())

    assert again.to_bytes() == MODEL.to_bytes()
    assert again.keys.tolist() == MODEL.keys.tolist()


@pytest.mark.parametrize("name", ["common", "liking", "axes"])
def test_arrays_that_do_not_fit_each_other_are_refused(name: str) -> None:
    arrays = dict(Arrays.from_bytes(MODEL.to_bytes()).arrays)
    arrays[name] = arrays[name][:0]

    with pytest.raises(ValueError, match="do not fit each other"):
        CoverModel.from_bytes(Arrays(arrays).to_bytes())


@pytest.mark.parametrize("name", ["axes", "common", "agreement", "liking"])
def test_weights_that_are_not_finite_are_refused(name: str) -> None:
    """An answer with such a propensity could not be written."""
    arrays = dict(Arrays.from_bytes(MODEL.to_bytes()).arrays)
    arrays[name] = np.full_like(arrays[name], np.nan)

    with pytest.raises(ValueError, match="is not finite"):
        CoverModel.from_bytes(Arrays(arrays).to_bytes())
