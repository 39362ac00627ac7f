"""Linear offset (init score) of the trees, and the position effect.

The examination model: P(click at position k) = P(examined at k) · P(click | examined).
"""

from dataclasses import dataclass, replace
from typing import Self

import numpy as np
from numpy.typing import NDArray

from models.arrays.array_file import Arrays
from models.ranker.logistic import LogisticRanker
from models.ranker.position_effect import PositionEffect


@dataclass(frozen=True, eq=False)
class LinearOffset:
    """Log-odds of a logistic regression, to which the trees are added.

    Trees are constant outside the range of their training data; the regression extrapolates
    there, at the few sales of a whole catalogue that fit a customer best.

    Attributes:
        regression: A logistic regression without a weight for the position.
        columns: Indices of the position and of its device among the features.
        position_effect: P(examined) by both.
    """

    regression: LogisticRanker
    columns: tuple[int, int]
    position_effect: PositionEffect

    def log_odds(self, matrix: NDArray[np.float32]) -> NDArray[np.float64]:
        """Return log-odds at position 1 of features ``(n, n_features)``, shape ``(n,)``.

        A row's result does not depend on the other rows.
        """
        return self.regression.log_odds(matrix)

    def with_scale_of(self, other: Self) -> Self:
        """Share the other offset's scale object if both scales are equal.

        `models.ranker.logistic.Regressions` standardises once for each scale object.
        """
        scale = other.regression.scale
        if not self.regression.scale.equals(scale):
            return self
        return replace(self, regression=replace(self.regression, scale=scale))

    def p_examined(self, matrix: NDArray[np.float32]) -> NDArray[np.float64]:
        """Return P(examined) at each row's position, relative to position 1, shape ``(n,)``."""
        position, device = self.columns
        return self.position_effect.p_examined(matrix[:, position], matrix[:, device])

    def to_bytes(self) -> bytes:
        """Serialise as arrays; see `from_bytes`."""
        columns = {"columns": np.array(self.columns)}
        effect = self.position_effect.to_arrays()
        return Arrays({**self.regression.to_arrays(), **columns, **effect}).to_bytes()

    @classmethod
    def from_bytes(cls, content: bytes, *, n_features: int) -> Self:
        """Read what `to_bytes` wrote.

        Raises:
            ValueError: If the content is malformed, or of another number of features.
        """
        arrays = Arrays.from_bytes(content)
        regression = LogisticRanker.from_arrays(arrays, n_features=n_features)
        columns = arrays.integers("columns")
        if columns.shape != (2,) or not np.all((columns >= 0) & (columns < n_features)):
            msg = f"not an offset over {n_features} features: columns {columns.tolist()}"
            raise ValueError(msg)
        position, device = columns.tolist()
        return cls(regression, (position, device), PositionEffect.from_arrays(arrays))
