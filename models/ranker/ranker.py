"""Ranker (meta-model): P(outcome) from features, by boosted trees on a linear offset.

With `training.ranker.fit_trees` the only module that imports ``lightgbm``.
"""
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

from models.features.context import POSITION
from models.ranker.forest import Forest, read_trees
from models.ranker.linear_offset import LinearOffset
from models.ranker.position_effect import PositionEffect

# Chosen: keeps log-odds finite.
_MIN_PROBABILITY: Final = 1e-12


@dataclass(frozen=True)
class Calibration:
    """Platt scaling: a linear map of log-odds at position 1, fitted on an out-of-time slice.

    Attributes:
        slope: Factor of the log-odds, positive.
        intercept: Added to them; also corrects for the sampling of negatives.
    """

    slope: float
    intercept: float

    def apply(self, log_odds: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return ``sigmoid(slope * log_odds + intercept)``, same shape."""
        return sigmoid(self.slope * log_odds + self.intercept)


def sigmoid(log_odds: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the probabilities of log-odds, same shape."""
    return 1.0 / (1.0 + np.exp(-log_odds))


def log_odds(probabilities: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return finite log-odds of probabilities in ``[0, 1]``, same shape."""
    clipped = np.clip(probabilities, _MIN_PROBABILITY, 1.0 - _MIN_PROBABILITY)
    return np.log(clipped) - np.log1p(-clipped)


class Ranker(Protocol):
    """Maps feature matrices to purchase probabilities."""

    def probabilities(self, matrix: NDArray[np.float32]) -> NDArray[np.float64]:
        """Return P(outcome of the objective) of each row, shape ``(n_sales,)``."""
        ...

    def p_examined(self, matrix: NDArray[np.float32]) -> NDArray[np.float64]:
        """Return P(examined) at each row's position, relative to position 1, same shape."""
        ...

    @property
    def position_effect(self) -> PositionEffect:
        """P(examined) by position and device."""
        ...

    def contributions(self, matrix: NDArray[np.float32]) -> NDArray[np.float64]:
        """Return each feature's additive contribution to the log-odds of the outcome.

        Takes about a millisecond per row.

        Args:
            matrix: Features, shape ``(n_sales, n_features)``.

        Returns:
            Shape ``(n_sales, n_features + 1)``; the last column is the base, the same in
            all rows, and a row sums to its log-odds.
        """
        ...


@dataclass(frozen=True)
class LightGbmRanker:
    """Gradient-boosted trees added to a linear offset, with calibrated log-odds.

    Attributes:
        booster: The trees; they do not split on the position.
        calibration: Applied to the sum of trees and offset.
        offset: Initial log-odds.
    """

    booster: lightgbm.Booster
    calibration: Calibration
    offset: LinearOffset

    @classmethod
    def from_text(cls, model: str, calibration: str, offset: LinearOffset) -> Self:
        """Read the trees from LightGBM's text format and the calibration from JSON.

        Args:
            model: The trees.
            calibration: The calibration.
            offset: Initial log-odds.

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
        return cls(booster, read, offset)

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
    def forest(self) -> Forest:
        """The trees in the form in which they are evaluated."""
        return forest_of([self.booster])

    def log_odds(self, matrix: NDArray[np.float32]) -> NDArray[np.float64]:
        """Return log-odds at position 1, uncalibrated, shape ``(n_sales,)``."""
        return self.offset.log_odds(matrix) + self.forest.log_odds(matrix)[0]

    def probabilities(self, matrix: NDArray[np.float32]) -> NDArray[np.float64]:
        """Return P(outcome) of each row; see `Ranker`."""
        return self.p_examined(matrix) * self.calibration.apply(self.log_odds(matrix))

    @property
    def position_effect(self) -> PositionEffect:
        """P(examined) by position and device; see `Ranker`."""
        return self.offset.position_effect

    def p_examined(self, matrix: NDArray[np.float32]) -> NDArray[np.float64]:
        """Return P(examined) at each row's position; see `LinearOffset.p_examined`."""
        return self.offset.p_examined(matrix)

    def contributions(self, matrix: NDArray[np.float32]) -> NDArray[np.float64]:
        """Return each feature's additive contribution; see `Ranker`."""
        return calibrated_contributions(self, matrix, added=self.added(matrix))

    def added(self, matrix: NDArray[np.float32]) -> NDArray[np.float64]:
        """Return contributions to the uncalibrated `log_odds`, shape as `Ranker.contributions`.

        Exact Shapley values of the trees (TreeSHAP) plus the terms of the offset.
        """
        shape = len(matrix), len(self.feature_names) + 1
        if not len(matrix):
            return np.empty(shape)
        added = self.booster.predict(matrix, pred_contrib=True, num_threads=1)
        trees = np.asarray(added, dtype=np.float64).reshape(shape)
        return self.offset.regression.contributions(matrix) + trees


def forest_of(boosters: Sequence[lightgbm.Booster]) -> Forest:
    """Return the trees of models in the form in which they are evaluated.

    Raises:
        ValueError: See `read_trees`.
    """
    return Forest.from_trees([list(read_trees(one.model_to_string())) for one in boosters])


class CalibratedRanker(Protocol):
    """A ranker whose contributions `calibrated_contributions` can calibrate."""

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

    def p_examined(self, matrix: NDArray[np.float32]) -> NDArray[np.float64]:
        """Return P(examined) at each row's position, shape ``(n_sales,)``."""
        ...


def calibrated_contributions(
    ranker: CalibratedRanker, matrix: NDArray[np.float32], *, added: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Scale contributions so that they sum to the calibrated log-odds.

    The position feature gets the difference that the examination probability makes.

    Args:
        ranker: The ranker.
        matrix: Features, shape ``(n_sales, n_features)``.
        added: Contributions to uncalibrated log-odds, the base last, shape
            ``(n_sales, n_features + 1)``.
    """
    scaled = ranker.calibration.slope * added
    scaled[:, -1] += ranker.calibration.intercept
    p_examined = ranker.p_examined(matrix)
    if np.any(p_examined != 1):
        column, chances = ranker.feature_names.index(POSITION), sigmoid(scaled.sum(axis=1))
        scaled[:, column] += np.log(p_examined * (1 - chances) / (1 - p_examined * chances))
    return scaled


def _require_whole_trees(model: str) -> None:
    # LightGBM parses trees in threads, where a failed check of its own aborts the process.
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
