"""Fit of covers: known weights are found again, and examples are as of their moment."""

import numpy as np
import pytest
from scipy.special import expit

from models.covers.cover_model import CoverModel, picture_key
from models.domain.event import key
from models.domain.sale import PictureScores
from models.ranker.position_effect import PositionEffect
from tests.builders import catalogue, picture, sale
from tests.logs import DAY, Row, event_table
from training.covers.cover_examples import CoverExamples
from training.covers.fit_covers import covers_of, fit_covers, unfitted

HALVED = PositionEffect.of_all(np.array([1.0, 0.5]))
BEACH, ROOM = picture(1, 0, embedding={0: 1.0}), picture(0, 1, embedding={1: 1.0})
SHOP = catalogue(
    sale("alps"),
    sale("rome"),
    pictures={"alps": PictureScores.combine({1: BEACH, 2: ROOM}), "rome": BEACH},
)


def model(n_axes: int) -> CoverModel:
    return CoverModel(
        axes=np.zeros((128, n_axes)),
        common=np.zeros(n_axes + 1),
        agreement=np.zeros(n_axes),
        keys=np.empty(0, dtype=np.uint64),
        liking=np.empty(0),
    )


def test_known_weights_are_found_again(rng: np.random.Generator) -> None:
    """Of 200,000 impressions: looks, the first picture, tastes, and pictures."""
    n, n_sales, n_pictures = 200_000, 100, 4
    common, agreement, spread = np.array([0.3, -0.2, 0.4]), np.array([1.5, 0.5]), 0.4
    sales = rng.integers(0, n_sales, n)
    pictures = sales * n_pictures + rng.integers(0, n_pictures, n)
    looks = rng.normal(0, 1, (n_sales * n_pictures, 2))
    liking = rng.normal(0, spread, n_sales * n_pictures)
    tastes = rng.normal(0, 0.5, (n, 2))
    first = (pictures % n_pictures == 0).astype(np.float64)
    vectors = np.column_stack([looks[pictures], first])
    odds = vectors @ common + (looks[pictures] * tastes) @ agreement + liking[pictures]
    examined = 1.0 / rng.integers(1, 5, n)
    odds += rng.normal(-2.0, 0.5, n_sales)[sales] + np.log(examined)
    examples = CoverExamples(
        vectors=vectors,
        tastes=tastes,
        sale_keys=sales.astype(np.uint64),
        picture_keys=pictures.astype(np.uint64),
        p_examined=examined,
        clicked=rng.random(n) < expit(odds),
    )

    found = fit_covers(model(2), examples)

    assert found.common == pytest.approx(common, abs=0.12)
    assert found.agreement == pytest.approx(agreement, abs=0.06)
    assert np.corrcoef(found.liking, liking)[0, 1] > 0.7


def test_the_axes_are_the_ways_in_which_pictures_of_one_sale_differ() -> None:
    """Of beach and room that is one axis, on which they lie as far apart on either side."""
    found = unfitted(SHOP)

    assert found.axes.shape == (128, 1)
    pictures = found.pictures(SHOP, SHOP.row_for("alps") or 0)
    assert pictures is not None
    assert np.abs(pictures.vectors[:, 0]) == pytest.approx([1.0, 1.0])
    assert pictures.vectors[:, 0].sum() == pytest.approx(0.0)


def test_without_a_log_the_shops_own_picture_is_believed_to_be_better() -> None:
    found = covers_of(event_table([]), SHOP, effect=HALVED, outcome_us=DAY)

    assert found is not None
    assert (found.common[-1], len(found.keys)) == (0.3, 0)


def test_a_catalogue_without_a_choice_has_no_model() -> None:
    shop = catalogue(sale("alps"), pictures={"alps": BEACH})

    assert covers_of(event_table([]), shop, effect=HALVED, outcome_us=DAY) is None


def test_examples_know_the_taste_from_before_and_the_click_after() -> None:
    """An impression without cover, of one picture only, or of an unknown picture is none."""
    log = event_table(
        [
            Row(kind="impression", at=0, sale="alps", cover=2, position=2),
            Row(kind="click", at=10, sale="alps", cover=2),
            Row(kind="impression", at=20, sale="alps", cover=1, position=1),
            Row(kind="impression", at=30, sale="alps"),
            Row(kind="impression", at=40, sale="rome", cover=1),
            Row(kind="impression", at=50, sale="alps", cover=9),
        ]
    )
    blank = unfitted(SHOP)
    sign = blank.pictures(SHOP, SHOP.row_for("alps") or 0)
    assert sign is not None

    found = CoverExamples.from_events(log, SHOP, model=blank, effect=HALVED, outcome_us=DAY)

    room = float(sign.vectors[1, 0])
    assert found.clicked.tolist() == [True, False]
    assert found.p_examined.tolist() == [0.5, 1.0]
    assert found.tastes.ravel().tolist() == pytest.approx([0.0, room / 5])
    assert found.vectors[:, 1].tolist() == [0.0, 1.0]
    expected = [picture_key(key("alps"), one) for one in (ROOM, BEACH)]
    assert found.picture_keys.tolist() == expected
