"""Recent impressions of customers, joined to catalogue rows."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Self

import numpy as np
from numpy.typing import NDArray

from models.arrays.ragged import Ragged, flat_cells
from models.catalogue.catalogue import Catalogue
from models.domain.recent_impressions import RecentImpressions
from models.domain.units import SECOND_US

_NEVER: Final = np.array([np.nan])


@dataclass(frozen=True, eq=False)
class Impressions:
    """Recent impressions of each customer.

    An impression is found at its place, which counts from 1; place 0 is for sales that the customer
    was not shown.

    Attributes:
        customers: Owner of each sale.
        rows: Catalogue rows, distinct per customer, the latest at the end, shape ``(n,)``.
        place: Place of each sale of the catalogue, shape ``(n_customers, n_catalogue)``.
        age_s: Seconds since each was shown last, not negative, NaN for never, shape ``(n + 1,)``.
        positions: Position at which it was shown last, NaN where unknown, same shape.
    """

    customers: Ragged
    rows: NDArray[np.int64]
    place: NDArray[np.intp]
    age_s: NDArray[np.float64]
    positions: NDArray[np.float64]

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
        positions = together.positions[known].astype(np.float64)
        # ``zeros`` maps pages lazily, which is cheap for a large catalogue.
        place = np.zeros((len(shown), len(catalogue)), dtype=np.intp)
        cells = customers.cells(rows[known], len(catalogue))
        place.reshape(-1)[cells] = np.arange(1, len(cells) + 1)
        return cls(
            customers=customers,
            rows=rows[known],
            place=place,
            age_s=np.concatenate([_NEVER, np.maximum(age_s, 0.0)]),
            positions=np.concatenate([_NEVER, np.where(positions > 0, positions, np.nan)]),
        )

    def places(self, rows: NDArray[np.int64]) -> NDArray[np.intp]:
        """Return the places of catalogue rows ``(n_customers, ...)``, same shape."""
        return self.place.take(flat_cells(rows, self.place.shape[1]))
