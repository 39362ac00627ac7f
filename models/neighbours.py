"""Pictures that look alike: the only module that imports ``faiss``."""
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, Self

import faiss
import numpy as np
from numpy.typing import NDArray

EMBEDDING_SIZE: Final = 128
N_NEIGHBOURS: Final = 20

# Vectors are compared in whole steps of 1 / SCALE. Products of unit vectors then sum to less than
# 2^24 in whole numbers, which float32 adds without any error, in any order: a similarity is the
# same bits whatever else is searched beside it.
SCALE: Final = 4_000
_LARGEST: Final = SCALE * SCALE

_SLACK: Final = 12  # further results of the index, to see where equal ones end
_BLOCK: Final = 512  # rows compared at once
_REBUILD_SHARE: Final = 4  # above one changed row in four, all are searched again
_NONE: Final = np.int64(-1)

faiss.omp_set_num_threads(1)


@dataclass(frozen=True, slots=True, eq=False)
class Neighbours:
    """The most similar other pictures of each row, most similar first.

    Of equally similar pictures the lower row comes first, so that the neighbours follow from
    the vectors alone, however they were found.

    Attributes:
        rows: Catalogue rows of the neighbours, shape ``(n, 20)``; a missing neighbour
            points to row 0 with similarity 0.
        similarities: Cosine similarities in steps of ``SCALE ** -2``, negative ones cut to 0,
            same shape.
    """

    rows: NDArray[np.int64]
    similarities: NDArray[np.float64]

    @classmethod
    def among(cls, embeddings: NDArray[np.float32]) -> Self:
        """Find the neighbours of every row among all rows.

        Args:
            embeddings: Unit vectors, shape ``(n, 128)``; zero rows have no picture, and
                neither have nor are neighbours.
        """
        whole = _whole(embeddings)
        keys = np.full((len(whole), N_NEIGHBOURS), _NONE)
        pictured = np.flatnonzero(whole.any(axis=1))
        keys[pictured] = _search(whole, pictured)
        return cls._of_keys(keys)

    def updated(
        self,
        before: NDArray[np.float32],
        embeddings: NDArray[np.float32],
        *,
        rows: NDArray[np.int64],
    ) -> Self:
        """Return what `among` finds for other vectors, searching only what changed.

        Args:
            before: The vectors that these are the neighbours of, shape ``(n_before, 128)``.
            embeddings: The new vectors, shape ``(n, 128)``.
            rows: The row that each had before, ascending, -1 for a new one, shape ``(n,)``.
        """
        kept = np.flatnonzero(rows >= 0)
        kept = kept[(before[rows[kept]] == embeddings[kept]).all(axis=1)]
        n = len(embeddings)
        if (n - len(kept)) * _REBUILD_SHARE > n:
            return type(self).among(embeddings)
        whole = _whole(embeddings)
        place = np.full(len(before), -1, dtype=np.int64)
        place[rows[kept]] = kept
        changed = np.setdiff1d(np.arange(n), kept)
        listed, lost = self._listed(rows[kept], place)
        keys = np.full((n, N_NEIGHBOURS), _NONE)
        keys[kept] = _merged(whole, kept, listed=listed, others=changed)
        searched = np.union1d(changed, kept[lost])
        searched = searched[whole[searched].any(axis=1)]
        keys[searched] = _search(whole, searched)
        return self._of_keys(keys)

    def of(self, rows: NDArray[np.int64]) -> Self:
        """Return the neighbours of some rows."""
        return type(self)(self.rows.take(rows, axis=0), self.similarities.take(rows, axis=0))

    def _listed(
        self, rows: NDArray[np.int64], place: NDArray[np.int64]
    ) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
        """Return the keys of rows' neighbours at their new places, and who lost one."""
        dots = np.rint(self.similarities[rows] * _LARGEST)
        places = place[self.rows[rows]]
        lost = np.any((places < 0) & (dots > 0), axis=1)
        return _keys(dots, places), lost

    @classmethod
    def _of_keys(cls, keys: NDArray[np.int64]) -> Self:
        dots, rows = np.divmod(keys, _ROWS)
        missing = keys < 0
        rows = np.where(missing, 0, _ROWS - 1 - rows)
        return cls(rows, np.where(missing, 0, dots) / _LARGEST)


_ROWS: Final = 1 << 32


def _keys(dots: NDArray[np.floating], rows: NDArray[np.int64]) -> NDArray[np.int64]:
    """Number neighbours so that a better one has a larger number; -1 for none.

    Args:
        dots: Products of whole vectors, any shape.
        rows: Rows of the neighbours, a shape that fits.
    """
    capped = np.minimum(dots, _LARGEST).astype(np.int64)
    return np.where(capped > 0, capped * _ROWS + (_ROWS - 1 - rows), _NONE)


def _best(keys: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the largest 20 keys of each row, the largest first."""
    if keys.shape[1] > N_NEIGHBOURS:
        keys = np.partition(keys, -N_NEIGHBOURS, axis=1)[:, -N_NEIGHBOURS:]
    best = np.full((len(keys), N_NEIGHBOURS), _NONE)
    best[:, : keys.shape[1]] = -np.sort(-keys, axis=1)
    return best


def _whole(embeddings: NDArray[np.float32]) -> NDArray[np.float32]:
    return np.rint(embeddings * np.float32(SCALE))


def _merged(
    whole: NDArray[np.float32],
    rows: NDArray[np.int64],
    *,
    listed: NDArray[np.int64],
    others: NDArray[np.int64],
) -> NDArray[np.int64]:
    """Return the best of the keys that rows have listed and of their keys with others."""
    merged = np.empty_like(listed)
    for block in _blocks(len(rows)):
        near = _keys(whole[rows[block]] @ whole[others].T, others)
        merged[block] = _best(np.concatenate([listed[block], near], axis=1))
    return merged


def _search(whole: NDArray[np.float32], rows: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the keys of the neighbours of rows among all rows, shape ``(n_rows, 20)``."""
    index = faiss.IndexFlatIP(EMBEDDING_SIZE)
    index.add(whole)
    k = min(N_NEIGHBOURS + 1 + _SLACK, len(whole))
    keys = np.empty((len(rows), N_NEIGHBOURS), dtype=np.int64)
    for block in _blocks(len(rows)):
        dots, found = index.search(whole[rows[block]], k)
        keys[block] = _best(_without_self(_keys(dots, found), found, rows[block]))
        # Among equals at the end of its results an index may have left out lower rows.
        cut = (keys[block, -1] // _ROWS <= dots[:, -1]) & (dots[:, -1] > 0)
        again = rows[block][cut & (k < len(whole))]
        keys[np.flatnonzero(np.isin(rows, again))] = _compare(whole, again)
    return keys


def _compare(whole: NDArray[np.float32], rows: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return what `_search` does, by comparing with every row."""
    everyone = np.arange(len(whole))
    near = _keys(whole[rows] @ whole.T, everyone)
    return _best(_without_self(near, everyone, rows))


def _without_self(
    keys: NDArray[np.int64], found: NDArray[np.int64], rows: NDArray[np.int64]
) -> NDArray[np.int64]:
    return np.where(found == rows[:, None], _NONE, keys)


def _blocks(n: int) -> Iterator[slice]:
    return (slice(start, start + _BLOCK) for start in range(0, n, _BLOCK))


def nearest(
    embeddings: NDArray[np.float32],
    vector: NDArray[np.float32],
    *,
    rows: NDArray[np.int64],
    k: int,
) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """Find the rows most similar to a vector, by exact search.

    Args:
        embeddings: Unit vectors, shape ``(n, 128)``.
        vector: Unit vector, shape ``(128,)``.
        rows: The rows to look among, shape ``(m,)``.
        k: How many are wanted.

    Returns:
        At most ``k`` of the rows, most similar first, and their cosine similarities, which
        are positive; rows that are not similar at all are left out.
    """
    if not len(rows):
        return rows, np.empty(0, dtype=np.float32)
    similarities, found = faiss.knn(
        vector[None], embeddings.take(rows, axis=0), min(k, len(rows)), faiss.METRIC_INNER_PRODUCT
    )
    alike = similarities[0] > 0
    return rows[found[0][alike]], similarities[0][alike]
