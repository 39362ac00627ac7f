"""Two-stage ranker: P(opens) · P(buys | opened).

A sale counts as opened if it was clicked or bought.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Final

import numpy as np
from numpy.typing import NDArray

from models.ranker.forest import Forest
from models.ranker.linear_offset import LinearOffset
from models.ranker.logistic import Regressions
from models.ranker.position_effect import PositionEffect
from models.ranker.ranker import (
    Calibration,
    LightGbmRanker,
    calibrated_contributions,
    forest_of,
    sigmoid,
)

RANKER_FILE: Final = "ranker.txt"
BUYING_FILE: Final = "ranker-buying.txt"
CALIBRATION_FILE: Final = "calibration.json"
OFFSET_FILE: Final = "margin.npz"
BUYING_OFFSET_FILE: Final = "margin-buying.npz"

# Nodes in (-1, 1) and weights of Gauss-Legendre quadrature; 24 are exact to 1e-12 for these slopes.
_QUADRATURE: Final = np.polynomial.legendre.leggauss(24)

UNCALIBRATED: Final = Calibration(slope=1.0, intercept=0.0)


@dataclass(frozen=True)
class TwoStageRanker:
    """P(opens) · P(buys | opened), with calibrated log-odds.

    Sales are opened about ten times as often as bought, so the first stage learns preferences
    from many more examples; the second learns what distinguishes buyers among openers.

    Attributes:
        opening: P(opens), uncalibrated.
        buying: P(buys | opened), uncalibrated.
        calibration: Applied to the product.
    """

    opening: LightGbmRanker
    buying: LightGbmRanker
    calibration: Calibration

    @property
    def feature_names(self) -> tuple[str, ...]:
        """Names of the columns that both stages expect, in order."""
        return self.opening.feature_names

    @property
    def n_trees(self) -> int:
        """Number of trees of both stages."""
        return self.opening.n_trees + self.buying.n_trees

    @cached_property
    def forest(self) -> Forest:
        """The trees of both stages, evaluated in one pass."""
        return forest_of([self.opening.booster, self.buying.booster])

    def log_odds(self, matrix: NDArray[np.float32]) -> NDArray[np.float64]:
        """Return log-odds of the product at position 1, uncalibrated, shape ``(n_sales,)``."""
        return product_log_odds(self.forest.log_odds(matrix) + self._offsets.log_odds(matrix))

    @cached_property
    def _offsets(self) -> Regressions:
        return Regressions([self.opening.offset.regression, self.buying.offset.regression])

    def probabilities(self, matrix: NDArray[np.float32]) -> NDArray[np.float64]:
        """Return P(buys) of each row; see `models.ranker.ranker.Ranker`."""
        return self.p_examined(matrix) * self.calibration.apply(self.log_odds(matrix))

    @property
    def position_effect(self) -> PositionEffect:
        """P(examined) by position and device; see `models.ranker.ranker.Ranker`."""
        return self.opening.position_effect

    def p_examined(self, matrix: NDArray[np.float32]) -> NDArray[np.float64]:
        """Return P(examined) at each row's position; see `LinearOffset.p_examined`.

        An opened sale was examined, so only the first stage depends on the position.
        """
        return self.opening.p_examined(matrix)

    def contributions(self, matrix: NDArray[np.float32]) -> NDArray[np.float64]:
        """Return each feature's additive contribution; see `models.ranker.ranker.Ranker`.

        The log-odds of a product are not the sum of the stages' log-odds. Integrated gradients
        from the stages' bases to their log-odds of a row give each stage a weight, which
        multiplies the stage's own exact contributions. The result sums to the log-odds exactly.

        Source:
            Sundararajan et al., Axiomatic Attribution for Deep Networks, ICML 2017, for the
            integrated gradients; Lundberg et al., From local explanations to global
            understanding with explainable AI for trees, 2020, for the stages.
        """
        opening, buying = self.opening.added(matrix), self.buying.added(matrix)
        bases = np.array([opening[:, -1], buying[:, -1]])
        ends = np.array([opening.sum(axis=1), buying.sum(axis=1)])
        # The mean gradient of `product_log_odds` on the way from bases to ends, shape (2, n).
        slopes = np.zeros_like(ends)
        for node, weight in zip(*_QUADRATURE, strict=True):
            opens, buys = sigmoid(bases + (node + 1) / 2 * (ends - bases))
            slopes += weight / 2 * np.array([1 - opens, 1 - buys]) / (1 - opens * buys)
        opening_slopes, buying_slopes = slopes
        added = opening_slopes[:, None] * opening + buying_slopes[:, None] * buying
        added[:, -1] = product_log_odds(bases)
        return calibrated_contributions(self, matrix, added=added)


def product_log_odds(stages: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the log-odds of a product of probabilities, given their log-odds.

    ``p q / (1 - p q)`` with odds ``e^a`` and ``e^b`` is ``e^(a + b) / (1 + e^a + e^b)``.

    Args:
        stages: Log-odds of both, shape ``(2, n)``.

    Returns:
        Shape ``(n,)``.
    """
    opens, buys = stages
    return opens + buys - np.logaddexp(0.0, np.logaddexp(opens, buys))


def ranker_files(ranker: LightGbmRanker | TwoStageRanker) -> dict[str, bytes]:
    """Return the files of a ranker by name; see `read_ranker`."""
    if isinstance(ranker, TwoStageRanker):
        first = replace(ranker.opening, calibration=ranker.calibration)
        return {
            **ranker_files(first),
            BUYING_FILE: ranker.buying.to_text()[0].encode(),
            BUYING_OFFSET_FILE: ranker.buying.offset.to_bytes(),
        }
    trees, calibration = ranker.to_text()
    return {
        RANKER_FILE: trees.encode(),
        CALIBRATION_FILE: calibration.encode(),
        OFFSET_FILE: ranker.offset.to_bytes(),
    }


def read_ranker(
    texts: Mapping[str, str], offsets: Mapping[str, bytes], *, names: tuple[str, ...]
) -> LightGbmRanker | TwoStageRanker:
    """Build a ranker from its files.

    Args:
        texts: `RANKER_FILE`, `CALIBRATION_FILE` and, for two stages, `BUYING_FILE`.
        offsets: `OFFSET_FILE` and, for two stages, `BUYING_OFFSET_FILE`.
        names: Features of the schema, in order.

    Raises:
        ValueError: If a file is malformed or expects other features.
    """

    def stage(trees: str, offset_file: str) -> LightGbmRanker:
        offset = LinearOffset.from_bytes(offsets[offset_file], n_features=len(names))
        ranker = LightGbmRanker.from_text(texts[trees], texts[CALIBRATION_FILE], offset)
        if ranker.feature_names != names:
            msg = f"{trees} expects other features than the schema lists"
            raise ValueError(msg)
        return ranker

    first = stage(RANKER_FILE, OFFSET_FILE)
    if BUYING_FILE not in texts:
        return first
    second = stage(BUYING_FILE, BUYING_OFFSET_FILE)
    offset = second.offset.with_scale_of(first.offset)
    return TwoStageRanker(
        opening=replace(first, calibration=UNCALIBRATED),
        buying=replace(second, calibration=UNCALIBRATED, offset=offset),
        calibration=first.calibration,
    )
