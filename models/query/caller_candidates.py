"""Caller candidates: a list of sales, in the caller's order, to be re-ranked."""

from dataclasses import dataclass
from functools import cached_property
from typing import Self

import numpy as np
from numpy.typing import NDArray

from models.catalogue.catalogue import Catalogue


@dataclass(frozen=True, eq=False)
class CallerCandidates:
    """Ordered candidates of a caller; of a repeated sale the first place counts.

    Attributes:
        rows: Catalogue rows, shape ``(n,)``.
        ranks: Rank of each in the caller's order, from 1, shape ``(n,)``.
        prices: Price of each, NaN where unknown, shape ``(n,)``.
    """

    rows: NDArray[np.int64]
    ranks: NDArray[np.int64]
    prices: NDArray[np.float64]

    @classmethod
    def from_rows(
        cls,
        catalogue: Catalogue,
        rows: NDArray[np.int64],
        *,
        ranks: NDArray[np.int64] | None = None,
        prices: NDArray[np.float64] | None = None,
    ) -> Self:
        """Make a list of sales.

        Args:
            catalogue: Source of prices that the caller does not give.
            rows: Catalogue rows in the caller's order, shape ``(n,)``.
            ranks: Their ranks; 1, 2, … if not given, shape ``(n,)``.
            prices: The caller's prices, NaN for the catalogue's, shape ``(n,)``.
        """
        # The inverse of the catalogue's `log(1 + price)`.
        known = np.expm1(catalogue.log_price[rows])
        return cls(
            rows=rows,
            ranks=np.arange(1, len(rows) + 1) if ranks is None else ranks,
            prices=known if prices is None else np.where(np.isnan(prices), known, prices),
        )

    def places(self, rows: NDArray[np.int64]) -> NDArray[np.intp]:
        """Return the places of sales in the list, from 0; -1 for sales that are not in it.

        Args:
            rows: Catalogue rows, shape ``(n_sales,)``.
        """
        order, ordered = self._order
        if not len(ordered):
            return np.full(len(rows), -1, dtype=np.intp)
        # Sorted stably: of a repeated sale the first place is found.
        found = np.searchsorted(ordered, rows)
        inside = np.minimum(found, len(ordered) - 1)
        return np.where(ordered[inside] == rows, order[inside], -1)

    @cached_property
    def _order(self) -> tuple[NDArray[np.intp], NDArray[np.int64]]:
        order = np.argsort(self.rows, kind="stable")
        return order, self.rows[order]
