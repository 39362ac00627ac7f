"""Forests: a tree by hand, LightGBM's own sums to the bit, and what is refused."""
# pyright: reportUnknownMemberType=false

from functools import cache

import lightgbm
import numpy as np
import pytest
from numpy.typing import NDArray

from models.ranker.forest import Forest, read_trees
from tests.builders import flat_offset
from training.configuration import TreeConfig
from training.ranker.fit_trees import fit_trees
from training.ranker.training_rows import TrainingRows

N_COLUMNS = 6
ALWAYS_KNOWN = 0
CONSTANT = 4

# Column 0 at most 2.5? Then 1, else: column 1 at most -1, or unknown? Then 10, else 100.
BY_HAND = """tree
Tree=0
num_leaves=3
split_feature=0 1
threshold=2.5 -1
decision_type=0 10
left_child=-1 -2
right_child=1 -3
leaf_value=1 10 100

Tree=1
num_leaves=1
leaf_value=1000

end of trees
"""


def compiled(*texts: str) -> Forest:
    return Forest.from_trees([list(read_trees(text)) for text in texts])


def matrix(n: int, rng: np.random.Generator) -> NDArray[np.float32]:
    """Features with unknown values everywhere but in one column, and one that is constant."""
    values = rng.normal(size=(n, N_COLUMNS)).astype(np.float32)
    values[rng.random(values.shape) < 0.2] = np.nan
    values[:, ALWAYS_KNOWN] = rng.integers(-3, 4, size=n)
    values[:, CONSTANT] = 1.0
    return values


@cache
def booster(leaves: int, seed: int) -> lightgbm.Booster:
    """Trees fitted to noise and to where a value is unknown."""
    rng = np.random.default_rng(seed)
    values = matrix(2_000, rng)
    chances = np.nan_to_num(values).sum(axis=1) / 10 + np.isnan(values[:, 1]) * 0.3
    rows = TrainingRows(
        values, (rng.random(2_000) < 0.3 + chances).astype(np.float64), np.ones(2_000)
    )
    config = TreeConfig(max_trees=25, leaves=leaves, min_rows_per_leaf=5, learning_rate=0.3)
    names = [f"f{column}" for column in range(N_COLUMNS)]
    return fit_trees(
        rows,
        rows,
        names=names,
        decreasing=frozenset(),
        config=config,
        seed=seed,
        offset=flat_offset(N_COLUMNS),
    )


def raw(model: lightgbm.Booster, values: NDArray[np.float32]) -> NDArray[np.float64]:
    return np.asarray(model.predict(values, raw_score=True, num_threads=1), dtype=np.float64)


@pytest.mark.parametrize(
    ("first", "second", "expected"),
    [
        (2.5, 0.0, 1001.0),
        (2.5000002, 0.0, 1100.0),
        (3.0, -1.0, 1010.0),
        (3.0, -0.9999999, 1100.0),
        (3.0, np.nan, 1010.0),
        (np.nan, 5.0, 1001.0),
        (np.inf, -np.inf, 1010.0),
        (-np.inf, np.inf, 1001.0),
    ],
)
def test_a_row_ends_in_the_leaf_that_a_walk_ends_in(
    first: float, second: float, expected: float
) -> None:
    """Column 0 was always known in training: unknown stands for zero there."""
    values = np.array([[first, second]], dtype=np.float32)

    assert compiled(BY_HAND).log_odds(values).tolist() == [[expected]]


@pytest.mark.parametrize("leaves", [4, 8, 15, 31, 64])
def test_sums_are_those_of_lightgbm_to_the_bit(leaves: int) -> None:
    models = [booster(leaves, 1), booster(leaves, 2)]
    forest = compiled(*(model.model_to_string() for model in models))
    rng = np.random.default_rng(3)
    values = matrix(1_100, rng)
    values[:, ALWAYS_KNOWN][rng.random(1_100) < 0.3] = np.nan
    values[rng.random(values.shape) < 0.05] = np.inf
    values[rng.random(values.shape) < 0.05] = -np.inf
    # The thresholds themselves, and the next values above. LightGBM takes what is below 1e-35 for
    # 0.
    thresholds = forest.splits["threshold"]
    for place, column in enumerate(forest.used.tolist()):
        own = thresholds[(forest.splits["column"] == place) & (np.abs(thresholds) > 1e-30)]
        edges = rng.choice(own, size=100)
        values[:100, column] = edges
        values[100:200, column] = np.nextafter(edges, np.float32(np.inf))

    expected = np.stack([raw(model, values) for model in models])
    np.testing.assert_array_equal(forest.log_odds(values), expected)


def test_a_row_has_the_same_bits_alone_and_in_company() -> None:
    """In company a column differs between rows; alone every column is constant."""
    forest = compiled(booster(15, 1).model_to_string(), booster(4, 2).model_to_string())
    values = matrix(700, np.random.default_rng(4))

    alone = [forest.log_odds(row[None])[:, 0].tolist() for row in values[480:560]]

    assert alone == forest.log_odds(values)[:, 480:560].T.tolist()


def test_rows_in_any_layout_have_the_same_sums() -> None:
    forest = compiled(booster(15, 1).model_to_string())
    values = matrix(300, np.random.default_rng(5))

    by_column = forest.log_odds(np.asfortranarray(values))

    assert by_column.tolist() == forest.log_odds(values).tolist()


def test_no_rows_have_no_sums() -> None:
    assert compiled(BY_HAND, BY_HAND).log_odds(np.empty((0, 2), np.float32)).shape == (2, 0)


def test_trees_that_look_at_nothing_add_their_only_leaf() -> None:
    text = BY_HAND[: BY_HAND.index("Tree=0")] + BY_HAND[BY_HAND.index("Tree=1") :]

    sums = compiled(text).log_odds(np.zeros((3, 2), dtype=np.float32))

    assert sums.tolist() == [[1000.0] * 3]


def test_a_matrix_without_a_feature_of_the_trees_is_refused() -> None:
    """The kernel would read memory that is not the matrix's."""
    with pytest.raises(ValueError, match="1 features, but a tree splits on feature 1"):
        compiled(BY_HAND).log_odds(np.zeros((3, 1), dtype=np.float32))


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        ("decision_type=0 10", "decision_type=1 10", "decision type 1 is not supported"),
        ("decision_type=0 10", "decision_type=0 6", "decision type 6 is not supported"),
        ("leaf_value=1 10 100", "leaf_value=" + "1 " * 65, "65 leaves, at most 64"),
        ("leaf_value=1 10 100", "leaf_value=1 ten 100", "ten"),
        ("left_child=-1 -2", "left_child=-1 7", "no tree of 3 leaves"),
        ("left_child=-1 -2", "left_child=-1 0", "no tree of 3 leaves"),
        ("left_child=-1 -2", "left_child=-1 -4", "no tree of 3 leaves"),
        ("left_child=-1 -2", "left_child=-1 -3", "no tree of 3 leaves"),
        ("left_child=-1 -2", "left_child=-1", "shorter"),
        ("split_feature=0 1", "split_feature=0 -1", "there is no feature -1"),
        ("split_feature=0 1", "split_feature=0 2147483648", "there is no feature 2147483648"),
        ("split_feature=0 1\n", "", "KeyError"),
    ],
)
def test_what_is_no_such_tree_is_refused(old: str, new: str, reason: str) -> None:
    with pytest.raises(ValueError, match=rf"malformed ranker: tree 0: .*{reason}"):
        list(read_trees(BY_HAND.replace(old, new)))
