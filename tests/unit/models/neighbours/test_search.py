"""Neighbours of pictures against a plain search."""

from operator import mul

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from models.neighbours.ivf import RECALL, Cells
from models.neighbours.quantization import SCALE
from models.neighbours.search import (
    EMBEDDING_SIZE,
    N_NEIGHBOURS,
    Device,
    Neighbours,
    search_device,
)


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


def among(vectors: NDArray[np.float32]) -> Neighbours:
    """Neighbours among pictures of sales that opened one after the other."""
    return Neighbours.from_embeddings(vectors, opens_us=np.arange(len(vectors)))


def plain(vectors: NDArray[np.float32]) -> list[list[tuple[int, int]]]:
    """Rows and similarities, in steps, of each row's neighbours, by whole numbers in Python."""
    steps: list[list[int]] = np.rint(vectors * SCALE).astype(np.int64).tolist()
    found: list[list[tuple[int, int]]] = []
    for row, one in enumerate(steps):
        near = [
            (min(sum(map(mul, one, other)), SCALE**2), at)
            for at, other in enumerate(steps)
            if at != row
        ]
        best = sorted((-dot, at) for dot, at in near if dot > 0)[:N_NEIGHBOURS]
        found.append([(at, -dot) for dot, at in best])
    return found


def listed(found: Neighbours) -> list[list[tuple[int, int]]]:
    """The neighbours that are there, as `plain` gives them."""
    dots: list[list[int]] = np.rint(found.similarities * SCALE**2).astype(np.int64).tolist()
    at: list[list[int]] = found.rows.tolist()
    return [
        [pair for pair in zip(rows, near, strict=True) if pair[1]]
        for rows, near in zip(at, dots, strict=True)
    ]


@pytest.mark.parametrize("n", [2, 22, 34, 60, 120])
def test_neighbours_are_those_of_a_plain_search(n: int, rng: np.random.Generator) -> None:
    vectors = unit(n, rng)

    assert listed(among(vectors)) == plain(vectors)


def test_similarities_are_cosines_but_for_a_thousandth(rng: np.random.Generator) -> None:
    vectors = unit(60, rng)
    cosines = np.sort(vectors.astype(np.float64) @ vectors.T.astype(np.float64), axis=1)

    found = among(vectors)

    expected = np.maximum(cosines[:, -2 : -2 - N_NEIGHBOURS : -1], 0)
    np.testing.assert_allclose(found.similarities, expected, atol=1e-3)


def test_equally_similar_neighbours_come_by_row(rng: np.random.Generator) -> None:
    """A shop shows some pictures many times: more equal ones than an index returns."""
    vectors = unit(3, rng)[rng.integers(0, 3, 150)]

    assert listed(among(vectors)) == plain(vectors)


@given(data=st.data())
def test_an_update_finds_what_a_search_of_all_finds(data: st.DataObject) -> None:
    """Rows come, go and change, by one or by many; few directions make many ties."""
    seed = data.draw(st.integers(0, 2**32 - 1))
    rng = np.random.default_rng(seed)
    palette = np.concatenate([unit(6, rng), np.zeros((1, EMBEDDING_SIZE), np.float32)])
    steps = data.draw(st.lists(st.tuples(*[st.floats(0, 0.3)] * 3), min_size=1, max_size=3))
    vectors = palette[rng.integers(0, 7, 70)] if seed % 2 else unit(70, rng)
    found = among(vectors)

    for gone, changed, new in steps:
        rows = np.flatnonzero(rng.random(len(vectors)) >= gone)
        added = rng.random(len(rows)) < new
        rows = np.insert(rows, np.flatnonzero(added), -1)
        other = (rows < 0) | (rng.random(len(rows)) < changed)
        after = np.where(other[:, None], palette[rng.integers(0, 7, len(rows))], vectors[rows])
        found = found.updated(vectors, after, rows=rows, opens_us=np.arange(len(after)))
        vectors = after

        assert listed(found) == listed(among(vectors))


def test_an_update_compares_new_pictures_only(rng: np.random.Generator) -> None:
    """Rows that have not changed keep what was found, right or wrong: nothing was searched."""
    vectors = unit(40, rng)
    wrong = Neighbours(np.zeros((40, 20), np.int64), np.zeros((40, 20)))

    found = wrong.updated(vectors, vectors, rows=np.arange(40), opens_us=np.arange(40))

    assert not found.similarities.any()


def test_fewer_than_twenty_others_leave_empty_places(rng: np.random.Generator) -> None:
    vectors = np.abs(unit(3, rng))
    vectors /= np.sqrt(np.square(vectors).sum(axis=1, keepdims=True))

    found = among(vectors)

    assert [set(row[:2].tolist()) for row in found.rows] == [{1, 2}, {0, 2}, {0, 1}]
    assert np.all(found.similarities[:, :2] > 0)
    assert not found.rows[:, 2:].any()
    assert not found.similarities[:, 2:].any()


@pytest.mark.parametrize("n", [0, 1])
def test_a_picture_alone_has_no_neighbours(n: int, rng: np.random.Generator) -> None:
    found = among(unit(n, rng))

    assert found.rows.shape == found.similarities.shape == (n, N_NEIGHBOURS)
    assert not found.similarities.any()


def test_rows_without_a_picture_have_and_are_no_neighbours() -> None:
    found = among(axes(-1, 0, -1, 0))

    assert found.similarities.sum(axis=1).tolist() == [0.0, 1.0, 0.0, 1.0]
    assert [found.rows[1, 0], found.rows[3, 0]] == [3, 1]


def test_pictures_at_right_angles_are_no_neighbours() -> None:
    assert not among(axes(0, 1, 2)).similarities.any()


@pytest.mark.parametrize("n", [2, 21, 22, 50])
def test_equal_pictures_are_neighbours_and_none_is_its_own(n: int) -> None:
    """With more equal pictures than places, the search may not return the row itself."""
    found = among(axes(*[5] * n))

    width = min(n - 1, N_NEIGHBOURS)
    assert np.all(found.similarities[:, :width] == 1.0)
    assert not np.any(found.rows[:, :width] == np.arange(n)[:, None])
    assert all(len(set(row)) == width for row in found.rows[:, :width].tolist())


EXACT_BELOW = 1_000
"""So few that near cells are searched in a test; k-means then sees 400 pictures."""


def scenes(n: int, rng: np.random.Generator) -> NDArray[np.float32]:
    """Pictures of 10 scenes, of which no two are alike."""
    means = rng.normal(size=(10, EMBEDDING_SIZE))
    vectors = means[rng.integers(0, 10, n)] + 0.5 * rng.normal(size=(n, EMBEDDING_SIZE))
    vectors /= np.sqrt(np.square(vectors).sum(axis=1, keepdims=True))
    return vectors.astype(np.float32)


def by_cells(vectors: NDArray[np.float32], opens_us: NDArray[np.int64]) -> Neighbours:
    return Neighbours.from_embeddings(vectors, opens_us=opens_us, exact_below=EXACT_BELOW)


def flat_cells(found: Neighbours) -> Cells:
    assert found.partition is not None
    assert found.partition.cells is not None
    return found.partition.cells


def test_near_cells_hold_nearly_all_neighbours(rng: np.random.Generator) -> None:
    """0.98 of the true ones, for any kind of pictures; the cells searched are few."""
    vectors = np.concatenate([scenes(1_500, rng), unit(30, rng)])
    opens_us = rng.permutation(len(vectors))

    found = by_cells(vectors, opens_us)

    true = Neighbours.from_embeddings(vectors, opens_us=opens_us)
    pairs = [
        len(set(near) & set(of_all))
        for near, of_all in zip(found.rows.tolist(), true.rows.tolist(), strict=True)
    ]
    assert sum(pairs) / true.rows.size >= RECALL
    assert flat_cells(found).n_searched * 4 <= len(flat_cells(found).centres)
    hit = (found.rows[:, :, None] == true.rows[:, None, :]) & (found.similarities[:, :, None] > 0)
    which, mine, theirs = np.nonzero(hit)
    assert np.array_equal(found.similarities[which, mine], true.similarities[which, theirs])


def test_pictures_without_order_are_all_compared(rng: np.random.Generator) -> None:
    """Where directions are random, no few cells hold the neighbours."""
    vectors = unit(EXACT_BELOW, rng)

    found = by_cells(vectors, np.arange(EXACT_BELOW))

    assert listed(found) == listed(among(vectors))


@pytest.mark.parametrize("seed", [0, 1])
def test_an_update_by_cells_finds_what_a_search_of_all_cells_finds(seed: int) -> None:
    """Few and many changes; of new sales, of old ones, and of those that place the cells."""
    rng = np.random.default_rng(seed)
    palette = scenes(3_000, rng)
    palette[:60] = palette[0]
    vectors, opens_us = palette[:1_100], rng.integers(0, 500, 1_100)
    found = by_cells(vectors, opens_us)

    for n_changed, only_young in [(1, True), (5, True), (90, True), (3, False)]:
        young = np.flatnonzero(opens_us >= (400 if only_young else 0))
        changed = rng.choice(young, n_changed, replace=False)
        rows = np.arange(len(vectors))
        rows[changed[::2]] = -1
        rows = np.delete(np.append(rows, [-1, -1]), changed[1::3])
        after = np.where(rows[:, None] < 0, palette[rng.integers(0, 3_000, len(rows))], 0)
        after = np.where(rows[:, None] < 0, after, vectors[rows]).astype(np.float32)
        opens_us = np.where(rows < 0, 600, opens_us[rows])
        found = found.updated(vectors, after, rows=rows, opens_us=opens_us, exact_below=EXACT_BELOW)
        vectors = after

        fresh = by_cells(vectors, opens_us)
        assert flat_cells(found).n_searched == flat_cells(fresh).n_searched
        assert found.rows.tobytes() == fresh.rows.tobytes()
        assert found.similarities.tobytes() == fresh.similarities.tobytes()


def test_new_sales_leave_the_cells_where_they_are(rng: np.random.Generator) -> None:
    vectors = scenes(1_200, rng)
    first = by_cells(vectors[:1_100], np.arange(1_100))

    grown = by_cells(vectors, np.arange(1_200))
    updated = first.updated(
        vectors[:1_100],
        vectors,
        rows=np.where(np.arange(1_200) < 1_100, np.arange(1_200), -1),
        opens_us=np.arange(1_200),
        exact_below=EXACT_BELOW,
    )

    assert np.array_equal(flat_cells(first).centres, flat_cells(grown).centres)
    assert flat_cells(updated) is flat_cells(first)
    assert updated.rows.tobytes() == grown.rows.tobytes()


@pytest.mark.gpu
def test_a_gpu_finds_the_same_bits(rng: np.random.Generator) -> None:
    if search_device() is not Device.CUDA:
        pytest.skip(f"the index is searched on {search_device()}: no GPU, or faiss without one")
    vectors = scenes(1_500, rng)

    assert listed(among(vectors)) == plain(vectors)
