"""Golden rows: recorded once, and compared when they come out differently."""

import math

import numpy as np
import pytest
from numpy.typing import NDArray

from models.arrays.array_file import Arrays
from models.domain.event import EventType, from_us
from models.domain.profile import Profile
from models.query.query import Context, Query
from models.scoring.golden_rows import GoldenRows, GoldenVisit
from tests.builders import HOUR_US, NOW_US, catalogue, sale, window

SHOP = catalogue(sale("a", markets=["FR"]), sale("b"), sale("late", opens_at=from_us(NOW_US + 1)))
VISITS = (
    GoldenVisit(window(), Profile.empty(), Context(NOW_US)),
    GoldenVisit(
        window((EventType.VIEW, "a", 5.0), (EventType.CART, "b", 3.0)),
        Profile(first_us=NOW_US - 9 * HOUR_US, counts=(9, 2, 0, 1, 0, 0, 0, 0, 0, 0)),
        Context(NOW_US + 1, market="IT"),
    ),
    GoldenVisit(window(), Profile.empty(), Context(NOW_US - 2 * HOUR_US)),
)


def tenths(query: Query) -> NDArray[np.float64]:
    """Stands for two policies: 0.1 an event in the window, 0.01 a row; and the row alone."""
    first = len(query.window) / 10 + query.rows / 100
    return np.stack([first, np.where(query.rows == 1, -np.inf, query.rows * 1e6)], axis=1)


def test_every_eligible_sale_of_a_visit_is_recorded() -> None:
    golden = GoldenRows.record(VISITS, SHOP, orders=tenths)

    assert [order.shape for order in golden.orders] == [(2, 2), (2, 2), (0, 2)]
    assert golden.worst_difference(SHOP, orders=tenths) == 0.0


def test_the_largest_difference_of_any_row_is_told() -> None:
    golden = GoldenRows.record(VISITS, SHOP, orders=tenths)

    worst = golden.worst_difference(
        SHOP, orders=lambda query: tenths(query) - 0.25 * len(query.window)
    )

    assert worst == pytest.approx(0.5)


def test_large_values_are_compared_by_their_share() -> None:
    golden = GoldenRows.record(
        VISITS, SHOP, orders=lambda query: np.full((len(query.rows), 1), 1e6)
    )

    worst = golden.worst_difference(
        SHOP, orders=lambda query: np.full((len(query.rows), 1), 1e6 + 1)
    )

    assert worst == pytest.approx(1e-6, rel=1e-3)


def test_another_number_of_sales_is_infinitely_different() -> None:
    golden = GoldenRows.record(VISITS, SHOP, orders=tenths)

    assert golden.worst_difference(catalogue(sale("b")), orders=tenths) == math.inf


def test_a_score_that_is_no_number_is_never_close() -> None:
    golden = GoldenRows.record(VISITS, SHOP, orders=tenths)

    worst = golden.worst_difference(SHOP, orders=lambda query: tenths(query) * np.nan)

    assert math.isnan(worst)


def test_a_score_that_is_no_number_is_found_in_any_visit() -> None:
    """The windows of the visits have 0, 2 and 0 events: the second visit alone has no number."""
    golden = GoldenRows.record(VISITS, SHOP, orders=tenths)

    worst = golden.worst_difference(
        SHOP, orders=lambda query: tenths(query) + (np.nan if len(query.window) else 0.1)
    )

    assert math.isnan(worst)


def test_bytes_round_trip() -> None:
    golden = GoldenRows.record(VISITS, SHOP, orders=tenths)

    restored = GoldenRows.from_bytes(golden.to_bytes())

    assert [visit.window.pack() for visit in restored.visits] == [v.window.pack() for v in VISITS]
    assert [(v.profile, v.context) for v in restored.visits] == [
        (v.profile, v.context) for v in VISITS
    ]
    assert [order.tolist() for order in restored.orders] == [
        order.tolist() for order in golden.orders
    ]


@pytest.mark.parametrize(
    ("name", "array"),
    [
        ("now_us", np.array([NOW_US])),
        ("window_bytes", np.array([0, 47, 0])),
        ("profile_bytes", np.array([48, 48])),
        ("markets", np.array([""])),
        ("n_sales", np.array([0.5])),
    ],
)
def test_rows_that_do_not_fit_together_are_refused(name: str, array: NDArray[np.generic]) -> None:
    arrays = dict(
        Arrays.from_bytes(GoldenRows.record(VISITS, SHOP, orders=tenths).to_bytes()).arrays
    )

    with pytest.raises(ValueError, match=r".+"):
        GoldenRows.from_bytes(Arrays(arrays | {name: array}).to_bytes())
