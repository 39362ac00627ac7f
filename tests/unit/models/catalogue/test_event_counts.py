"""Counts per sale: the grid, fading by whole hours, and sums that are equal bit for bit."""

from collections import defaultdict
from fractions import Fraction
from random import Random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.arrays.array_file import Arrays
from models.catalogue.event_counts import (
    DAYS,
    GRID_US,
    HALF_LIVES_HOURS,
    HOURS,
    N_KINDS,
    RETENTION_HOURS,
    HalfLives,
    HourlyCounts,
    SaleCounts,
    counts_at,
    decayed_counts,
    grid_floor,
)
from models.domain.units import HOUR_US

N_SALES = 4
HOUR = 483_780

Entry = tuple[int, int, int, int]
"""Row, kind, hour, count."""

ENTRIES = st.lists(
    st.tuples(
        st.integers(0, N_SALES - 1),
        st.integers(0, N_KINDS - 1),
        st.integers(HOUR - 400, HOUR),
        st.integers(1, 1_000),
    ),
    max_size=30,
)


def hourly(entries: list[Entry]) -> HourlyCounts:
    rows, kinds, hours, counts = np.array(entries, dtype=np.int64).reshape(-1, 4).T
    return HourlyCounts.from_entries(rows, kinds, hours=hours, counts=counts)


def at(
    entries: list[Entry], *, minute: int = 0, half_lives: HalfLives = HALF_LIVES_HOURS
) -> SaleCounts:
    at_us = HOUR * HOUR_US + minute * GRID_US
    return counts_at(hourly(entries), at_us=at_us, n_sales=N_SALES, half_lives=half_lives)


def bits(counts: SaleCounts) -> tuple[int, HalfLives, bytes, bytes]:
    return counts.at_us, counts.half_lives, counts.totals.tobytes(), counts.decayed.tobytes()


def test_the_grid_is_whole_minutes() -> None:
    assert [grid_floor(us) for us in (59_999_999, 60_000_000, 60_000_001)] == [
        0,
        60_000_000,
        60_000_000,
    ]


def test_a_time_off_the_grid_is_refused() -> None:
    with pytest.raises(ValueError, match="60000001 is not on the grid"):
        counts_at(hourly([]), at_us=60_000_001, n_sales=N_SALES, half_lives=HALF_LIVES_HOURS)


def test_entries_are_summed_into_ordered_columns() -> None:
    summed = hourly([(1, 2, 7, 1), (0, 4, 9, 2), (1, 2, 7, 3), (1, 0, 8, 1), (1, 2, 6, 5)])

    columns = np.column_stack([summed.rows, summed.kinds, summed.hours, summed.counts])
    assert columns.tolist() == [[0, 4, 9, 2], [1, 0, 8, 1], [1, 2, 6, 5], [1, 2, 7, 4]]


@given(ENTRIES)
def test_totals_are_those_of_a_plain_sum(entries: list[Entry]) -> None:
    expected: defaultdict[tuple[int, int], int] = defaultdict(int)
    for row, kind, hour, count in entries:
        if hour >= HOUR - RETENTION_HOURS:
            expected[row, kind] += count

    totals = at(entries).totals

    assert {cell: totals[cell] for cell in expected} == expected
    assert totals.sum() == sum(expected.values())


@given(ENTRIES, st.integers(0, 59), st.sampled_from([HALF_LIVES_HOURS, (0.5, 3.0, 24.0, 168.0)]))
def test_whole_hours_fade_and_the_running_hour_counts_in_full(
    entries: list[Entry], minute: int, half_lives: HalfLives
) -> None:
    counts = at(entries, minute=minute, half_lives=half_lives)

    for half, half_life in enumerate(half_lives):
        expected = defaultdict[tuple[int, int], Fraction](Fraction)
        for row, kind, hour, count in entries:
            if hour >= HOUR - RETENTION_HOURS:
                age = HOUR - hour
                expected[row, kind] += count * Fraction(2.0 ** (-age / half_life))
        for cell, value in expected.items():
            assert counts.decayed[half][cell] == pytest.approx(float(value), rel=1e-12)


def test_after_one_half_life_half_is_left() -> None:
    counts = at([(0, 1, HOUR - 6, 8), (1, 1, HOUR - 48, 8), (2, 1, HOUR, 8), (3, 1, HOUR - 12, 8)])

    assert counts.decayed[HOURS, :, 1].tolist() == [4.0, 8 / 256, 8.0, 2.0]
    assert counts.decayed[DAYS, 1, 1] == 4.0


@pytest.mark.parametrize(("age", "counted"), [(336, 5.0), (337, 0.0)])
def test_fourteen_days_are_kept_and_no_hour_more(age: int, counted: float) -> None:
    assert at([(0, 2, HOUR - age, 5)]).totals[0, 2] == counted


@given(ENTRIES, st.randoms(use_true_random=False))
def test_the_order_of_entries_changes_no_bit(entries: list[Entry], random: Random) -> None:
    shuffled = [
        (row, kind, hour, 1) for row, kind, hour, count in entries for _ in range(count % 5)
    ]
    grouped = [(row, kind, hour, count % 5) for row, kind, hour, count in entries if count % 5]
    random.shuffle(shuffled)

    assert bits(at(shuffled)) == bits(at(grouped))


@given(ENTRIES)
def test_adding_the_running_hour_to_faded_ones_changes_no_bit(entries: list[Entry]) -> None:
    """Replay fades once an hour and adds the hour that runs; the service sums all at once."""
    partial = np.zeros((N_SALES, N_KINDS), dtype=np.int64)
    for row, kind, hour, count in entries:
        partial[row, kind] += count * (hour == HOUR)
    faded = decayed_counts(hourly(entries), hour=HOUR, n_sales=N_SALES, half_lives=HALF_LIVES_HOURS)

    counts = faded.with_partial(partial, at_us=HOUR * HOUR_US)

    assert bits(counts) == bits(at(entries))


def test_hours_to_come_are_left_out() -> None:
    faded = decayed_counts(
        hourly([(0, 1, HOUR, 3), (0, 1, HOUR + 1, 4)]),
        hour=HOUR,
        n_sales=N_SALES,
        half_lives=HALF_LIVES_HOURS,
    )

    assert faded.totals.sum() == 0


def test_nobody_has_seen_anything() -> None:
    none, nothing = SaleCounts.none(N_SALES), at([])

    assert none.totals.tolist() == nothing.totals.tolist() == [[0.0] * N_KINDS] * N_SALES
    assert none.decayed.tolist() == nothing.decayed.tolist()
    assert len(HourlyCounts.empty().rows) == 0


@given(ENTRIES)
def test_bytes_round_trip(entries: list[Entry]) -> None:
    counts = at(entries, half_lives=(0.5, 3.0, 24.0, 168.0))

    assert bits(SaleCounts.from_bytes(counts.to_bytes(), n_sales=N_SALES)) == bits(counts)


def test_counts_that_are_mostly_zero_take_little_room() -> None:
    """A service keeps one a minute, for a month."""
    counts = SaleCounts.none(1_000)

    assert len(counts.to_bytes()) < counts.decayed.nbytes / 50


def test_equal_counts_of_other_half_lives_have_another_id() -> None:
    """Files are named by the id: counts of no events would be read back with wrong half-lives."""
    usual, other = at([]), at([], half_lives=(1.0, 6.0, 48.0, 300.0))

    assert usual.decayed.tolist() == other.decayed.tolist()
    assert usual.id != other.id


def test_counts_without_a_half_life_are_refused() -> None:
    counts = SaleCounts.none(3)
    arrays = {
        "at_us": np.array([0]),
        "totals": counts.totals,
        "decayed": counts.decayed,
        "half_lives": np.array([1.0, 6.0, 48.0]),
    }

    with pytest.raises(ValueError, match="3 half-lives for 4 decayed counts"):
        SaleCounts.from_bytes(Arrays(arrays).to_bytes(), n_sales=3)


def test_counts_of_another_catalogue_are_refused() -> None:
    content = SaleCounts.none(3).to_bytes()

    with pytest.raises(ValueError, match="counts of 3 sales, expected 4"):
        SaleCounts.from_bytes(content, n_sales=4)
