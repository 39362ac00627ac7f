"""Examination by position is estimated before any recommender that weighs impressions by it."""

from dataclasses import replace
from typing import Final

import numpy as np
import pytest

from tests.logs import DAY, MINUTE, SECOND, Row, catalogue, event_table
from training.configuration import RunConfig
from training.examples.point_in_time import PointInTime
from training.examples.slates import Slates, shown_slates
from training.pipeline.pilot_examination import pilot_examination

SALES: Final = tuple(f"s{number}" for number in range(6))
P_CLICK: Final = np.array([0.5, 0.25, 0.1])


def past_and_slates(rng: np.random.Generator, *, placed: bool = True) -> tuple[PointInTime, Slates]:
    """Log 1,200 lists of three of six equal sales, an hour apart from each other."""
    rows: list[Row] = []
    for number in range(1_200):
        order: list[int] = rng.permutation(len(SALES))[: len(P_CLICK)].tolist()
        for place, sale in enumerate(order):
            shown = Row(
                kind="impression",
                at=number * 10 * MINUTE,
                customer=f"c{number % 200}",
                sale=SALES[sale],
                exposure=f"x{number}",
                position=place + 1 if placed else None,
            )
            rows.append(shown)
            if rng.random() < P_CLICK[place]:
                rows.append(replace(shown, kind="click", at=shown.at + SECOND))
    past = PointInTime(event_table(rows), catalogue(*SALES))
    return past, shown_slates(past.events, past.catalogue, outcome_us=DAY)


def test_the_curve_of_the_log_is_found(rng: np.random.Generator) -> None:
    """Of 600 later lists 60 have a click at the last place: a standard error of 14%."""
    past, slates = past_and_slates(rng)

    found = pilot_examination(past, slates, config=RunConfig(), seed=0)

    np.testing.assert_allclose(found.common, P_CLICK / P_CLICK[0], rtol=0.4)


@pytest.mark.parametrize(
    ("placed", "config"),
    [(False, RunConfig()), (True, RunConfig(caller_orders=True))],
    ids=["positions unknown", "ordered by a caller"],
)
def test_where_positions_teach_nothing_every_impression_counts_alike(
    rng: np.random.Generator, *, placed: bool, config: RunConfig
) -> None:
    past, slates = past_and_slates(rng, placed=placed)

    assert pilot_examination(past, slates, config=config, seed=0).curves.tolist() == [[1.0]]


def test_few_lists_teach_nothing_and_do_no_harm(rng: np.random.Generator) -> None:
    past, slates = past_and_slates(rng)

    none = pilot_examination(past, slates.select(np.empty(0, np.intp)), config=RunConfig(), seed=0)
    one = pilot_examination(past, slates.select(np.arange(1)), config=RunConfig(), seed=0)

    assert none.curves.tolist() == one.curves.tolist() == [[1.0]]
