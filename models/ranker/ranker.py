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

from models.ranker.linear_offset import LinearOffset
from models.ranker.trees import MAX_LEAVES, TreeTables

Booster = lightgbm.Booster
"""Boosted trees, as `fit_trees` makes them: they add to a margin."""

POSITION: Final = "position"
"""The feature that is a bias: where a sale was shown, from 1."""


_SURE: Final = 1 - 1e-12


@dataclass(frozen=True)
class Calibration:
    """A straight line over the log-odds at position 1, fitted on an out-of-time slice.

    Attributes:
        slope: Multiplies the log-odds, positive.
        intercept: Is added to them; also undoes the sampling of negatives.
    """

    slope: float
    intercept: float

    def apply(self, log_odds: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return ``sigmoid(slope * log_odds + intercept)``, same shape."""
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
    """Gradient-boosted trees on top of a straight line, with calibrated log-odds.

    Attributes:
        booster: The trees; they do not look at the position.
        calibration: Applied to the sum of both.
        margin: What the trees are added to.
    """

    booster: lightgbm.Booster
    calibration: Calibration
    margin: LinearOffset

    @classmethod
    def from_text(cls, model: str, calibration: str, margin: LinearOffset) -> Self:
        """Read the trees from LightGBM's text format and the calibration from JSON.

        Args:
            model: The trees.
            calibration: The calibration.
            margin: What the trees are added to.

        Raises:
            ValueError: If a text is malformed.
        """
        _require_whole_trees(model)
        try:
            booster = lightgbm.Booster(model_str=model)
            line = json.loads(calibration)
            read = Calibration(float(line["slope"]), float(line["intercept"]))
        except (lightgbm.basic.LightGBMError, KeyError, TypeError) as exc:
            msg = f"malformed ranker: {exc}"
            raise ValueError(msg) from exc
        return cls(booster, read, margin)

    def to_text(self) -> tuple[str, str]:
        """Return the texts that `from_text` reads."""
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
        """The trees as they are evaluated; see `models.ranker.trees`."""
        return TreeTables.of([self.booster.model_to_string()])

    def log_odds(self, matrix: NDArray[np.float32]) -> NDArray[np.float64]:
        """Return log-odds at position 1, uncalibrated, shape ``(n_sales,)``."""
        return self.margin.log_odds(matrix) + self.tables.log_odds(matrix)[0]

    def probabilities(self, matrix: NDArray[np.float32]) -> NDArray[np.float64]:
        """Return P(buys) of each row; see `Ranker`."""
        return self.looks(matrix) * self.calibration.apply(self.log_odds(matrix))

    def looks(self, matrix: NDArray[np.float32]) -> NDArray[np.float64]:
        """Return P(looks) where rows were shown; see `LinearOffset.looks`."""
        return self.margin.looks(matrix)

    def contributions(self, matrix: NDArray[np.float32]) -> NDArray[np.float64]:
        """Return what each feature adds to the log-odds; see `Ranker`."""
        return calibrated(self, matrix, added=self.added(matrix))

    def added(self, matrix: NDArray[np.float32]) -> NDArray[np.float64]:
        """Return what each feature adds to `log_odds`: see `Ranker.contributions`.

        Exact Shapley values of the trees, and the terms of the straight line.
        """
        shape = len(matrix), len(self.feature_names) + 1
        if not len(matrix):
            return np.empty(shape)
        added = self.booster.predict(matrix, pred_contrib=True, num_threads=1)
        trees = np.asarray(added, dtype=np.float64).reshape(shape)
        return self.margin.regression.contributions(matrix) + trees


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
        """Return log-odds at position 1, shape ``(n_sales,)``."""
        ...

    def looks(self, matrix: NDArray[np.float32]) -> NDArray[np.float64]:
        """Return what the position multiplies the chances by, shape ``(n_sales,)``."""
        ...


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
    looks = ranker.looks(matrix)
    if np.any(looks != 1):
        place, chances = ranker.feature_names.index(POSITION), sigmoid(scaled.sum(axis=1))
        scaled[:, place] += np.log(looks * (1 - chances) / (1 - looks * chances))
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
    leaves: int = Field(default=7, gt=1, le=MAX_LEAVES, description="Leaves of a tree.")
    learning_rate: float = Field(default=0.04, gt=0, le=1, description="Weight of a tree.")
    min_rows_per_leaf: int = Field(default=300, gt=0, description="Examples that a leaf needs.")
    l2: float = Field(default=50.0, ge=0, description="Shrinks leaves of few purchases.")
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
    stopping: TrainingRows | None,
    *,
    names: Sequence[str],
    decreasing: frozenset[str],
    config: TreeConfig,
    seed: int,
    margin: LinearOffset,
    n_threads: int = 1,
) -> Booster:
    """Fit trees to what a margin leaves on one slice of time, and stop on the next.

    They do not look at `POSITION`, which is the margin's.

    Args:
        fitting: Examples to learn from.
        stopping: Later examples; their log loss decides on the number of trees. Without any
            there are as many as the configuration allows.
        names: Feature names, by column.
        decreasing: Names whose effect may only be negative.
        config: Hyper-parameters.
        seed: Seed of row and feature sampling.
        margin: What the trees are added to.
        n_threads: Threads; results are the same, to the byte, for any number.

    Returns:
        The trees, up to the best iteration where later examples stop them.
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
        "feature_contri": [0.0 if name == POSITION else 1.0 for name in names],
        "seed": seed,
        "deterministic": True,
        "force_row_wise": True,
        "num_threads": n_threads,
        "verbosity": -1,
    }
    train = _dataset(fitting, names, margin)
    later = [_dataset(stopping, names, margin, reference=train)] if stopping else []
    booster = lightgbm.train(
        parameters,
        train,
        num_boost_round=config.max_trees,
        valid_sets=later,
        callbacks=[lightgbm.early_stopping(config.patience, verbose=False)] if later else [],
    )
    # Without the rounds after the best one: what is stored is what is used.
    text = booster.model_to_string(num_iteration=booster.best_iteration if later else -1)
    # Its list of parameters would tell the bundles of two machines apart that are the same.
    text = text.replace(f"[num_threads: {n_threads}]", "[num_threads: 1]")
    return lightgbm.Booster(model_str=text)


def _dataset(
    rows: TrainingRows,
    names: Sequence[str],
    margin: LinearOffset,
    *,
    reference: lightgbm.Dataset | None = None,
) -> lightgbm.Dataset:
    log_odds = margin.log_odds(rows.matrix)
    seen = seen_shares(sigmoid(log_odds), looks=margin.looks(rows.matrix), labels=rows.labels)
    return lightgbm.Dataset(
        rows.matrix,
        label=rows.labels,
        weight=rows.weights * seen,
        init_score=log_odds,
        feature_name=list(names),
        reference=reference,
    )


def seen_shares(
    chances: NDArray[np.float64], *, looks: NDArray[np.float64], labels: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return P(looked at | success or not), shape ``(n,)``.

    Who succeeds was looked at. Of the others ``looks * (1 - chance)`` were, of
    ``1 - looks * chance``: what was passed over says as little as it was looked at.

    Args:
        chances: P(success | looked at), shape ``(n,)``.
        looks: P(looked at), same shape.
        labels: 1 for a success, same shape.

    Source:
        The expectation step of Wang et al., Position Bias Estimation for Unbiased Learning to
        Rank in Personal Search, WSDM 2018.
    """
    unsure = np.minimum(chances, _SURE)
    return np.where(labels > 0, 1.0, looks * (1 - unsure) / (1 - looks * unsure))
