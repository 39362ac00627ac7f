"""The meta-model in two steps: a sale is opened, and what is opened is bought."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Final

import numpy as np
from numpy.typing import NDArray

from models.ranker.linear_offset import LinearOffset, log_odds_of
from models.ranker.ranker import Calibration, LightGbmRanker, calibrated, sigmoid
from models.ranker.trees import TreeTables

RANKER_FILE: Final = "ranker.txt"
BUYING_FILE: Final = "ranker-buying.txt"
CALIBRATION_FILE: Final = "calibration.json"
MARGIN_FILE: Final = "margin.npz"
BUYING_MARGIN_FILE: Final = "margin-buying.npz"

_LINE: Final = np.polynomial.legendre.leggauss(24)
"""Places in (-1, 1) and weights of Gauss's quadrature: exact to 1e-12 here."""

UNCALIBRATED: Final = Calibration(slope=1.0, intercept=0.0)


@dataclass(frozen=True)
class TwoStageRanker:
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
        """The trees of both steps, which are evaluated together; see `models.ranker.trees`."""
        steps = (self.opening, self.buying)
        return TreeTables.of([step.booster.model_to_string() for step in steps])

    def log_odds(self, matrix: NDArray[np.float32]) -> NDArray[np.float64]:
        """Return log-odds of the product at position 1, uncalibrated, shape ``(n_sales,)``."""
        margins = log_odds_of([self.opening.margin, self.buying.margin], matrix)
        return product_log_odds(self.tables.log_odds(matrix) + margins)

    def probabilities(self, matrix: NDArray[np.float32]) -> NDArray[np.float64]:
        """Return P(buys) of each row; see `models.ranker.ranker.Ranker`."""
        return self.looks(matrix) * self.calibration.apply(self.log_odds(matrix))

    def looks(self, matrix: NDArray[np.float32]) -> NDArray[np.float64]:
        """Return P(looks) where rows were shown; see `LinearOffset.looks`.

        What is opened was looked at: only the first step knows of positions.
        """
        return self.opening.looks(matrix)

    def contributions(self, matrix: NDArray[np.float32]) -> NDArray[np.float64]:
        """Return what each feature adds to the log-odds; see `models.ranker.ranker.Ranker`.

        The log-odds of a product are no sum over its factors. Along the straight line from
        the base of both steps to their log-odds for a row, each step's slope of the product's
        log-odds is averaged; with it the step's own exact contributions are weighted, and
        both steps are added. That sums to the log-odds, whatever the trees.

        Source:
            Sundararajan et al., Axiomatic Attribution for Deep Networks, ICML 2017, for the
            line; Lundberg et al., From local explanations to global understanding with
            explainable AI for trees, 2020, for the steps.
        """
        opening, buying = self.opening.added(matrix), self.buying.added(matrix)
        bases = np.array([opening[:, -1], buying[:, -1]])
        ends = np.array([opening.sum(axis=1), buying.sum(axis=1)])
        opening_slopes, buying_slopes = _mean_slopes(bases, ends)
        added = opening_slopes[:, None] * opening + buying_slopes[:, None] * buying
        added[:, -1] = product_log_odds(bases)
        return calibrated(self, matrix, added=added)


def product_log_odds(steps: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the log-odds of a product of probabilities, given their log-odds.

    ``p q / (1 - p q)`` with odds ``e^a`` and ``e^b`` is ``e^(a + b) / (1 + e^a + e^b)``.

    Args:
        steps: Log-odds of both, shape ``(2, n)``.
    """
    opens, buys = steps
    return opens + buys - np.logaddexp(0.0, np.logaddexp(opens, buys))


def _mean_slopes(bases: NDArray[np.float64], ends: NDArray[np.float64]) -> NDArray[np.float64]:
    """Average the slopes of `product_log_odds` from bases to ends, both of shape ``(2, n)``."""
    slopes = np.zeros_like(ends)
    for place, weight in zip(*_LINE, strict=True):
        steps = bases + (place + 1) / 2 * (ends - bases)
        opens, buys = sigmoid(steps)
        slopes += weight / 2 * np.array([1 - opens, 1 - buys]) / (1 - opens * buys)
    return slopes


def ranker_files(ranker: LightGbmRanker | TwoStageRanker) -> dict[str, bytes]:
    """Return the files of a meta-model by name; see `read_ranker`."""
    if isinstance(ranker, TwoStageRanker):
        first = replace(ranker.opening, calibration=ranker.calibration)
        return {
            **ranker_files(first),
            BUYING_FILE: ranker.buying.to_text()[0].encode(),
            BUYING_MARGIN_FILE: ranker.buying.margin.to_bytes(),
        }
    trees, calibration = ranker.to_text()
    return {
        RANKER_FILE: trees.encode(),
        CALIBRATION_FILE: calibration.encode(),
        MARGIN_FILE: ranker.margin.to_bytes(),
    }


def read_ranker(
    texts: Mapping[str, str], margins: Mapping[str, bytes], *, names: tuple[str, ...]
) -> LightGbmRanker | TwoStageRanker:
    """Build a meta-model from its files.

    Args:
        texts: `RANKER_FILE`, `CALIBRATION_FILE` and, for two steps, `BUYING_FILE`.
        margins: `MARGIN_FILE` and, for two steps, `BUYING_MARGIN_FILE`.
        names: Features of the schema, in order.

    Raises:
        ValueError: If a file is malformed or expects other features.
    """

    def step(trees: str, margin: str) -> LightGbmRanker:
        read = LinearOffset.from_bytes(margins[margin], n_features=len(names))
        ranker = LightGbmRanker.from_text(texts[trees], texts[CALIBRATION_FILE], read)
        _require_features(ranker, names, trees)
        return ranker

    first = step(RANKER_FILE, MARGIN_FILE)
    if BUYING_FILE not in texts:
        return first
    second = step(BUYING_FILE, BUYING_MARGIN_FILE)
    margin = second.margin.on_scale_of(first.margin)
    return TwoStageRanker(
        opening=replace(first, calibration=UNCALIBRATED),
        buying=replace(second, calibration=UNCALIBRATED, margin=margin),
        calibration=first.calibration,
    )


def _require_features(ranker: LightGbmRanker, names: tuple[str, ...], file: str) -> None:
    if ranker.feature_names != names:
        msg = f"{file} expects other features than the schema lists"
        raise ValueError(msg)
