"""Linear offset (init score) of the trees, and the position effect.

The examination model: P(click at position k) = P(examined at k) · P(click | examined).
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final, Self

import numpy as np
from numpy.typing import NDArray

from models.arrays.array_file import Arrays
from models.ranker.logistic import LogisticRanker

# Bounds the float64 copy of a training matrix to 16,384 rows at a time; chosen, not measured.
_ROWS_AT_ONCE: Final = 16_384


@dataclass(frozen=True, eq=False)
class LinearOffset:
    """Log-odds of a logistic regression, to which the trees are added.

    Trees are constant outside the range of their training data; the regression extrapolates
    there, at the few sales of a whole catalogue that fit a customer best.

    Attributes:
        regression: A logistic regression without a weight for the position.
        column: Index of the position among the features.
        position_effect: P(examined) at position 1, 2, …, relative to position 1: starts at 1,
            does not rise, positive, shape ``(n,)`` with ``n >= 1``. Positions beyond ``n`` have
            the last value.
    """

    regression: LogisticRanker
    column: int
    position_effect: NDArray[np.float64]

    def log_odds(self, matrix: NDArray[np.float32]) -> NDArray[np.float64]:
        """Return log-odds at position 1 of features ``(n, n_features)``, shape ``(n,)``.

        A row's result does not depend on the other rows.
        """
        return offset_log_odds([self], matrix)[0]

    def with_scale_of(self, other: Self) -> Self:
        """Share the other offset's scale object if both scales are equal.

        `offset_log_odds` standardises once for each scale object.
        """
        scale = other.regression.scale
        if not self.regression.scale.equals(scale):
            return self
        return replace(self, regression=replace(self.regression, scale=scale))

    def p_examined(self, matrix: NDArray[np.float32]) -> NDArray[np.float64]:
        """Return P(examined) at each row's position, relative to position 1, shape ``(n,)``."""
        return p_examined(matrix[:, self.column], self.position_effect)

    def to_bytes(self) -> bytes:
        """Serialise as arrays; see `from_bytes`."""
        own = {"column": np.array([self.column]), "examined": self.position_effect}
        return Arrays({**self.regression.to_arrays(), **own}).to_bytes()

    @classmethod
    def from_bytes(cls, content: bytes, *, n_features: int) -> Self:
        """Read what `to_bytes` wrote.

        Raises:
            ValueError: If the content is malformed, or of another number of features.
        """
        arrays = Arrays.from_bytes(content)
        regression = LogisticRanker.from_arrays(arrays, n_features=n_features)
        column, effect = arrays.integers("column"), arrays.floats("examined")
        if column.shape != (1,) or not 0 <= column[0] < n_features:
            msg = f"not an offset over {n_features} features: column {column.tolist()}"
            raise ValueError(msg)
        if effect.ndim != 1 or not len(effect) or not np.all((effect > 0) & (effect <= 1)):
            msg = f"examination probabilities must be in (0, 1], got {effect.tolist()}"
            raise ValueError(msg)
        return cls(regression, int(column[0]), effect)


def p_examined(
    positions: NDArray[np.floating] | NDArray[np.integer], effect: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return P(examined) at positions, relative to position 1, shape ``(n,)``.

    Args:
        positions: From 1; an unknown one, 0 or NaN, counts as the first, shape ``(n,)``.
        effect: See `LinearOffset.position_effect`.
    """
    # ``fmax`` ignores NaN.
    places = np.minimum(np.fmax(positions, 1), len(effect))
    return effect[places.astype(np.intp) - 1]


def offset_log_odds(
    offsets: Sequence[LinearOffset], matrix: NDArray[np.float32]
) -> NDArray[np.float64]:
    """Return the log-odds of several offsets at position 1, shape ``(n_offsets, n)``.

    Features are standardised once for each distinct scale object.
    """
    found = np.empty((len(offsets), len(matrix)))
    for start in range(0, len(matrix), _ROWS_AT_ONCE):
        part = slice(start, start + _ROWS_AT_ONCE)
        scales = {offset.regression.scale for offset in offsets}
        features = {scale: scale.standardised(matrix[part]) for scale in scales}
        for one, offset in enumerate(offsets):
            regression = offset.regression
            found[one, part] = regression.line(features[regression.scale])
    return found
