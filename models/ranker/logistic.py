"""Logistic regression over standardised features: the baseline of the ranker, and its offset."""

from dataclasses import dataclass
from typing import Final, Self

import numpy as np
from numpy.typing import NDArray

from models.arrays.array_file import Arrays

# Chosen: standardised values are clipped here, so that outliers have a bounded effect.
_MAX_Z: Final = 8.0


@dataclass(frozen=True, eq=False)
class Standardised:
    """Standardised features, missing values imputed by the mean.

    Attributes:
        z: Values, 0 where unknown, shape ``(n, n_features)``.
        unknown: Missing-value indicator: 1 where a value was unknown, else 0, same shape.
    """

    z: NDArray[np.float64]
    unknown: NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Scale:
    """Standardises features: ``z = (t(x) - centre) / scale``, clipped to ±8.

    ``t`` is ``sign(x) log(1 + |x|)`` for skewed features and ``x`` for others. An unknown
    value becomes 0, the mean.

    Attributes:
        logarithmic: 1 for skewed features, else 0, shape ``(n_features,)``.
        centres: Means of the transformed features, same shape.
        scales: Their standard deviations, positive, same shape.
    """

    logarithmic: NDArray[np.float64]
    centres: NDArray[np.float64]
    scales: NDArray[np.float64]

    def standardised(self, matrix: NDArray[np.float32]) -> Standardised:
        """Standardise features, shape ``(n, n_features)``."""
        z = transformed(matrix, self.logarithmic)
        z -= self.centres
        z /= self.scales
        np.clip(z, -_MAX_Z, _MAX_Z, out=z)
        unknown = np.isnan(z)
        np.putmask(z, unknown, 0.0)
        return Standardised(z, unknown.astype(np.float64))

    def equals(self, other: "Scale") -> bool:
        """Return whether another scale is the same in every feature."""
        return (
            np.array_equal(self.logarithmic, other.logarithmic)
            and np.array_equal(self.centres, other.centres)
            and np.array_equal(self.scales, other.scales)
        )


@dataclass(frozen=True, eq=False)
class LogisticRanker:
    """A linear model over standardised features and their missing-value indicators.

    Attributes:
        scale: Standardises features.
        weights: Log-odds per standard deviation, shape ``(n_features,)``.
        unknown_weights: Log-odds where the value is unknown, same shape.
        intercept: Log-odds of the average sale.
    """

    scale: Scale
    weights: NDArray[np.float64]
    unknown_weights: NDArray[np.float64]
    intercept: float

    def log_odds(self, matrix: NDArray[np.float32]) -> NDArray[np.float64]:
        """Return log-odds of features ``(n, n_features)``, shape ``(n,)``."""
        return self.line(self.scale.standardised(matrix))

    def line(self, features: Standardised) -> NDArray[np.float64]:
        """Return log-odds of features standardised by this model's scale, shape ``(n,)``."""
        # einsum, not a matrix product: BLAS rounds a row differently in batches of other sizes.
        return (
            self.intercept
            + np.einsum("ij,j->i", features.z, self.weights)
            + np.einsum("ij,j->i", features.unknown, self.unknown_weights)
        )

    def contributions(self, matrix: NDArray[np.float32]) -> NDArray[np.float64]:
        """Return each feature's additive term, the intercept last, ``(n, n_features + 1)``."""
        features = self.scale.standardised(matrix)
        added = features.z * self.weights + features.unknown * self.unknown_weights
        return np.concatenate([added, np.full((len(matrix), 1), self.intercept)], axis=1)

    def to_arrays(self) -> dict[str, NDArray[np.generic]]:
        """Return what was fitted; see `from_arrays`."""
        return {
            "logarithmic": self.scale.logarithmic,
            "centres": self.scale.centres,
            "scales": self.scale.scales,
            "weights": self.weights,
            "unknown_weights": self.unknown_weights,
            "intercept": np.array([self.intercept]),
        }

    def to_bytes(self) -> bytes:
        """Serialise as arrays; see `from_bytes`."""
        return Arrays(self.to_arrays()).to_bytes()

    @classmethod
    def from_bytes(cls, content: bytes, *, n_features: int) -> Self:
        """Read what `to_bytes` wrote.

        Raises:
            ValueError: If the content is malformed, or of another number of features.
        """
        return cls.from_arrays(Arrays.from_bytes(content), n_features=n_features)

    @classmethod
    def from_arrays(cls, arrays: Arrays, *, n_features: int) -> Self:
        """Restore a regression.

        Raises:
            ValueError: If an array is missing, or of another number of features.
        """
        names = ("logarithmic", "centres", "scales", "weights", "unknown_weights")
        columns = [arrays.floats(name) for name in names]
        intercept = arrays.floats("intercept")
        if intercept.shape != (1,) or any(column.shape != (n_features,) for column in columns):
            msg = f"not a logistic regression over {n_features} features"
            raise ValueError(msg)
        return cls(Scale(*columns[:3]), *columns[3:], intercept=float(intercept[0]))


def transformed(
    matrix: NDArray[np.float32], logarithmic: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Apply ``sign(x) log(1 + |x|)`` to the columns where ``logarithmic`` is 1.

    Args:
        matrix: Features, shape ``(n, n_features)``.
        logarithmic: 1 for skewed features, else 0, shape ``(n_features,)``.

    Returns:
        A float64 copy of the same shape.
    """
    values = matrix.astype(np.float64)
    columns = np.flatnonzero(logarithmic > 0)
    values[:, columns] = signed_logarithm(values[:, columns])
    return values


def signed_logarithm(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return ``sign(x) log(1 + |x|)``, same shape."""
    return np.copysign(np.log1p(np.abs(values)), values)
