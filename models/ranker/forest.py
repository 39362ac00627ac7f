"""Forests: the sums of boosted trees' leaves, and their evaluation by the compiled kernel.

The kernel compares as LightGBM does, and adds leaves in the order of the trees in double precision:
its results are LightGBM's to the bit, so that `models.ranker.ranker` may use either. LightGBM alone
reads values up to 1e-35 from 0 as 0: beside a threshold in that range they may go the other way.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Final, Self

import numpy as np
from numpy.typing import NDArray

from models.kernel.library import ROWS_AT_ONCE, kernel
from models.kernel.steps import address

# Chosen: the places of a tree, its splits and leaves, are numbers of seven bits.
MAX_LEAVES: Final = 64
"""Maximum number of leaves of a tree; ``LEAF`` in ``forest.c``."""

# LightGBM's decision_type: bit 0 and bit 1, then two bits of the missing type.
_CATEGORICAL, _DEFAULT_LEFT = 1, 2
_ZERO_IS_MISSING, _NAN_IS_MISSING = 1, 2

_SPLIT: Final = np.dtype(
    [("column", "i4"), ("left", "i4"), ("right", "i4"), ("nan_left", "i4"), ("threshold", "f4")]
)
_TREE: Final = np.dtype([("split", "i4"), ("n_splits", "i4"), ("leaf", "i4")])

Split = tuple[int, int, int, bool, float]
"""Column, left and right child, whether unknown values go left, and the threshold.

Values up to the threshold go left. Children from 0 are splits, others complements of leaves.
"""


@dataclass(frozen=True)
class Tree:
    """A decision tree; its root is the first split, or the only leaf.

    Attributes:
        splits: Its inner nodes, each before those below it.
        leaf_values: Log-odds that each leaf adds.
    """

    splits: tuple[Split, ...]
    leaf_values: tuple[float, ...]


@dataclass(frozen=True, eq=False)
class Forest:
    """Boosted models over the same features, whose trees the kernel walks.

    A tree moves the rows of a block at each split. Where all rows have the same value, as in the
    features of the customer, one comparison does.

    Attributes:
        splits: Inner nodes of all trees, of type `_SPLIT`, columns as indices into ``used``;
            children from `MAX_LEAVES` are leaves.
        leaves: Leaf values of all trees.
        trees: Where the splits and leaves of each tree begin, of type `_TREE`.
        ends: Where the trees of each model end, shape ``(n_models,)``.
        used: Features that any tree splits on, ascending.
    """

    splits: NDArray[np.void]
    leaves: NDArray[np.float64]
    trees: NDArray[np.void]
    ends: NDArray[np.int32]
    used: NDArray[np.int32]

    @classmethod
    def from_trees(cls, models: Sequence[Sequence[Tree]]) -> Self:
        """Lay out the trees of models for the kernel."""
        splits: list[Split] = []
        leaves: list[float] = []
        trees: list[tuple[int, int, int]] = []
        for tree in (tree for model in models for tree in model):
            trees.append((len(splits), len(tree.splits), len(leaves)))
            for column, left, right, nan_left, threshold in tree.splits:
                left, right = (c if c >= 0 else MAX_LEAVES + ~c for c in (left, right))
                splits.append((column, left, right, nan_left, threshold))
            leaves += tree.leaf_values
        table = np.array(splits, dtype=_SPLIT)
        used, table["column"] = np.unique(table["column"], return_inverse=True)
        return cls(
            splits=table,
            leaves=np.array(leaves),
            trees=np.array(trees, dtype=_TREE),
            ends=np.cumsum([len(model) for model in models], dtype=np.int32),
            used=used.astype(np.int32),
        )

    def log_odds(self, matrix: NDArray[np.float32]) -> NDArray[np.float64]:
        """Sum the values of the leaves that rows end in.

        Args:
            matrix: Features, shape ``(n, n_features)``; NaN where unknown.

        Returns:
            Log-odds by model, shape ``(n_models, n)``; a row does not depend on the others.

        Raises:
            ValueError: If the matrix lacks a feature that a tree splits on.
        """
        n, n_features = matrix.shape
        if len(self.used) and self.used[-1] >= n_features:
            msg = f"{n_features} features, but a tree splits on feature {self.used[-1]}"
            raise ValueError(msg)
        features = np.ascontiguousarray(matrix, dtype=np.float32)
        sums = np.zeros((len(self.ends), n))
        columns = np.empty((len(self.used), ROWS_AT_ONCE), dtype=np.float32)
        is_shared = np.empty(len(self.used), dtype=np.uint8)
        kernel().add_leaves(
            *(*self._packed, address(features), n, n_features),
            *(address(columns), address(is_shared), address(sums)),
        )
        return sums

    @cached_property
    def _packed(self) -> tuple[int, ...]:
        # The first arguments of the kernel's function.
        tables = address(self.splits), address(self.leaves), address(self.trees)
        return (*tables, address(self.ends), len(self.ends), address(self.used), len(self.used))


def read_trees(text: str) -> Iterator[Tree]:
    """Read the trees of a model in LightGBM's text format.

    Raises:
        ValueError: If a text is malformed, a tree has more than `MAX_LEAVES` leaves, or a split is
            of a kind that ``training.ranker.fit_trees`` does not make.
    """
    blocks = re.split(r"^Tree=\d+$", text.partition("\nend of trees")[0], flags=re.MULTILINE)
    for index, block in enumerate(blocks[1:]):
        fields = dict(re.findall(r"^(\w+)=(.*)$", block, re.MULTILINE))
        try:
            yield _tree(fields)
        except (KeyError, ValueError) as exc:
            msg = f"malformed ranker: tree {index}: {exc!r}"
            raise ValueError(msg) from exc


def _tree(fields: Mapping[str, str]) -> Tree:
    values = tuple(float(value) for value in fields["leaf_value"].split())
    if not 0 < len(values) <= MAX_LEAVES:
        msg = f"{len(values)} leaves, at most {MAX_LEAVES} are supported"
        raise ValueError(msg)
    if len(values) == 1:
        return Tree((), values)
    columns, left, right, kinds = (
        [int(value) for value in fields[name].split()]
        for name in ("split_feature", "left_child", "right_child", "decision_type")
    )
    thresholds = [float(value) for value in fields["threshold"].split()]
    nodes = list(zip(columns, left, right, kinds, thresholds, strict=True))
    _require_tree(left, right, n_splits=len(values) - 1)
    for column in columns:
        if not 0 <= column <= np.iinfo(np.int32).max:
            msg = f"there is no feature {column}"
            raise ValueError(msg)
    return Tree(tuple(_split(*node) for node in nodes), values)


def _require_tree(left: list[int], right: list[int], *, n_splits: int) -> None:
    # Each split below an earlier one, and each node once: the walk then ends, in a leaf.
    n_leaves = n_splits + 1
    is_down = all(
        -n_leaves <= child < 0 or node < child < n_splits
        for node, children in enumerate(zip(left, right, strict=True))
        for child in children
    )
    if len(left) != n_splits or not is_down or len({*left, *right}) != 2 * n_splits:
        msg = f"children {left} and {right} are no tree of {n_leaves} leaves"
        raise ValueError(msg)


def _split(column: int, left: int, right: int, kind: int, threshold: float) -> Split:
    missing = kind >> 2
    if kind & _CATEGORICAL or missing == _ZERO_IS_MISSING:
        msg = f"decision type {kind} is not supported"
        raise ValueError(msg)
    # LightGBM reads NaN as 0 for a feature that had no NaN in training.
    nan_left = bool(kind & _DEFAULT_LEFT) if missing == _NAN_IS_MISSING else threshold >= 0
    return column, left, right, nan_left, _float32_up_to(threshold)


def _float32_up_to(threshold: float) -> float:
    # A float32 is at most the threshold exactly if it is at most the largest float32 that is.
    with np.errstate(over="ignore"):
        rounded = np.float32(threshold)
    if float(rounded) > threshold:  # not in float32
        rounded = np.nextafter(rounded, np.float32(-np.inf))
    return float(rounded)
