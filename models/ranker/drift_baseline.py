"""What scores and features were like in training, to tell later how far they have drifted."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, Self

import numpy as np
from numpy.typing import NDArray

from models.arrays.array_file import Arrays

N_BANDS: Final = 10
"""Bands of scores at most, with equal shares of training as far as equal scores allow."""


@dataclass(frozen=True, eq=False)
class DriftBaseline:
    """Scores and gaps of the candidates of visits at the end of training.

    Attributes:
        edges: Scores that part the bands, ascending, shape ``(n_bands - 1,)``; a score that
            equals an edge lies below it.
        shares: Share of training in each band, shape ``(n_bands,)``; empty where nothing
            was scored.
        missing: Share of candidates without a value of each feature, shape ``(n_features,)``.
    """

    edges: NDArray[np.float64]
    shares: NDArray[np.float64]
    missing: NDArray[np.float64]

    @classmethod
    def of(cls, scored: Iterable[tuple[NDArray[np.float64], NDArray[np.float32]]]) -> Self:
        """Summarise visits.

        Args:
            scored: For each visit the candidates' purchase probabilities, shape
                ``(n_sales,)``, and their features, shape ``(n_sales, n_features)``, NaN where
                unknown. At least one visit, which may have no candidates.
        """
        probabilities: list[NDArray[np.float64]] = []
        missing: list[NDArray[np.int64]] = []
        for scores, features in scored:
            probabilities.append(scores)
            missing.append(n_missing(features))
        together = np.concatenate(probabilities)
        if not len(together):
            return cls(np.empty(0), np.empty(0), np.zeros(len(missing[0])))
        tenths = np.arange(1, N_BANDS) / N_BANDS
        edges = np.unique(np.quantile(together, tenths, method="inverted_cdf"))
        edges = edges[edges < together.max()]  # no band is empty in training
        counts = n_in_bands(edges, together)
        return cls(edges, counts / len(together), np.sum(missing, axis=0) / len(together))

    def to_bytes(self) -> bytes:
        """Serialise; see `from_bytes`."""
        arrays = {"edges": self.edges, "shares": self.shares, "missing": self.missing}
        return Arrays(arrays).to_bytes()

    @classmethod
    def from_bytes(cls, content: bytes, *, n_features: int) -> Self:
        """Read what `to_bytes` wrote.

        Raises:
            ValueError: If the content is not such a file, or of other features.
        """
        arrays = Arrays.from_bytes(content)
        edges, shares, missing = (arrays.floats(name) for name in ("edges", "shares", "missing"))
        if len(missing) != n_features or (len(shares) and len(edges) != len(shares) - 1):
            msg = (
                f"a reference of {len(missing)} features, {len(edges)} edges and {len(shares)} "
                f"bands does not fit {n_features} features"
            )
            raise ValueError(msg)
        return cls(edges, shares, missing)


def n_in_bands(edges: NDArray[np.float64], scores: NDArray[np.float64]) -> NDArray[np.int64]:
    """Count scores between edges, shape ``(n_edges + 1,)``."""
    bands = np.searchsorted(edges, scores, side="left")
    return np.bincount(bands, minlength=len(edges) + 1)


def n_missing(features: NDArray[np.float32]) -> NDArray[np.int64]:
    """Count the rows of a feature matrix without a value, by column, shape ``(n_features,)``."""
    return np.count_nonzero(np.isnan(features), axis=0)
