"""The meta-model: purchase probability from features; the only module that imports ``lightgbm``."""
# pyright: reportUnknownMemberType=false

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Final, Protocol, Self

import lightgbm
import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from models.trees import MAX_LEAVES, TreeTables

Booster = lightgbm.Booster
"""Boosted trees, as `fit_trees` makes them."""

POSITION: Final = "position"
"""The feature that is a bias: where a sale was shown, from 1."""


@dataclass(frozen=True)
class Calibration:
    """A straight line over the log-odds at position 1, fitted on an out-of-time slice.

    What another position adds is left as it is: a slope that made up for shrunken tastes would
    stretch it, and what was learned far down the list would come out too high at position 1.

    Attributes:
        slope: Multiplies the log-odds, positive.
        intercept: Is added to them; also undoes the sampling of negatives.
    """

    slope: float
    intercept: float

    def apply(
        self, log_odds: NDArray[np.float64], first: NDArray[np.float64]
    ) -> NDArray[np.float64]:
        """Return calibrated probabilities.

        Args:
            log_odds: As shown, shape ``(n,)``.
            first: The same sales at position 1, same shape.

        Returns:
            ``sigmoid(slope * first + intercept + log_odds - first)``, same shape.
        """
        return sigmoid(self.slope * first + self.intercept + (log_odds - first))


def sigmoid(log_odds: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the probabilities of log-odds, same shape."""
    return 1.0 / (1.0 + np.exp(-log_odds))


class Ranker(Protocol):
    """Turns feature matrices into purchase probabilities."""

    def probabilities(self, matrix: NDArray[np.float32]) -> NDArray[np.float64]:
        """Return P(buys) of each row, shape ``(n_sales,)``."""
        ...

    def contributions(self, matrix: NDArray[np.float32]) -> NDArray[np.float64]:
        """Return what each feature adds to the log-odds of P(buys).

        It takes about a millisecond a row.

        Args:
            matrix: Features, shape ``(n_sales, n_features)``.

        Returns:
            Shape ``(n_sales, n_features + 1)``; the last column is the base, the same in
            all rows, and a row sums to its log-odds.
        """
        ...


@dataclass(frozen=True)
class LightGbmRanker:
    """Gradient-boosted trees with calibrated log-odds.

    Attributes:
        booster: The trees.
        calibration: Applied to their probabilities.
    """

    booster: lightgbm.Booster
    calibration: Calibration

    @classmethod
    def from_text(cls, model: str, calibration: str) -> Self:
        """Read the trees from LightGBM's text format and the calibration from JSON.

        Raises:
            ValueError: If either is malformed.
        """
        _require_whole_trees(model)
        try:
            booster = lightgbm.Booster(model_str=model)
            line = json.loads(calibration)
            return cls(booster, Calibration(float(line["slope"]), float(line["intercept"])))
        except (lightgbm.basic.LightGBMError, KeyError, TypeError) as exc:
            msg = f"malformed ranker: {exc}"
            raise ValueError(msg) from exc

    def to_text(self) -> tuple[str, str]:
        """Return what `from_text` reads."""
        line = {"slope": self.calibration.slope, "intercept": self.calibration.intercept}
        return self.booster.model_to_string(), json.dumps(line)

    @property
    def feature_names(self) -> tuple[str, ...]:
        """Names of the columns that the trees expect, in order."""
        return tuple(self.booster.feature_name())

    @property
    def n_trees(self) -> int:
        """Number of trees."""
        return self.booster.num_trees()

    @cached_property
    def tables(self) -> TreeTables:
        """The trees as they are evaluated; see `models.trees`."""
        return TreeTables.of([self.booster.model_to_string()])

    def log_odds(self, matrix: NDArray[np.float32]) -> NDArray[np.float64]:
        """Return what the trees say, uncalibrated, shape ``(n_sales,)``."""
        return self.tables.log_odds(matrix)[0]

    def probabilities(self, matrix: NDArray[np.float32]) -> NDArray[np.float64]:
        """Return P(buys) of each row; see `Ranker`."""
        return self.calibration.apply(*shown_and_first(self, matrix))

    def contributions(self, matrix: NDArray[np.float32]) -> NDArray[np.float64]:
        """Return what each feature adds to the log-odds; see `Ranker`. Exact Shapley values."""
        shape = len(matrix), len(self.feature_names) + 1
        if not len(matrix):
            return np.empty(shape)
        added = self.booster.predict(matrix, pred_contrib=True, num_threads=1)
        return calibrated(self, matrix, added=np.asarray(added, dtype=np.float64).reshape(shape))


class Uncalibrated(Protocol):
    """A meta-model whose log-odds are yet to be calibrated."""

    @property
    def feature_names(self) -> tuple[str, ...]:
        """Names of the columns, in order."""
        ...

    @property
    def calibration(self) -> Calibration:
        """Applied to the log-odds."""
        ...

    def log_odds(self, matrix: NDArray[np.float32]) -> NDArray[np.float64]:
        """Return log-odds, shape ``(n_sales,)``."""
        ...


def shown_and_first(
    ranker: Uncalibrated, matrix: NDArray[np.float32]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return log-odds of rows as they are, and of the same rows at position 1.

    When serving every position is 1, and both are computed once.

    Args:
        ranker: The meta-model.
        matrix: Features, shape ``(n_sales, n_features)``.
    """
    shown = ranker.log_odds(matrix)
    if POSITION not in ranker.feature_names:
        return shown, shown
    column = ranker.feature_names.index(POSITION)
    if np.all(matrix[:, column] == 1):
        return shown, shown
    first = matrix.copy()
    first[:, column] = 1
    return shown, ranker.log_odds(first)


def calibrated(
    ranker: Uncalibrated, matrix: NDArray[np.float32], *, added: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Calibrate contributions, so that they sum to the calibrated log-odds.

    Args:
        ranker: The meta-model.
        matrix: Features, shape ``(n_sales, n_features)``.
        added: What each feature adds to uncalibrated log-odds, the base last, shape
            ``(n_sales, n_features + 1)``.
    """
    scaled = ranker.calibration.slope * added
    scaled[:, -1] += ranker.calibration.intercept
    shown, first = shown_and_first(ranker, matrix)
    if shown is not first:
        place = ranker.feature_names.index(POSITION)
        scaled[:, place] += (1 - ranker.calibration.slope) * (shown - first)
    return scaled


def _require_whole_trees(model: str) -> None:
    """Check the sizes that the text gives of its trees.

    LightGBM reads trees of wrong sizes in threads, where its own check ends the process.
    """
    sizes = re.search(r"^tree_sizes=([\d ]*)$", model, re.MULTILINE)
    start = model.find("\nTree=") + 1
    if sizes is None or not start:
        msg = "malformed ranker: no trees, or no tree_sizes"
        raise ValueError(msg)
    for index, size in enumerate(map(int, sizes[1].split())):
        if not model.startswith(f"Tree={index}\n", start):
            msg = f"malformed ranker: tree {index} does not start where tree_sizes says"
            raise ValueError(msg)
        start += size
    if not model.startswith("end of trees", start):
        msg = "malformed ranker: trees do not end where tree_sizes says"
        raise ValueError(msg)


@dataclass(frozen=True)
class TrainingRows:
    """Examples for `fit_trees`.

    Attributes:
        matrix: Features, shape ``(n, n_features)``.
        labels: 1 if bought, shape ``(n,)``.
        weights: Weight of each example, shape ``(n,)``.
    """

    matrix: NDArray[np.float32]
    labels: NDArray[np.float64]
    weights: NDArray[np.float64]

    def select(self, chosen: NDArray[np.bool_]) -> Self:
        """Return the examples of a mask; those of all are not copied, as they fill the memory."""
        if chosen.all():
            return self
        return type(self)(self.matrix[chosen], self.labels[chosen], self.weights[chosen])


class TreeConfig(BaseModel):
    """Hyper-parameters of the trees."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    max_trees: int = Field(default=600, gt=0, description="Trees at most; stopping keeps fewer.")
    leaves: int = Field(default=15, gt=1, le=MAX_LEAVES, description="Leaves of a tree.")
    learning_rate: float = Field(default=0.04, gt=0, le=1, description="Weight of a tree.")
    min_rows_per_leaf: int = Field(default=60, gt=0, description="Examples that a leaf needs.")
    l2: float = Field(default=10.0, ge=0, description="Shrinks leaves of few purchases.")
    feature_share: float = Field(
        default=0.6, gt=0, le=1, description="Share of the features that a tree may use."
    )
    row_share: float = Field(
        default=0.8, gt=0, le=1, description="Share of the examples that a tree is fitted on."
    )
    patience: int = Field(
        default=60, gt=0, description="Trees without a better held-out log loss before it stops."
    )


def fit_trees(
    fitting: TrainingRows,
    stopping: TrainingRows,
    *,
    names: Sequence[str],
    decreasing: frozenset[str],
    config: TreeConfig,
    seed: int,
    first: Booster | None = None,
    n_threads: int = 1,
) -> Booster:
    """Fit trees on one slice of time and stop early on the next.

    Args:
        fitting: Examples to learn from.
        stopping: Later examples; their log loss decides on the number of trees.
        names: Feature names, by column.
        decreasing: Names whose effect may only be negative.
        config: Hyper-parameters.
        seed: Seed of row and feature sampling.
        first: A tree that is taken as it is; the others are fitted to what it leaves.
        n_threads: Threads; results are the same, to the byte, for any number.

    Returns:
        The trees up to the best iteration, the given one first.
    """
    parameters = {
        "objective": "binary",
        "num_leaves": config.leaves,
        "learning_rate": config.learning_rate,
        "min_data_in_leaf": config.min_rows_per_leaf,
        "lambda_l2": config.l2,
        "feature_fraction": config.feature_share,
        "bagging_fraction": config.row_share,
        "bagging_freq": 1,
        "monotone_constraints": [-1 if name in decreasing else 0 for name in names],
        "seed": seed,
        "deterministic": True,
        "force_row_wise": True,
        "num_threads": n_threads,
        "verbosity": -1,
    }
    train = _dataset(fitting, names)
    booster = lightgbm.train(
        parameters,
        train,
        num_boost_round=config.max_trees,
        valid_sets=[_dataset(stopping, names, reference=train)],
        init_model=first,
        callbacks=[lightgbm.early_stopping(config.patience, verbose=False)],
    )
    # Without the rounds after the best one: what is stored is what is used.
    text = booster.model_to_string(num_iteration=booster.best_iteration)
    # Its list of parameters would tell the bundles of two machines apart that are the same.
    text = text.replace(f"[num_threads: {n_threads}]", "[num_threads: 1]")
    return lightgbm.Booster(model_str=text)


def step_tree(
    rows: TrainingRows, column: int, *, log_odds: NDArray[np.float64], names: Sequence[str]
) -> Booster:
    """Write log-odds that depend on one whole number as a tree; see ``first`` of `fit_trees`.

    Args:
        rows: Examples, whose numbers say what the average of the log-odds is.
        column: Which feature the number is.
        log_odds: At 1, 2, and so on, not rising; larger numbers are taken for the last one,
            shape ``(n,)`` with ``n`` up to `MAX_LEAVES`.
        names: Feature names, by column.
    """
    # By column, so that nothing but the numbers takes memory.
    alone = np.zeros(rows.matrix.shape, dtype=np.float32, order="F")
    alone[:, column] = rows.matrix[:, column]
    steps = np.minimum(rows.matrix[:, column].astype(np.int64), len(log_odds)) - 1
    parameters = {
        "objective": "regression",
        "boost_from_average": False,
        "num_leaves": max(len(log_odds), 2),
        "learning_rate": 1.0,
        "min_data_in_leaf": 1,
        "min_data_in_bin": 1,
        "min_sum_hessian_in_leaf": 0.0,
        "deterministic": True,
        "force_row_wise": True,
        "num_threads": 1,
        "verbosity": -1,
    }
    told = lightgbm.Dataset(alone, label=log_odds[steps], feature_name=list(names))
    return lightgbm.train(parameters, told, num_boost_round=1)


def _dataset(
    rows: TrainingRows, names: Sequence[str], reference: lightgbm.Dataset | None = None
) -> lightgbm.Dataset:
    return lightgbm.Dataset(
        rows.matrix,
        label=rows.labels,
        weight=rows.weights,
        feature_name=list(names),
        reference=reference,
    )
