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

_TINY: Final = 1e-9


@dataclass(frozen=True)
class Calibration:
    """A straight line over log-odds, fitted on an out-of-time slice.

    Attributes:
        slope: Multiplies the log-odds, positive.
        intercept: Is added to them; also undoes the sampling of negatives.
    """

    slope: float
    intercept: float

    def apply(self, probabilities: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return calibrated probabilities in ``(0, 1)``, same shape."""
        clipped = np.clip(probabilities, _TINY, 1 - _TINY)
        log_odds = np.log(clipped / (1 - clipped))
        return sigmoid(self.slope * log_odds + self.intercept)


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

    def probabilities(self, matrix: NDArray[np.float32]) -> NDArray[np.float64]:
        """Return P(buys) of each row; see `Ranker`."""
        (log_odds,) = self.tables.log_odds(matrix)
        return self.calibration.apply(sigmoid(log_odds))

    def contributions(self, matrix: NDArray[np.float32]) -> NDArray[np.float64]:
        """Return what each feature adds to the log-odds; see `Ranker`. Exact Shapley values."""
        shape = len(matrix), len(self.feature_names) + 1
        if not len(matrix):
            return np.empty(shape)
        added = self.booster.predict(matrix, pred_contrib=True, num_threads=1)
        scaled = self.calibration.slope * np.asarray(added, dtype=np.float64).reshape(shape)
        scaled[:, -1] += self.calibration.intercept
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
    n_threads: int = 1,
) -> lightgbm.Booster:
    """Fit trees on one slice of time and stop early on the next.

    Args:
        fitting: Examples to learn from.
        stopping: Later examples; their log loss decides on the number of trees.
        names: Feature names, by column.
        decreasing: Names whose effect may only be negative.
        config: Hyper-parameters.
        seed: Seed of row and feature sampling.
        n_threads: Threads; results are the same, to the byte, for any number.

    Returns:
        The trees up to the best iteration.
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
        callbacks=[lightgbm.early_stopping(config.patience, verbose=False)],
    )
    # Without the rounds after the best one: what is stored is what is used.
    text = booster.model_to_string(num_iteration=booster.best_iteration)
    # Its list of parameters would tell the bundles of two machines apart that are the same.
    text = text.replace(f"[num_threads: {n_threads}]", "[num_threads: 1]")
    return lightgbm.Booster(model_str=text)


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
