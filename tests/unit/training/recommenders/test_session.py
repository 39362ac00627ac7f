"""Steps with a known answer."""

from dataclasses import replace

import numpy as np
import pytest

from models.domain.event import EventType
from models.recommenders.collaborative import Collaborative
from models.recommenders.content_encoder import Projection
from models.recommenders.session import Session
from tests.builders import query as ask
from tests.logs import HOUR, MINUTE, Row, catalogue, event_table, sale
from tests.unit.models.recommenders.test_content_preference import ENCODER, PLACES
from training.recommenders.interactions import Interactions
from training.recommenders.session import fit_session, visit_steps

SHOP = catalogue(*(sale(f"s{index}", category=("ski", "beach")[index % 2]) for index in range(40)))

FACTORS = Collaborative(
    projection=PLACES,
    keys=np.empty(0, dtype=np.uint64),
    residuals=np.empty((0, 1)),
    gramian=np.eye(1),
    confidence=1.0,
)
"""Even sales at 1, odd ones at -1."""


def walks(rng: np.random.Generator) -> list[Row]:
    """Eight hundred visits of four sales, each step to the other kind."""
    return [
        Row(
            kind="click",
            customer=f"c{visit}",
            sale=f"s{2 * int(rng.integers(1, 20)) + (visit + step) % 2}",
            at=step * MINUTE,
        )
        for visit in range(800)
        for step in range(4)
    ]


def fitted(rows: list[Row]) -> Session:
    return fit_session(Interactions.from_events(event_table(rows), SHOP), FACTORS)


def test_who_always_turns_to_the_other_kind_is_expected_to_do_so(rng: np.random.Generator) -> None:
    asked = ask(SHOP, (EventType.CLICK, "s2", 0.0), candidates=["s0", "s1"])

    same, other = fitted(walks(rng)).scores(asked)[:, 0].tolist()

    assert other > 0.5
    assert same == pytest.approx(-other)


def test_a_visit_is_described_as_when_serving(rng: np.random.Generator) -> None:
    """At every step of a log: what is learned from is what a query of that moment gives."""
    log = [
        Row(kind="click", sale=f"s{int(rng.integers(40))}", at=int(at))
        for at in np.cumsum(rng.choice([MINUTE, 20 * MINUTE, HOUR], size=60, p=[0.5, 0.3, 0.2]))
    ]
    places = rng.normal(size=(40, 3))

    described_here, next_rows = visit_steps(
        Interactions.from_events(event_table(log), SHOP), places
    )

    factors = replace(
        FACTORS,
        projection=Projection(ENCODER, np.zeros((8, 3))),
        keys=SHOP.keys,
        residuals=places,
        gramian=np.eye(3),
    )
    session = Session(factors, np.zeros(3), np.eye(3), steps=rng.normal(size=(12, 3)))
    served: list[np.ndarray[tuple[int, ...], np.dtype[np.float64]]] = []
    targets: list[int | None] = []
    for place in range(1, len(log)):
        now = log[place].at
        seen = [(EventType.CLICK, one.sale, (now - one.at) / 1e6) for one in log[:place]]
        scores = session.scores(ask(SHOP, *seen))[:, 0]
        if not np.isnan(scores).any() and log[place].sale != log[place - 1].sale:
            served.append(scores)
            targets.append(SHOP.row_for(log[place].sale))
    expected = described_here @ session.steps @ places.T
    np.testing.assert_allclose(served, expected, rtol=1e-9, atol=1e-12)
    assert next_rows.tolist() == targets


@pytest.mark.parametrize("rows", [[], [Row(kind="click")], [Row(kind="impression", position=1)]])
def test_without_steps_nothing_is_expected(rows: list[Row]) -> None:
    session = fitted(rows)

    scores = session.scores(ask(SHOP, (EventType.CLICK, "s2", 0.0), candidates=["s0", "s1"]))

    assert np.nan_to_num(scores).tolist() == [[0.0], [0.0]]
