"""Moments: sums and cross products of outcomes, the sufficient statistics of estimates."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Self

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True, eq=False)
class Moments:
    """Sums and cross products of a sample.

    Attributes:
        n: Number of units.
        sums: Sum of each column, shape ``(n_columns,)``.
        products: Sum of the products of each two columns, shape ``(n_columns, n_columns)``.
    """

    n: int
    sums: NDArray[np.float64]
    products: NDArray[np.float64]

    @classmethod
    def from_columns(cls, columns: NDArray[np.float64]) -> Self:
        """Sum a sample.

        Args:
            columns: One row per unit, shape ``(n, n_columns)``.
        """
        return cls(len(columns), columns.sum(axis=0), columns.T @ columns)

    def __add__(self, other: Self) -> Self:
        """Return the moments of both samples together."""
        return replace(
            self,
            n=self.n + other.n,
            sums=self.sums + other.sums,
            products=self.products + other.products,
        )

    @property
    def means(self) -> NDArray[np.float64]:
        """Mean of each column, NaN without data, shape ``(n_columns,)``."""
        return self.sums / self.n if self.n else np.full_like(self.sums, np.nan)

    def scatter(self) -> NDArray[np.float64]:
        """Return the products of deviations from the means, shape ``(n_columns, n_columns)``."""
        return self.products - np.outer(self.sums, self.sums) / max(self.n, 1)

    def covariance(self) -> NDArray[np.float64]:
        """Return the unbiased covariance of the columns; NaN for fewer than two units."""
        scatter = self.scatter()
        return scatter / (self.n - 1) if self.n > 1 else np.full_like(scatter, np.nan)


def running(
    columns: NDArray[np.float64], days: NDArray[np.int64], *, n_days: int
) -> Iterator[Moments]:
    """Yield cumulative moments at the end of each day.

    Args:
        columns: One row per unit, shape ``(n, n_columns)``.
        days: Day on which each unit's window ends, from 0, shape ``(n,)``.
        n_days: Number of days.
    """
    order = np.argsort(days, kind="stable")
    ends = np.searchsorted(days[order], np.arange(n_days), side="right")
    total = Moments.from_columns(columns[:0])
    start = 0
    # Days are added up instead of summed anew: linear in units, however many days.
    for end in ends:
        total += Moments.from_columns(columns[order[start:end]])
        start = end
        yield total
