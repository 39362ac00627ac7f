"""The meta-model in two steps: a sale is opened, and what is opened is bought."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Final

import numpy as np
from numpy.typing import NDArray

from models.ranker import Calibration, LightGbmRanker, sigmoid
from models.trees import TreeTables

RANKER_FILE: Final = "ranker.txt"
BUYING_FILE: Final = "ranker-buying.txt"
CALIBRATION_FILE: Final = "calibration.json"

UNCALIBRATED: Final = Calibration(slope=1.0, intercept=0.0)


@dataclass(frozen=True)
class StagedRanker:
    """P(opens) · P(buys | opened), with calibrated log-odds.

    Sales are opened ten times as often as bought: the first step learns tastes from many
    examples, the second what makes a visitor pay.

    Attributes:
        opening: P(clicks or buys), uncalibrated.
        buying: P(buys) of what was clicked or bought, uncalibrated.
        calibration: Applied to the product.
    """

    opening: LightGbmRanker
    buying: LightGbmRanker
    calibration: Calibration

    @property
    def feature_names(self) -> tuple[str, ...]:
        """Names of the columns that both steps expect, in order."""
        return self.opening.feature_names

    @property
    def n_trees(self) -> int:
        """Number of trees of both steps."""
        return self.opening.n_trees + self.buying.n_trees

    @cached_property
    def tables(self) -> TreeTables:
        """The trees of both steps, which are evaluated together; see `models.trees`."""
        steps = (self.opening, self.buying)
        return TreeTables.of([step.booster.model_to_string() for step in steps])

    def probabilities(self, matrix: NDArray[np.float32]) -> NDArray[np.float64]:
        """Return P(buys) of each row; see `models.ranker.Ranker`."""
        opens, buys = sigmoid(self.tables.log_odds(matrix))
        return self.calibration.apply(opens * buys)


def ranker_files(ranker: LightGbmRanker | StagedRanker) -> dict[str, bytes]:
    """Return the files of a meta-model by name; see `read_ranker`."""
    if isinstance(ranker, StagedRanker):
        first = LightGbmRanker(ranker.opening.booster, ranker.calibration)
        return ranker_files(first) | {BUYING_FILE: ranker.buying.to_text()[0].encode()}
    trees, calibration = ranker.to_text()
    return {RANKER_FILE: trees.encode(), CALIBRATION_FILE: calibration.encode()}


def read_ranker(files: Mapping[str, str], names: tuple[str, ...]) -> LightGbmRanker | StagedRanker:
    """Build a meta-model from the text of its files.

    Args:
        files: `RANKER_FILE`, `CALIBRATION_FILE` and, for two steps, `BUYING_FILE`.
        names: Features of the schema, in order.

    Raises:
        ValueError: If a file is malformed or expects other features.
    """
    first = LightGbmRanker.from_text(files[RANKER_FILE], files[CALIBRATION_FILE])
    _require_features(first, names, RANKER_FILE)
    if BUYING_FILE not in files:
        return first
    buying = LightGbmRanker.from_text(files[BUYING_FILE], files[CALIBRATION_FILE])
    _require_features(buying, names, BUYING_FILE)
    return StagedRanker(
        opening=LightGbmRanker(first.booster, UNCALIBRATED),
        buying=LightGbmRanker(buying.booster, UNCALIBRATED),
        calibration=first.calibration,
    )


def _require_features(ranker: LightGbmRanker, names: tuple[str, ...], file: str) -> None:
    if ranker.feature_names != names:
        msg = f"{file} expects other features than the schema lists"
        raise ValueError(msg)
