"""Steps of a visit, by hand: one dimension, ski at 1, everything else at -1."""

import math

import numpy as np
import pytest

from models.arrays.array_file import Arrays
from models.domain.event import EventType
from models.recommenders.collaborative import Collaborative
from models.recommenders.session import Session
from tests.builders import Seen, catalogue, query, sale
from tests.unit.models.recommenders.test_content_preference import PLACES

CLICK, VIEW = EventType.CLICK, EventType.VIEW
SHOP = catalogue(
    sale("slope", category="ski"), sale("piste", category="ski"), sale("sea", category="beach")
)
NAMES = ["slope", "piste", "sea"]

SESSION = Session(
    collaborative=Collaborative(
        projection=PLACES,
        keys=np.empty(0, dtype=np.uint64),
        residuals=np.empty((0, 1)),
        gramian=np.eye(1),
        confidence=1.0,
    ),
    centre=np.array([0.0]),
    axes=np.array([[1.0]]),
    steps=np.array([[0.5], [0.25], [0.125], [1.0]]),
)


def scores(*events: Seen, session: Session = SESSION) -> list[float]:
    return session.scores(query(SHOP, *events, candidates=NAMES))[:, 0].tolist()


def test_the_last_sales_count_by_their_order_and_all_by_their_mean() -> None:
    """Sea, then slope: 0.5 · 1 + 0.25 · -1 + 1 · 0."""
    expected = 0.5 * 1 + 0.25 * -1 + 1.0 * 0.0

    found = scores((CLICK, "sea", 60.0), (CLICK, "slope", 0.0))

    assert found == pytest.approx([expected, expected, -expected])


def test_a_visit_is_described_by_its_last_three_sales_and_the_mean_of_all() -> None:
    """Sea, piste, sea, slope: 0.5 · 1 + 0.25 · -1 + 0.125 · 1 + 1 · 0."""
    found = scores(
        *((CLICK, name, 9.0 - n) for n, name in enumerate(("sea", "piste", "sea", "slope")))
    )

    expected = 0.5 - 0.25 + 0.125
    assert found == pytest.approx([expected, expected, -expected])


@pytest.mark.parametrize(
    ("events", "expected"),
    [
        ([], math.nan),
        ([(CLICK, "sea", 1_801.0)], math.nan),
        ([(CLICK, "sea", 1_800.0)], -0.5 - 1.0),
        ([(CLICK, "sea", 3_600.0), (CLICK, "slope", 1_800.0)], 0.5 - 0.25),
        ([(CLICK, "sea", 3_601.0), (CLICK, "slope", 1_800.0)], 0.5 + 1.0),
        ([(VIEW, "sea", 9.0), (CLICK, "sea", 8.0), (CLICK, "slope", 7.0), (CLICK, "sea", 6.0)],
         -0.5 + 0.25 - 0.125 - 1 / 3),
    ],
)  # fmt: skip
def test_a_visit_is_what_no_half_hour_of_silence_parts(events: list[Seen], expected: float) -> None:
    """Direct repetitions of a sale are one."""
    assert scores(*events)[0] == pytest.approx(expected, nan_ok=True)


def test_without_a_visit_nothing_is_known() -> None:
    assert all(map(math.isnan, scores((CLICK, "slope", 86_400.0))))


def test_it_round_trips() -> None:
    again = Session.from_arrays(Arrays.from_bytes(Arrays(SESSION.to_arrays()).to_bytes()))

    events = ((CLICK, "sea", 60.0), (CLICK, "slope", 0.0))
    assert scores(*events, session=again) == scores(*events)


def test_arrays_that_do_not_fit_are_refused() -> None:
    with pytest.raises(ValueError, match=r"steps of shape \(3, 1\) in a space of 1 dimensions"):
        Session.from_arrays(Arrays({**SESSION.to_arrays(), "steps": np.zeros((3, 1))}))
