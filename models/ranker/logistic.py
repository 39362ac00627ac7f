"""Logistic regression over standardised features: the baseline of the ranker, and its offset."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Final, Self

import numpy as np
from numpy.typing import NDArray

from models.arrays.array_file import Arrays
from models.kernel.library import kernel
from models.kernel.steps import address

# Chosen: standardised values are clipped here, so that outliers have a bounded effect.
_MAX_Z: Final = 8.0

_SCALE: Final = np.dtype(
    [("logarithmic", "u8"), ("n_logarithmic", "i8"), ("centres", "u8"), ("scales", "u8")]
)
# ``Line`` in ``logistic.c``.
_LINE: Final = np.dtype(
    [("scale", _SCALE), ("weights", "u8"), ("unknown_weights", "u8"), ("intercept", "f8")]
)


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
        matrix = self.checked(matrix)
        z, unknown = np.empty(matrix.shape), np.empty(matrix.shape)
        record, work = np.zeros(1, dtype=_SCALE), np.empty(matrix.shape[1])
        record[0] = self.packed
        kernel().standardise(
            *(address(record), address(matrix), *matrix.shape, _MAX_Z),
            *map(address, (work, z, unknown)),
        )
        return Standardised(z, unknown)

    @cached_property
    def packed(self) -> tuple[int, int, int, int]:
        """The scale as the kernel reads it, ``Scale`` in ``logistic.c``."""
        columns = self._logarithmic_columns
        return address(columns), len(columns), address(self.centres), address(self.scales)

    @cached_property
    def _logarithmic_columns(self) -> NDArray[np.int64]:
        return np.flatnonzero(self.logarithmic > 0)

    def checked(self, matrix: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return a matrix as the kernel reads it.

        Raises:
            ValueError: If it has another number of features.
        """
        if matrix.shape[1] != len(self.centres):
            msg = f"{matrix.shape[1]} features for a regression over {len(self.centres)}"
            raise ValueError(msg)
        return np.ascontiguousarray(matrix, dtype=np.float32)

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
        return self._alone.log_odds(matrix)[0]

    @cached_property
    def _alone(self) -> "Regressions":
        return Regressions([self])

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


class Regressions:
    """Regressions over the same features, evaluated in one pass.

    Those that share a scale object standardise once.
    """

    def __init__(self, regressions: Sequence[LogisticRanker]) -> None:
        """Pack at least one regression for the kernel."""
        self._regressions = tuple(regressions)
        self._record = np.zeros(len(regressions), dtype=_LINE)
        for packed, one in zip(self._record, regressions, strict=True):
            packed["scale"], packed["intercept"] = one.scale.packed, one.intercept
            packed["weights"] = address(one.weights)
            packed["unknown_weights"] = address(one.unknown_weights)

    def log_odds(self, matrix: NDArray[np.float32]) -> NDArray[np.float64]:
        """Return log-odds of features ``(n, n_features)``, shape ``(n_regressions, n)``.

        A row's result does not depend on the other rows.

        Raises:
            ValueError: If the matrix has another number of features.
        """
        matrix = self._regressions[0].scale.checked(matrix)
        n, n_features = matrix.shape
        found, work = np.empty((len(self._record), n)), np.empty(3 * n_features)
        kernel().log_odds(
            *(address(self._record), len(self._record), address(matrix), n, n_features),
            *(_MAX_Z, address(work), address(found)),
        )
        return found


def signed_logarithm(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return ``sign(x) log(1 + |x|)``, same shape."""
    return np.copysign(np.log1p(np.abs(values)), values)
