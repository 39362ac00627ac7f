"""Evaluation of boosted trees by tables of bit masks (QuickScorer), without walking nodes."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Self

import numpy as np
from numpy.typing import NDArray

# One bit each of a 64-bit word.
MAX_LEAVES: Final = 64
"""Maximum number of leaves of a tree."""

# One word per row and tree: a block stays in the second-level cache.
_ROWS_AT_ONCE: Final = 512
# The smallest word that holds the leaves of a tree: tables of small trees stay in the cache.
_WIDTHS: Final = (8, 16, 32, 64)
# LightGBM's decision_type: bit 0 and bit 1, then two bits of the missing type.
_CATEGORICAL, _DEFAULT_LEFT = 1, 2
_ZERO_IS_MISSING, _NAN_IS_MISSING = 1, 2

Word = np.unsignedinteger


@dataclass(frozen=True, slots=True)
class Split:
    """Inner node of a tree: values above its threshold go right.

    Attributes:
        column: Index of its feature.
        threshold: Values above it go right.
        nan_right: Whether an unknown value goes right.
        left_leaves: Bits of the leaves below its left child; leaves are numbered from the left.
    """

    column: int
    threshold: float
    nan_right: bool
    left_leaves: int


@dataclass(frozen=True, slots=True)
class Tree:
    """A decision tree.

    Attributes:
        splits: Its inner nodes.
        leaf_values: Log-odds that each leaf adds, from left to right.
    """

    splits: tuple[Split, ...]
    leaf_values: tuple[float, ...]


@dataclass(frozen=True, eq=False)
class TreeTables:
    """One or more boosted models over the same features.

    A leaf is reachable as long as no split above it, with the leaf on its left, sends the row
    right. For every feature and every interval between its thresholds, one table row holds the
    reachable leaves of all trees as bits. The bitwise AND of one row of each table has, as its
    lowest set bit, the leaf that each tree ends in. For a feature that is equal in all rows, as
    those of the customer are, the table is read once.

    Attributes:
        columns: Features that any tree splits on.
        thresholds: Smallest float32 above each threshold of such a feature, ascending,
            and NaN at the end.
        tables: Reachable leaves, shape ``(n_thresholds + 2, n_trees)`` for each feature;
            the last row is for NaN.
        leaf_values: Values of all leaves, one tree after the other.
        first_leaves: Index of the first leaf of each tree, shape ``(n_trees,)``.
        models: Slice of the trees of each model.

    Source:
        Lucchese et al., QuickScorer: a fast algorithm to rank documents with additive
        ensembles of regression trees, SIGIR 2015; here with tables instead of scans.
    """

    columns: tuple[int, ...]
    thresholds: tuple[NDArray[np.float32], ...]
    tables: tuple[NDArray[Word], ...]
    leaf_values: NDArray[np.float64]
    first_leaves: NDArray[np.intp]
    models: tuple[slice, ...]

    @classmethod
    def from_texts(cls, texts: Sequence[str]) -> Self:
        """Read models in LightGBM's text format.

        Raises:
            ValueError: If a text is malformed, a tree has more than `MAX_LEAVES` leaves,
                or a split is of a kind that ``training.ranker.fit_trees`` does not make.
        """
        models = [list(read_trees(text)) for text in texts]
        trees = [tree for model in models for tree in model]
        sizes = [len(tree.leaf_values) for tree in trees]
        splits: dict[int, list[tuple[int, Split]]] = {}
        for index, tree in enumerate(trees):
            for split in tree.splits:
                splits.setdefault(split.column, []).append((index, split))
        columns = tuple(sorted(splits))
        width = next(width for width in _WIDTHS if max(sizes, default=1) <= width)
        word = np.dtype(f"u{width // 8}").type
        read = [_table(splits[c], n_trees=len(trees), word=word) for c in columns]
        ends = np.cumsum([len(model) for model in models]).tolist()
        return cls(
            columns=columns,
            thresholds=tuple(thresholds for thresholds, _ in read),
            tables=tuple(table for _, table in read),
            leaf_values=np.concatenate([tree.leaf_values for tree in trees]),
            first_leaves=np.cumsum([0, *sizes[:-1]], dtype=np.intp),
            models=tuple(slice(e - len(m), e) for e, m in zip(ends, models, strict=True)),
        )

    def log_odds(self, matrix: NDArray[np.float32]) -> NDArray[np.float64]:
        """Sum the values of the leaves that rows end in.

        Args:
            matrix: Features, shape ``(n, n_features)``; NaN where unknown.

        Returns:
            Log-odds by model, shape ``(n_models, n)``; a row does not depend on the others.
        """
        sums = np.empty((len(self.models), len(matrix)))
        for start in range(0, len(matrix), _ROWS_AT_ONCE):
            part = slice(start, start + _ROWS_AT_ONCE)
            # Bits of the leaves of every row and tree, shape (n_rows, n_trees).
            reachable = self._reachable(np.ascontiguousarray(matrix[part].T))
            # Index of the lowest set bit: popcount of the zeros below it.
            lowest = np.bitwise_count(~reachable & (reachable - reachable.dtype.type(1)))
            values = self.leaf_values.take(lowest + self.first_leaves)
            for model, trees in enumerate(self.models):
                np.sum(values[:, trees], axis=1, out=sums[model, part])
        return sums

    def _reachable(self, features: NDArray[np.float32]) -> NDArray[Word]:
        shape = features.shape[1], len(self.first_leaves)
        shared = np.full(shape[1], -1, dtype=np.int64).astype(self._word)
        reachable: NDArray[Word] | None = None
        buffer = np.empty(shape, dtype=self._word)
        # By their bits, so that NaN equals NaN.
        bits = features.view(np.uint32)
        is_same = (bits == bits[:, :1]).all(axis=1)
        for column, thresholds, table in zip(
            self.columns, self.thresholds, self.tables, strict=True
        ):
            if is_same[column]:
                shared &= table[_intervals(thresholds, features[column, :1])[0]]
                continue
            places = _intervals(thresholds, features[column])
            if reachable is None:
                reachable = table.take(places, axis=0)
            else:
                # ``mode="clip"`` only avoids numpy's buffered bounds check: places are in range.
                table.take(places, axis=0, out=buffer, mode="clip")
                reachable &= buffer
        return np.broadcast_to(shared, shape) if reachable is None else reachable & shared

    @property
    def _word(self) -> type[Word]:
        return self.tables[0].dtype.type if self.tables else np.uint8


def read_trees(text: str) -> Iterator[Tree]:
    """Read the trees of a model in LightGBM's text format.

    Raises:
        ValueError: See `TreeTables.from_texts`.
    """
    blocks = re.split(r"^Tree=\d+$", text.partition("\nend of trees")[0], flags=re.MULTILINE)
    for index, block in enumerate(blocks[1:]):
        fields = dict(re.findall(r"^(\w+)=(.*)$", block, re.MULTILINE))
        try:
            yield _tree(fields)
        except (KeyError, IndexError, ValueError) as exc:
            msg = f"malformed ranker: tree {index}: {exc!r}"
            raise ValueError(msg) from exc


def _tree(fields: Mapping[str, str]) -> Tree:
    values = [float(value) for value in fields["leaf_value"].split()]
    if not 0 < len(values) <= MAX_LEAVES:
        msg = f"{len(values)} leaves, at most {MAX_LEAVES} are supported"
        raise ValueError(msg)
    if len(values) == 1:
        return Tree((), tuple(values))
    left, right, columns, kinds = (
        [int(value) for value in fields[name].split()]
        for name in ("left_child", "right_child", "split_feature", "decision_type")
    )
    thresholds = [float(value) for value in fields["threshold"].split()]
    order, below = _leaves_from_left(left, right)
    splits: list[Split] = []
    for node, (column, threshold, kind) in enumerate(zip(columns, thresholds, kinds, strict=True)):
        missing = kind >> 2
        if kind & _CATEGORICAL or missing == _ZERO_IS_MISSING:
            msg = f"decision type {kind} is not supported"
            raise ValueError(msg)
        # LightGBM reads NaN as 0 for a feature that had no NaN in training.
        nan_right = not kind & _DEFAULT_LEFT if missing == _NAN_IS_MISSING else threshold < 0
        splits.append(Split(column, threshold, nan_right, below[node]))
    return Tree(tuple(splits), tuple(values[leaf] for leaf in order))


def _leaves_from_left(left: list[int], right: list[int]) -> tuple[list[int], dict[int, int]]:
    # The leaves from left to right, and the left leaves' bits of each node.
    order: list[int] = []
    below: dict[int, int] = {}

    def visit(node: int) -> int:
        if node < 0:  # LightGBM's leaves are the complements of their numbers
            order.append(~node)
            return 1 << (len(order) - 1)
        below[node] = visit(left[node])
        return below[node] | visit(right[node])

    visit(0)
    return order, below


def _table(
    splits: list[tuple[int, Split]], *, n_trees: int, word: type[Word]
) -> tuple[NDArray[np.float32], NDArray[Word]]:
    # The smallest float32 above each threshold, as features are float32. NaN stands above infinity:
    # a split at infinity separates known from unknown values.
    exact = np.array([split.threshold for _, split in splits])
    with np.errstate(over="ignore"):
        rounded = exact.astype(np.float32)
    above = np.where(rounded > exact, rounded, np.nextafter(rounded, np.float32(np.inf)))
    above = np.where(np.isposinf(exact), np.float32(np.nan), above)
    thresholds, places = np.unique(above, return_inverse=True)
    everything = (1 << 8 * np.dtype(word).itemsize) - 1
    table = np.full((len(thresholds) + 2, n_trees), everything, dtype=word)
    for place, (tree, split) in zip(places.tolist(), splits, strict=True):
        # Rows above the threshold go right: they cannot reach the leaves on the left.
        reachable = word(everything ^ split.left_leaves)
        table[place + 1 : -1, tree] &= reachable
        if split.nan_right:
            table[-1, tree] &= reachable
    return np.append(thresholds, np.float32(np.nan)), table


def _intervals(thresholds: NDArray[np.float32], values: NDArray[np.float32]) -> NDArray[np.intp]:
    return thresholds.searchsorted(values, side="right")
