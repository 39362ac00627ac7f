"""Factors: a customer solved for by hand."""

import math

import numpy as np
import pytest
from numpy.typing import NDArray

from models.arrays.array_file import Arrays
from models.domain.event import EventType, key
from models.recommenders.collaborative import Collaborative
from models.recommenders.content_encoder import Projection
from tests.builders import Seen, browse, catalogue, crowd, query, sale
from tests.unit.models.recommenders.test_content_preference import ENCODER, PLACES

CLICK, VIEW = EventType.CLICK, EventType.VIEW
SHOP = catalogue(
    sale("slope", category="ski"), sale("piste", category="ski"), sale("sea", category="beach")
)
NAMES = ["slope", "piste", "sea"]

FITTED = Collaborative(
    projection=PLACES,
    keys=np.array([key("sea")], dtype=np.uint64),
    residuals=np.array([[3.0]]),
    gramian=np.array([[2.0]]),
    confidence=4.0,
)
"""Ski is at 1, everything else at -1, but the sea at 2."""


def scores(*events: Seen, fitted: Collaborative = FITTED) -> list[float]:
    return fitted.scores(query(SHOP, *events, candidates=NAMES))[:, 0].tolist()


def test_a_customer_is_solved_for_from_the_sale_that_he_touched() -> None:
    """(2 + 4 · 1 · 1) u = (1 + 4) · 1."""
    assert scores((CLICK, "slope", 0.0)) == pytest.approx([5 / 6, 5 / 6, 10 / 6])


def test_a_sale_with_factors_of_its_own_counts_with_them_and_once() -> None:
    """(2 + 4 · 2 · 2) u = (1 + 4) · 2."""
    found = scores((CLICK, "sea", 0.0), (VIEW, "sea", 0.0))

    assert found == pytest.approx([10 / 18, 10 / 18, 20 / 18])


def test_factors_are_the_solution_of_least_squares(rng: np.random.Generator) -> None:
    """The closed form is where the gradient of the fit's own loss vanishes."""
    shop = crowd(30, rng)
    sales = rng.normal(size=(30, 5))
    fitted = Collaborative(
        projection=Projection(ENCODER, np.zeros((8, 5))),
        keys=shop.keys,
        residuals=sales,
        gramian=sales.T @ sales + 0.7 * np.eye(5),
        confidence=4.0,
    )
    touched = [3, 4, 20]
    names = [shop.sales[row].sale_id for row in touched]

    found = fitted.scores(query(shop, *((CLICK, name, 60.0) for name in names)))[:, 0]

    wanted, weights = np.isin(np.arange(30), touched).astype(float), np.ones(30)
    weights[touched] = 5.0
    rows = np.vstack([sales * np.sqrt(weights)[:, None], np.sqrt(0.7) * np.eye(5)])
    ends = np.concatenate([wanted * np.sqrt(weights), np.zeros(5)])
    np.testing.assert_allclose(found, sales @ np.linalg.lstsq(rows, ends)[0])


def test_without_events_or_without_factors_nothing_is_known() -> None:
    none = Collaborative(
        projection=Projection(ENCODER, np.empty((8, 0))),
        keys=np.empty(0, dtype=np.uint64),
        residuals=np.empty((0, 0)),
        gramian=np.empty((0, 0)),
        confidence=4.0,
    )

    assert all(map(math.isnan, scores()))
    assert all(map(math.isnan, scores((CLICK, "slope", 0.0), fitted=none)))


def test_a_score_does_not_depend_on_the_candidates_beside_it(rng: np.random.Generator) -> None:
    shop = crowd(60, rng)
    asked = query(shop, *browse(20, 60, rng=rng))

    def scored(rows: NDArray[np.int64]) -> NDArray[np.float64]:
        return FITTED.scores(asked.select(rows))

    some = rng.permutation(60)[:7]
    np.testing.assert_array_equal(scored(some), scored(np.arange(60))[some])


def test_it_round_trips() -> None:
    again = Collaborative.from_arrays(Arrays.from_bytes(Arrays(FITTED.to_arrays()).to_bytes()))

    events = ((CLICK, "slope", 0.0), (CLICK, "sea", 0.0))
    assert scores(*events, fitted=again) == scores(*events)


@pytest.mark.parametrize(
    ("name", "array"), [("residuals", np.zeros((2, 1))), ("gramian", np.zeros((2, 2)))]
)
def test_arrays_that_do_not_fit_are_refused(name: str, array: NDArray[np.float64]) -> None:
    with pytest.raises(ValueError, match="residuals of 1 sales in 1 factors"):
        Collaborative.from_arrays(Arrays({**FITTED.to_arrays(), name: array}))
