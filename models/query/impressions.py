"""Impressions of customers, joined to the sales of a catalogue."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from models.arrays.ragged import Ragged, cells_of
from models.catalogue.catalogue import Catalogue
from models.domain.event import SECOND_US
from models.domain.recent_impressions import RecentImpressions


@dataclass(frozen=True, eq=False)
class Impressions:
    """The sales that each customer was shown last, at his moment.

    Attributes:
        customers: Whose sales stand where.
        rows: Catalogue rows, none twice for a customer, his latest at the end, shape ``(n,)``.
        age_s: Seconds since each was shown last, not negative, shape ``(n,)``.
    """

    customers: Ragged
    rows: NDArray[np.int64]
    age_s: NDArray[np.float64]

    @classmethod
    def of(
        cls, shown: Sequence[RecentImpressions], catalogue: Catalogue, now_us: NDArray[np.int64]
    ) -> Self:
        """Join what customers were shown to a catalogue.

        Args:
            shown: What each customer was shown.
            catalogue: Knows sales.
            now_us: The moment of each, microseconds since the epoch, shape ``(n_customers,)``.
        """
        every, together = Ragged.of(list(map(len, shown))), RecentImpressions.together(shown)
        rows = catalogue.rows_of(together.sale_keys)
        known = rows >= 0
        customers = every.select(known)
        age_s = now_us.take(customers.owners) / SECOND_US - together.at_s[known]
        return cls(customers, rows[known], np.maximum(age_s, 0.0))

    def age_of(self, rows: NDArray[np.int64], n_catalogue: int) -> NDArray[np.float64]:
        """Return the seconds since each customer was shown sales, NaN for never.

        Args:
            rows: Catalogue rows, shape ``(n_customers, ...)``.
            n_catalogue: Number of sales of the catalogue.
        """
        age_s = np.full(self.customers.n_rows * n_catalogue, np.nan)
        age_s[self.customers.cells(self.rows, n_catalogue)] = self.age_s
        return age_s.take(cells_of(rows, n_catalogue))
