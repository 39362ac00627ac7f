"""Drift baseline: score bins and missing rates at the end of training, for PSI when serving."""

from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from models.arrays.array_file import Arrays


@dataclass(frozen=True, eq=False)
class DriftBaseline:
    """Histogram of scores and share of missing values, over the candidates of visits.

    Attributes:
        edges: Inner edges of the score bins, ascending, shape ``(n_bins - 1,)``; a score equal
            to an edge belongs to the lower bin.
        shares: Share of scores in each bin, shape ``(n_bins,)``; empty where nothing was
            scored.
        missing: Share of candidates without a value, by feature, shape ``(n_features,)``.
    """

    edges: NDArray[np.float64]
    shares: NDArray[np.float64]
    missing: NDArray[np.float64]

    def to_bytes(self) -> bytes:
        """Serialise; see `from_bytes`."""
        arrays = {"edges": self.edges, "shares": self.shares, "missing": self.missing}
        return Arrays(arrays).to_bytes()

    @classmethod
    def from_bytes(cls, content: bytes, *, n_features: int) -> Self:
        """Read what `to_bytes` wrote.

        Raises:
            ValueError: If the content is malformed, or of another number of features.
        """
        arrays = Arrays.from_bytes(content)
        edges, shares, missing = (arrays.floats(name) for name in ("edges", "shares", "missing"))
        if len(missing) != n_features or (len(shares) and len(edges) != len(shares) - 1):
            msg = (
                f"a drift baseline of {len(missing)} features, {len(edges)} edges and "
                f"{len(shares)} bins does not fit {n_features} features"
            )
            raise ValueError(msg)
        return cls(edges, shares, missing)


def bin_counts(edges: NDArray[np.float64], scores: NDArray[np.float64]) -> NDArray[np.int64]:
    """Count scores by bin.

    Args:
        edges: See `DriftBaseline.edges`, shape ``(n_bins - 1,)``.
        scores: Shape ``(n,)``.

    Returns:
        Shape ``(n_bins,)``.
    """
    # `left`: a score equal to an edge belongs to the lower bin, as when the edges were made.
    bins = np.searchsorted(edges, scores, side="left")
    return np.bincount(bins, minlength=len(edges) + 1)


def missing_counts(features: NDArray[np.float32]) -> NDArray[np.int64]:
    """Count the NaN of a feature matrix ``(n, n_features)`` by column, shape ``(n_features,)``."""
    return np.count_nonzero(np.isnan(features), axis=0)
