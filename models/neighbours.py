"""Pictures that look alike: the only module that imports ``faiss``."""
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false

from dataclasses import dataclass
from typing import Final, Self

import faiss
import numpy as np
from numpy.typing import NDArray

EMBEDDING_SIZE: Final = 128
N_NEIGHBOURS: Final = 20

faiss.omp_set_num_threads(1)


@dataclass(frozen=True, slots=True, eq=False)
class Neighbours:
    """The most similar other pictures of each row, most similar first.

    Attributes:
        rows: Catalogue rows of the neighbours, shape ``(n, 20)``; a missing neighbour
            points to row 0 with similarity 0.
        similarities: Cosine similarities, negative ones cut to 0, same shape.
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
        n = len(embeddings)
        rows = np.zeros((n, N_NEIGHBOURS), dtype=np.int64)
        similarities = np.zeros((n, N_NEIGHBOURS))
        pictured = np.flatnonzero(np.any(embeddings != 0, axis=1))
        if len(pictured) > 1:
            found, similar = _search(embeddings[pictured])
            width = found.shape[1]
            rows[pictured, :width] = np.where(similar > 0, pictured[found], 0)
            similarities[pictured, :width] = np.maximum(similar, 0)
        return cls(rows, similarities)

    def of(self, rows: NDArray[np.int64]) -> Self:
        """Return the neighbours of some rows."""
        return type(self)(self.rows.take(rows, axis=0), self.similarities.take(rows, axis=0))


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


def _search(
    embeddings: NDArray[np.float32],
) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """Return the indices and similarities of each vector's nearest others."""
    index = faiss.IndexFlatIP(embeddings.shape[1])
    index.add(embeddings)
    k = min(N_NEIGHBOURS + 1, len(embeddings))
    similarities, found = index.search(embeddings, k)
    return _without_self(found, similarities)


def _without_self(
    found: NDArray[np.int64], similarities: NDArray[np.float32]
) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """Drop each row's own index, or its last neighbour where equal pictures crowd it out."""
    own = found == np.arange(len(found))[:, None]
    own[~own.any(axis=1), -1] = True
    shape = (len(found), found.shape[1] - 1)
    return found[~own].reshape(shape), similarities[~own].reshape(shape)
