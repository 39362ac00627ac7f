"""Counts of parts sum to the counts of all events."""

import numpy as np
import pytest

from models.catalogue.event_counts import GRID_US, HALF_LIVES_HOURS
from models.dataset.events import EventTable
from tests.logs import DAY, HOUR, MINUTE, NOON, Row, catalogue, event_table
from training.examples.replay import CountReplay
from training.lists.counts import PartCounts, counts_of, sum_of_parts

KINDS = ("view", "click", "purchase", "impression")


def log(rng: np.random.Generator) -> EventTable:
    """Three weeks of ten customers, with refunds, and an hour that still runs."""
    rows: list[Row] = []
    for _ in range(600):
        at = int(rng.integers(-20 * DAY, 30 * MINUTE))
        customer, of = f"c{rng.integers(10)}", f"s{rng.integers(4)}"
        kind = str(rng.choice(KINDS))
        rows.append(Row(kind=kind, at=at, customer=customer, sale=of))
        if kind == "purchase":
            later = at + int(rng.integers(1, 2 * HOUR))
            rows.append(Row(kind="refund", at=later, customer=customer, sale=of))
    return event_table(rows)


@pytest.mark.parametrize("minutes", [0, 20, 59, 61])
def test_parts_sum_to_the_counts_of_the_service(rng: np.random.Generator, minutes: int) -> None:
    """Those of the replay, which tests compare with the store's."""
    events, sales = log(rng), catalogue("s0", "s1", "s2")
    at_us = NOON + minutes * MINUTE + 1
    numbers = rng.integers(3, size=len(events.customers.values))

    parts = [events.select(numbers[events.customers.codes] == part) for part in range(3)]
    found = sum_of_parts(
        [counts_of(part, sales.rows_for(part.sale_keys), at_us=at_us) for part in parts],
        at_us=at_us,
        n_sales=len(sales),
        half_lives=HALF_LIVES_HOURS,
    )

    assert found.id == CountReplay(events, sales).at(at_us).id
    assert found.at_us % GRID_US == 0
    assert found.totals.any()


def test_counts_of_a_part_survive_serialisation(rng: np.random.Generator) -> None:
    events, sales = log(rng), catalogue("s0")
    hourly = counts_of(events, sales.rows_for(events.sale_keys), at_us=NOON)

    again = PartCounts.from_bytes(PartCounts(hourly, {"mobile": 3, "tv": 1}, 2).to_bytes())

    assert np.array_equal(again.hourly.counts, hourly.counts)
    assert np.array_equal(again.hourly.rows, hourly.rows)
    assert again.devices == {"mobile": 3, "tv": 1}
    assert again.n_refused == 2
