"""Nearest-neighbour search of picture vectors; the only module that imports ``faiss``."""
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false

from dataclasses import dataclass
from enum import StrEnum
from typing import Final, Self

import faiss
import numpy as np
from numpy.typing import NDArray

from models.neighbours.ivf import InvertedFile
from models.neighbours.quantization import LARGEST, NONE, best, blocks, quantize, ranked, unranked

# Of the scene head, see `models.pictures.scene_labeller`.
EMBEDDING_SIZE: Final = 128
# Chosen; part of the schema hash.
N_NEIGHBOURS: Final = 20
# Chosen: the time of an exact search of all by all grows with the square; decision record 0014.
EXACT_BELOW: Final = 100_000
"""Number of pictures from which on the search is by cells (IVF)."""

# A row is its own nearest neighbour.
_WIDTH: Final = N_NEIGHBOURS + 1
# Chosen: further results of the index, by which ties at the end are detected.
_SLACK: Final = 12
# Rows searched at once; bounds memory.
_BLOCK: Final = 512
# So few rows are compared with all others faster than an index is built.
_FEW: Final = 64
# Rows compared with all others at once; bounds memory to 16 rows of similarities.
_COMPARED: Final = 16
# Above one changed row in four, all are searched again.
_REBUILD_SHARE: Final = 4

faiss.omp_set_num_threads(1)


class Device(StrEnum):
    """Device on which an index is searched."""

    CPU = "cpu"
    CUDA = "cuda"


def is_built_for_gpu() -> bool:
    """Return whether the installed ``faiss`` has GPU support."""
    return hasattr(faiss, "StandardGpuResources")


def search_device() -> Device:
    """Return the device on which large searches run.

    ``faiss-gpu`` also loads on machines without a GPU.
    """
    has_gpu = is_built_for_gpu() and faiss.get_num_gpus() > 0
    return Device.CUDA if has_gpu else Device.CPU


@dataclass(frozen=True, slots=True, eq=False)
class Neighbours:
    """Nearest neighbours: the most similar other pictures of each row, most similar first.

    Ties are ordered by row, so that the neighbours depend on the vectors alone, not on the way
    in which they were found.

    Attributes:
        rows: Catalogue rows of the neighbours, shape ``(n, 20)``; a missing neighbour
            points to row 0 with similarity 0.
        similarities: Cosine similarities, quantised to ``SCALE ** -2``, negative ones set to 0,
            same shape.
        partition: The inverted file; None for an exact search.
    """

    rows: NDArray[np.int64]
    similarities: NDArray[np.float64]
    partition: InvertedFile | None = None

    @classmethod
    def from_embeddings(
        cls,
        embeddings: NDArray[np.float32],
        *,
        opens_us: NDArray[np.int64],
        exact_below: int = EXACT_BELOW,
    ) -> Self:
        """Find the neighbours of every row among all rows.

        Args:
            embeddings: Unit vectors, shape ``(n, 128)``; zero rows have no picture, and
                neither have nor are neighbours.
            opens_us: Opening of each row's sale, by which the sample is chosen, shape ``(n,)``.
            exact_below: Number of pictures from which on the search is by cells.
        """
        steps = quantize(embeddings)
        sample = _oldest(steps, opens_us, exact_below=exact_below)
        partition = (
            None
            if sample is None
            else InvertedFile.from_sample(steps, sample, n_neighbours=N_NEIGHBOURS)
        )
        found = np.full((len(steps), N_NEIGHBOURS), NONE)
        pictured = np.flatnonzero(steps.any(axis=1))
        found[pictured] = _search(steps, pictured, partition)
        return cls._from_ranks(found, partition)

    def updated(
        self,
        before: NDArray[np.float32],
        embeddings: NDArray[np.float32],
        *,
        rows: NDArray[np.int64],
        opens_us: NDArray[np.int64],
        exact_below: int = EXACT_BELOW,
    ) -> Self:
        """Return what `from_embeddings` finds for changed vectors, searching only the changes.

        Args:
            before: The vectors of these neighbours, shape ``(n_before, 128)``.
            embeddings: The new vectors, shape ``(n, 128)``.
            rows: The previous row of each, ascending, -1 for a new one, shape ``(n,)``.
            opens_us: See `from_embeddings`.
            exact_below: See `from_embeddings`; unchanged.
        """
        kept = np.flatnonzero(rows >= 0)
        kept = kept[(before[rows[kept]] == embeddings[kept]).all(axis=1)]
        n = len(embeddings)
        steps = quantize(embeddings)
        place = np.full(len(before), -1, dtype=np.int64)
        place[rows[kept]] = kept
        sample = _oldest(steps, opens_us, exact_below=exact_below)
        too_many = (n - len(kept)) * _REBUILD_SHARE > n
        if too_many or not self._has_same_cells(sample, place):
            return type(self).from_embeddings(
                embeddings, opens_us=opens_us, exact_below=exact_below
            )
        partition = None
        if self.partition is not None and sample is not None:
            partition = self.partition.moved(steps, sample, kept=kept, before=rows[kept])
        changed = np.setdiff1d(np.arange(n), kept)
        # The known neighbours of kept rows at their new places, shape (n_kept, 20); a row that
        # lost one is searched again.
        dots = np.rint(self.similarities[rows[kept]] * LARGEST)
        places = place[self.rows[rows[kept]]]
        lost = np.any((places < 0) & (dots > 0), axis=1)
        listed = ranked(dots, places)
        found = np.full((n, N_NEIGHBOURS), NONE)
        found[kept] = _merged(steps, kept, listed=listed, others=changed, partition=partition)
        searched = np.union1d(changed, kept[lost])
        searched = searched[steps[searched].any(axis=1)]
        found[searched] = _search(steps, searched, partition)
        return self._from_ranks(found, partition)

    def _has_same_cells(self, sample: NDArray[np.int64] | None, place: NDArray[np.int64]) -> bool:
        if self.partition is None or sample is None:
            return self.partition is None and sample is None
        return np.array_equal(place[self.partition.sample], sample)

    @classmethod
    def _from_ranks(cls, ranks: NDArray[np.int64], partition: InvertedFile | None) -> Self:
        dots, rows = unranked(ranks)
        return cls(np.maximum(rows, 0), dots / LARGEST, partition)


def _oldest(
    steps: NDArray[np.float32], opens_us: NDArray[np.int64], *, exact_below: int
) -> NDArray[np.int64] | None:
    """Return the rows of the oldest pictures, the sample of the cells; None for exact search."""
    pictured = np.flatnonzero(steps.any(axis=1))
    if len(pictured) < exact_below:
        return None
    # 40,000 of 100,000, decision record 0014. The oldest, whose set changes least.
    n_sample = exact_below * 2 // 5
    oldest = np.argsort(opens_us[pictured], kind="stable")[:n_sample]
    return np.sort(pictured[oldest])


def _merged(
    steps: NDArray[np.float32],
    rows: NDArray[np.int64],
    *,
    listed: NDArray[np.int64],
    others: NDArray[np.int64],
    partition: InvertedFile | None,
) -> NDArray[np.int64]:
    """Merge the listed ranks of rows with their ranks among other rows."""
    merged = listed.copy()
    for block in blocks(len(rows), _BLOCK):
        near = ranked(steps[rows[block]] @ steps[others].T, others)
        better = near > listed[block].min(axis=1, keepdims=True)
        if partition is not None:
            which, other = np.nonzero(better)
            better[which, other] = partition.reaches(rows[block][which], others[other])
        near = np.where(better, near, NONE)
        moved = np.flatnonzero(better.any(axis=1))
        together = np.concatenate([listed[block][moved], near[moved]], axis=1)
        merged[block.start + moved] = best(together, N_NEIGHBOURS)
    return merged


def _search(
    steps: NDArray[np.float32], rows: NDArray[np.int64], partition: InvertedFile | None
) -> NDArray[np.int64]:
    """Return the ranks of the neighbours of rows among all rows, shape ``(n_rows, 20)``."""
    if len(rows) <= _FEW:
        found = _compared(steps, rows, partition)
    else:
        found = _Index(steps, partition).search(rows)
    _, near = unranked(found)
    return best(np.where(near == rows[:, None], NONE, found), N_NEIGHBOURS)


def _compared(
    steps: NDArray[np.float32], rows: NDArray[np.int64], partition: InvertedFile | None
) -> NDArray[np.int64]:
    """Return the best 21 ranks of rows among all rows, including themselves."""
    found = np.full((len(rows), _WIDTH), NONE)
    for block in blocks(len(rows), _COMPARED):
        dots = steps[rows[block]] @ steps.T
        if partition is not None:
            dots *= partition.reached(rows[block])
        for place, of_row in enumerate(dots, start=block.start):
            # The maxima of blocks bound the 21st largest from below, so that few rows are sorted.
            largest = np.maximum.reduceat(of_row, np.arange(0, len(of_row), _FEW))
            bound = np.partition(largest, -_WIDTH)[-_WIDTH] if len(largest) > _WIDTH else 0
            near = np.flatnonzero(of_row >= max(bound, 1))
            found[place] = best(ranked(of_row[near], near)[None], _WIDTH)[0]
    return found


class _Index:
    """An index of the distinct pictures, with the first rows that have each.

    Some pictures are used by many sales: indexed once per sale they would fill the results.
    """

    def __init__(self, steps: NDArray[np.float32], partition: InvertedFile | None) -> None:
        self._steps = steps
        self._partition = partition
        self._cells = partition.cells if partition else None
        pictured = np.flatnonzero(steps.any(axis=1))
        # One byte string a row, so that `np.unique` compares single values.
        small = np.ascontiguousarray(steps[pictured].astype(np.int16))
        words = small.view(f"S{small.shape[1] * small.itemsize}").ravel()
        _, first, picture = np.unique(words, return_index=True, return_inverse=True)
        self._first = pictured[first]
        self._picture = np.full(len(steps), NONE)
        self._picture[pictured] = picture
        self._shown_by = _first_of_each(pictured, picture, n=len(first))
        vectors = steps[self._first]
        index = faiss.IndexFlatIP(EMBEDDING_SIZE)
        if partition is None or self._cells is None:
            index.add(vectors)
        else:
            index.add(self._cells.centres)
            index = faiss.IndexIVFFlat(
                index, EMBEDDING_SIZE, len(self._cells.centres), faiss.METRIC_INNER_PRODUCT
            )
            index.nprobe = self._cells.n_searched
            home = partition.home[self._first].astype(np.int64)
            # Cells are assigned here, so that every device searches the same ones.
            index.add_core(len(vectors), faiss.swig_ptr(vectors), None, faiss.swig_ptr(home))
        self._index: faiss.Index = index
        if search_device() is Device.CUDA:
            resources = faiss.StandardGpuResources()
            self._index = faiss.index_cpu_to_gpu(resources, 0, self._index)

    def search(self, rows: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return the same as `_compared`."""
        pictures, of_row = np.unique(self._picture[rows], return_inverse=True)
        found = np.empty((len(pictures), _WIDTH), dtype=np.int64)
        k = min(_WIDTH + _SLACK, len(self._first))
        for block in blocks(len(pictures), _BLOCK):
            asked = self._first[pictures[block]]
            vectors = self._steps[asked]
            if self._partition is None or self._cells is None:
                dots, near = self._index.search(vectors, k)
            else:
                cells = self._partition.searched[asked].astype(np.int64)
                search = self._index.search_preassigned  # pyright: ignore[reportAttributeAccessIssue] - of IVF only
                dots, near = search(vectors, k, cells, None)
            shown = np.where(near[:, :, None] < 0, NONE, self._shown_by[near])
            ranks = best(ranked(dots[:, :, None], shown).reshape(len(asked), -1), _WIDTH)
            # Of ties at the end of its results the index may have omitted lower rows.
            last, _ = unranked(ranks[:, -1])
            cut = (last <= dots[:, -1]) & (dots[:, -1] > 0) & (k < len(self._first))
            ranks[cut] = _compared(self._steps, asked[cut], self._partition)
            found[block] = ranks
        return found[of_row]


def _first_of_each(
    rows: NDArray[np.int64], of_row: NDArray[np.int64], *, n: int
) -> NDArray[np.int64]:
    """Return the first 21 rows of each of ``n`` pictures, shape ``(n, at most 21)``."""
    order = np.argsort(of_row, kind="stable")
    counts = np.bincount(of_row, minlength=n)
    place = np.arange(len(rows)) - np.repeat(np.cumsum(counts) - counts, counts)
    shown_by = np.full((n, min(int(counts.max(initial=1)), _WIDTH)), NONE)
    among_first = place < _WIDTH
    shown_by[of_row[order][among_first], place[among_first]] = rows[order][among_first]
    return shown_by


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
        rows: Candidate rows, shape ``(m,)``.
        k: Number of neighbours.

    Returns:
        At most ``k`` rows, most similar first, and their cosine similarities; rows with a
        similarity of 0 or less are omitted.
    """
    if not len(rows):
        return rows, np.empty(0, dtype=np.float32)
    similarities, found = faiss.knn(
        vector[None], embeddings.take(rows, axis=0), min(k, len(rows)), faiss.METRIC_INNER_PRODUCT
    )
    alike = similarities[0] > 0
    return rows[found[0][alike]], similarities[0][alike]
