"""What the trees of the meta-model start from: a straight line, and who looks where."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final, Self

import numpy as np
from numpy.typing import NDArray

from models.arrays.array_file import Arrays
from models.ranker.logistic import LogisticRanker

_ROWS_AT_ONCE: Final = 16_384  # so that training needs no second matrix of float64


@dataclass(frozen=True, eq=False)
class LinearOffset:
    """Log-odds that trees are added to.

    A straight line goes on where trees, which know constants only, have seen little: at the
    few sales of the whole catalogue that fit a customer best.

    Attributes:
        regression: A logistic regression that is blind to the position.
        column: Which feature is the position.
        examined: P(looks at position 1, 2, and so on), as a share of position 1: from 1, not
            rising, positive; later positions are as good as the last one, shape ``(n,)``, ``n``
            at least 1.
    """

    regression: LogisticRanker
    column: int
    examined: NDArray[np.float64]

    def log_odds(self, matrix: NDArray[np.float32]) -> NDArray[np.float64]:
        """Return log-odds at position 1, shape ``(n,)``; a row depends on itself only."""
        return log_odds_of([self], matrix)[0]

    def on_scale_of(self, other: Self) -> Self:
        """Return the same margin, on the very scale of another one where both are equal."""
        scale = other.regression.scale
        if not self.regression.scale.equals(scale):
            return self
        return replace(self, regression=replace(self.regression, scale=scale))

    def looks(self, matrix: NDArray[np.float32]) -> NDArray[np.float64]:
        """Return P(looks) where rows were shown, as a share of position 1, shape ``(n,)``."""
        # ``fmax`` takes an unknown position for the first.
        places = np.minimum(np.fmax(matrix[:, self.column], 1), len(self.examined))
        return self.examined[places.astype(np.intp) - 1]

    def to_bytes(self) -> bytes:
        """Serialise as arrays; see `from_bytes`."""
        own = {"column": np.array([self.column]), "examined": self.examined}
        return Arrays({**self.regression.to_arrays(), **own}).to_bytes()

    @classmethod
    def from_bytes(cls, content: bytes, *, n_features: int) -> Self:
        """Read what `to_bytes` wrote.

        Raises:
            ValueError: If the content is anything else, or of other features.
        """
        arrays = Arrays.from_bytes(content)
        regression = LogisticRanker.from_arrays(arrays, n_features=n_features)
        column, examined = arrays.integers("column"), arrays.floats("examined")
        if column.shape != (1,) or not 0 <= column[0] < n_features:
            msg = f"not a margin over {n_features} features: column {column.tolist()}"
            raise ValueError(msg)
        if examined.ndim != 1 or not len(examined) or not np.all((examined > 0) & (examined <= 1)):
            msg = f"shares of who looks at a position that are none: {examined.tolist()}"
            raise ValueError(msg)
        return cls(regression, int(column[0]), examined)


def log_odds_of(
    margins: Sequence[LinearOffset], matrix: NDArray[np.float32]
) -> NDArray[np.float64]:
    """Return the log-odds of several margins at position 1, shape ``(n_margins, n)``.

    What stands on the very same scale is standardised once.
    """
    found = np.empty((len(margins), len(matrix)))
    for start in range(0, len(matrix), _ROWS_AT_ONCE):
        part = slice(start, start + _ROWS_AT_ONCE)
        scales = {margin.regression.scale for margin in margins}
        features = {scale: scale.standardised(matrix[part]) for scale in scales}
        for one, margin in enumerate(margins):
            regression = margin.regression
            found[one, part] = regression.line(features[regression.scale])
    return found
