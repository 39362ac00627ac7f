"""Sums and cross products of units' outcomes: all that an estimate needs, day by day."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True, eq=False)
class Moments:
    """What a sample leaves of its columns.

    Attributes:
        n: Number of units.
        sums: Sum of each column, shape ``(n_columns,)``.
        products: Sum of the products of each two columns, shape ``(n_columns, n_columns)``.
    """

    n: int
    sums: NDArray[np.float64]
    products: NDArray[np.float64]

    @classmethod
    def of(cls, columns: NDArray[np.float64]) -> Self:
        """Sum up a sample.

        Args:
            columns: A row a unit, shape ``(n, n_columns)``.
        """
        return cls(len(columns), columns.sum(axis=0), columns.T @ columns)

    @property
    def means(self) -> NDArray[np.float64]:
        """Mean of each column, NaN of nothing, shape ``(n_columns,)``."""
        return self.sums / self.n if self.n else np.full_like(self.sums, np.nan)

    def scatter(self) -> NDArray[np.float64]:
        """Return the products of deviations from the means, shape ``(n_columns, n_columns)``."""
        return self.products - np.outer(self.sums, self.sums) / max(self.n, 1)

    def covariance(self) -> NDArray[np.float64]:
        """Return the unbiased covariance of the columns; NaN of fewer than two units."""
        scatter = self.scatter()
        return scatter / (self.n - 1) if self.n > 1 else np.full_like(scatter, np.nan)


def running(
    columns: NDArray[np.float64], days: NDArray[np.int64], *, n_days: int
) -> Iterator[Moments]:
    """Sum up what is known at the end of each day, one day after the other.

    Args:
        columns: A row a unit, shape ``(n, n_columns)``.
        days: Day on which each unit's row is complete, from 0, shape ``(n,)``.
        n_days: Number of days.
    """
    order = np.argsort(days, kind="stable")
    ends = np.searchsorted(days[order], np.arange(n_days), side="right")
    total = Moments.of(columns[:0])
    start = 0
    for end in ends:
        new = Moments.of(columns[order[start:end]])
        total = Moments(total.n + new.n, total.sums + new.sums, total.products + new.products)
        start = end
        yield total
