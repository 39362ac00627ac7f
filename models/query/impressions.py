"""Recent impressions of customers, joined to catalogue rows."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from models.arrays.ragged import Ragged, flat_cells
from models.catalogue.catalogue import Catalogue
from models.domain.recent_impressions import RecentImpressions
from models.domain.units import SECOND_US


@dataclass(frozen=True, eq=False)
class Impressions:
    """Recent impressions of each customer.

    Attributes:
        customers: Owner of each sale.
        rows: Catalogue rows, distinct per customer, the latest at the end, shape ``(n,)``.
        age_s: Seconds since each was shown last, not negative, shape ``(n,)``.
    """

    customers: Ragged
    rows: NDArray[np.int64]
    age_s: NDArray[np.float64]

    @classmethod
    def from_recent(
        cls, shown: Sequence[RecentImpressions], catalogue: Catalogue, now_us: NDArray[np.int64]
    ) -> Self:
        """Join impressions to a catalogue.

        Args:
            shown: Impressions of each customer.
            catalogue: The known sales.
            now_us: Time of each query, microseconds since the epoch, shape ``(n_customers,)``.
        """
        every = Ragged.from_lengths(list(map(len, shown)))
        together = RecentImpressions.concatenate(shown)
        rows = catalogue.rows_for(together.sale_keys)
        known = rows >= 0
        customers = every.select(known)
        age_s = now_us.take(customers.owners) / SECOND_US - together.at_s[known]
        return cls(customers, rows[known], np.maximum(age_s, 0.0))

    def ages_s(self, rows: NDArray[np.int64], n_catalogue: int) -> NDArray[np.float64]:
        """Return the seconds since each customer was last shown sales, NaN for never.

        Args:
            rows: Catalogue rows, shape ``(n_customers, ...)``.
            n_catalogue: Number of sales of the catalogue.
        """
        # A cell for every customer and sale: one gather then answers for all candidates.
        age_s = np.full(self.customers.n_rows * n_catalogue, np.nan)
        age_s[self.customers.cells(self.rows, n_catalogue)] = self.age_s
        return age_s.take(flat_cells(rows, n_catalogue))
