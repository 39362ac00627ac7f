"""Neighbours of pictures against a plain search."""

import numpy as np
import pytest
from numpy.typing import NDArray

from models.neighbours import EMBEDDING_SIZE, N_NEIGHBOURS, Neighbours


def unit(n: int, rng: np.random.Generator) -> NDArray[np.float32]:
    vectors = rng.normal(size=(n, EMBEDDING_SIZE))
    vectors /= np.sqrt(np.square(vectors).sum(axis=1, keepdims=True))
    return vectors.astype(np.float32)


def axes(*coordinates: int) -> NDArray[np.float32]:
    """Unit vectors along coordinates; -1 stands for no picture."""
    vectors = np.zeros((len(coordinates), EMBEDDING_SIZE), dtype=np.float32)
    for row, coordinate in enumerate(coordinates):
        if coordinate >= 0:
            vectors[row, coordinate] = 1.0
    return vectors


@pytest.mark.parametrize("n", [22, 60, 300])
def test_neighbours_are_those_of_a_plain_search(n: int, rng: np.random.Generator) -> None:
    vectors = unit(n, rng)
    cosines = vectors.astype(np.float64) @ vectors.T.astype(np.float64)
    np.fill_diagonal(cosines, -np.inf)
    expected = np.argsort(-cosines, axis=1)[:, :N_NEIGHBOURS]
    nearest = np.take_along_axis(cosines, expected, axis=1)

    found = Neighbours.among(vectors)

    near = nearest > 1e-6
    assert np.array_equal(found.rows[near], expected[near])
    np.testing.assert_allclose(found.similarities, np.maximum(nearest, 0), atol=1e-6)


def test_fewer_than_twenty_others_leave_empty_places(rng: np.random.Generator) -> None:
    vectors = np.abs(unit(3, rng))
    vectors /= np.sqrt(np.square(vectors).sum(axis=1, keepdims=True))

    found = Neighbours.among(vectors)

    assert [set(row[:2].tolist()) for row in found.rows] == [{1, 2}, {0, 2}, {0, 1}]
    assert np.all(found.similarities[:, :2] > 0)
    assert not found.rows[:, 2:].any()
    assert not found.similarities[:, 2:].any()


@pytest.mark.parametrize("n", [0, 1])
def test_a_picture_alone_has_no_neighbours(n: int, rng: np.random.Generator) -> None:
    found = Neighbours.among(unit(n, rng))

    assert found.rows.shape == found.similarities.shape == (n, N_NEIGHBOURS)
    assert not found.similarities.any()


def test_rows_without_a_picture_have_and_are_no_neighbours() -> None:
    found = Neighbours.among(axes(-1, 0, -1, 0))

    assert found.similarities.sum(axis=1).tolist() == [0.0, 1.0, 0.0, 1.0]
    assert [found.rows[1, 0], found.rows[3, 0]] == [3, 1]


def test_pictures_at_right_angles_are_no_neighbours() -> None:
    assert not Neighbours.among(axes(0, 1, 2)).similarities.any()


@pytest.mark.parametrize("n", [2, 21, 22, 50])
def test_equal_pictures_are_neighbours_and_none_is_its_own(n: int) -> None:
    """With more equal pictures than places, the search may not return the row itself."""
    found = Neighbours.among(axes(*[5] * n))

    width = min(n - 1, N_NEIGHBOURS)
    assert np.all(found.similarities[:, :width] == 1.0)
    assert not np.any(found.rows[:, :width] == np.arange(n)[:, None])
    assert all(len(set(row)) == width for row in found.rows[:, :width].tolist())


def test_some_rows_can_be_taken(rng: np.random.Generator) -> None:
    found = Neighbours.among(unit(30, rng))

    taken = found.of(np.array([7, 7, 2]))

    assert np.array_equal(taken.rows, found.rows[[7, 7, 2]])
    assert np.array_equal(taken.similarities, found.similarities[[7, 7, 2]])
