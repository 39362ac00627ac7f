"""Rows of different lengths: what is summed of many is, to the bit, what is summed of each."""

from typing import TypeVar

import numpy as np
import pytest
from numpy.typing import NDArray

from models.arrays.ragged import Ragged, flat_cells

T = TypeVar("T", bound=np.generic)

LENGTHS = [0, 1, 2, 3, 7, 8, 9, 17, 64, 128, 0, 5]
"""Sums of up to 8 values are added in another order than longer ones."""


def parts(values: NDArray[T], lengths: list[int]) -> list[NDArray[T]]:
    """Cut the values of rows apart, along the last axis."""
    return np.split(values, np.cumsum(lengths)[:-1], axis=-1)


@pytest.mark.parametrize("lengths", [LENGTHS, LENGTHS[::-1], [128], [0], [0, 0]])
def test_sums_are_those_of_each_row_alone(lengths: list[int], rng: np.random.Generator) -> None:
    values = rng.normal(size=(2, sum(lengths)))

    summed = Ragged.from_lengths(lengths).sums(values)

    alone = np.array([part.sum(axis=-1) for part in parts(values, lengths)]).T
    assert summed.tobytes() == np.ascontiguousarray(alone).tobytes()


@pytest.mark.parametrize("lengths", [LENGTHS, [128], [0], [0, 0]])
@pytest.mark.parametrize("n", [1, 3, 16, 128])
def test_weighted_vectors_are_added_one_after_the_other(
    lengths: list[int], n: int, rng: np.random.Generator
) -> None:
    """Compared with a loop over events, in the order in which they happened."""
    table, n_values = rng.normal(size=(50, n)), sum(lengths)
    rows, weights = rng.integers(50, size=n_values), rng.random(size=(2, n_values))

    summed = Ragged.from_lengths(lengths).weighted(weights, table, rows=rows)

    expected = np.zeros((2, len(lengths), n))
    for value, owner in enumerate(np.repeat(np.arange(len(lengths)), lengths)):
        expected[:, owner] += weights[:, value, None] * table[rows[value]]
    np.testing.assert_allclose(summed, expected, rtol=1e-12, atol=1e-14)
    for owner, (own, chosen) in enumerate(
        zip(parts(weights, lengths), parts(rows, lengths), strict=True)
    ):
        alone = Ragged.from_lengths([len(chosen)]).weighted(own, table, rows=chosen)[:, 0]
        assert alone.tobytes() == np.ascontiguousarray(summed[:, owner]).tobytes()


@pytest.mark.parametrize("lengths", [LENGTHS, [128], [0, 0]])
@pytest.mark.parametrize("n", [1, 2, 16])
def test_totals_and_outer_products_are_those_of_each_row_alone(
    lengths: list[int], n: int, rng: np.random.Generator
) -> None:
    table, rows = rng.normal(size=(50, n)), rng.integers(50, size=sum(lengths))
    ragged = Ragged.from_lengths(lengths)

    totals, products = ragged.total(table, rows), ragged.gramian(table, rows)

    for owner, own in enumerate(parts(rows, lengths)):
        alone = Ragged.from_lengths([len(own)])
        np.testing.assert_allclose(totals[owner], table[own].sum(axis=0), atol=1e-12)
        np.testing.assert_allclose(products[owner], table[own].T @ table[own], atol=1e-12)
        assert alone.total(table, own)[0].tobytes() == totals[owner].tobytes()
        assert alone.gramian(table, own)[0].tobytes() == products[owner].tobytes()


def test_what_stands_before_a_short_row_is_zero() -> None:
    found = Ragged.from_lengths([1, 2]).vectors(np.array([[1.0], [2.0]]), np.array([1, 0, 1]))

    assert found.tolist() == [[[0.0], [2.0]], [[1.0], [2.0]]]


def test_values_that_are_not_kept_leave_rows_shorter() -> None:
    rows = Ragged.from_lengths([2, 0, 3]).select(np.array([True, False, False, True, True]))

    assert (rows.lengths.tolist(), rows.ends.tolist()) == ([1, 0, 2], [1, 1, 3])


def test_rows_without_values_are_blank() -> None:
    blank = Ragged.from_lengths([1, 0]).blank_empty(np.ones((2, 1)))

    assert np.isnan(blank).tolist() == [[False], [True]]


def test_cells_of_rows_do_not_meet() -> None:
    rows = Ragged.from_lengths([2, 1])

    assert rows.cells(np.array([3, 4, 3]), 5).tolist() == [3, 4, 8]
    assert flat_cells(np.array([[3, 4], [3, 0]]), 5).tolist() == [[3, 4], [8, 5]]
