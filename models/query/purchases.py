"""Purchases of customers by sale, of profile and window together, joined to catalogue rows."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Self

import numpy as np
from numpy.typing import NDArray

from models.arrays.ragged import Ragged, flat_cells
from models.catalogue.catalogue import Catalogue
from models.domain.event import PURCHASE
from models.domain.profile import Profile
from models.domain.purchase_history import PurchaseHistory
from models.query.customer_history import History

_NEVER: Final = np.array([-1], dtype=np.int64)

_TRUE: Final = np.array([True])

# Days of purchase histories have 16 bits.
_DAY_BITS: Final = 16


@dataclass(frozen=True, eq=False)
class Purchases:
    """Sales that each customer bought, one entry a customer and sale.

    The entries of a customer lie together, by catalogue row; a last entry stands for "never".

    Attributes:
        cells: ``customer * n_sales + row`` of each entry, ascending, shape ``(n,)``.
        first_days: Day of the first purchase, days since the epoch, -1 for never, ``(n + 1,)``.
        last_days: Day of the last purchase, same.
        n_days: Days with a purchase, 0 for never, shape ``(n + 1,)``.
        n_sales: Number of sales of the catalogue.
    """

    cells: NDArray[np.int64]
    first_days: NDArray[np.int64]
    last_days: NDArray[np.int64]
    n_days: NDArray[np.int64]
    n_sales: int

    @classmethod
    def from_histories(
        cls, profiles: Sequence[Profile], history: History, catalogue: Catalogue
    ) -> Self:
        """Join the purchases of profiles and windows.

        A purchase of a window counts if it is of a later day than the profile's last one of that
        sale: the others are part of both.

        Args:
            profiles: One a customer.
            history: The windows of the same customers.
            catalogue: The known sales.
        """
        n_sales = len(catalogue)
        totals = PurchaseHistory.unpack(b"".join(profile.bought for profile in profiles))
        owners = Ragged.from_lengths([PurchaseHistory.n_packed(one.bought) for one in profiles])
        rows = catalogue.rows_for(totals.sale_keys)
        known = rows >= 0
        paid = history.kinds == PURCHASE
        cells = history.customers.select(paid).cells(history.rows[paid], n_sales)
        days = history.days[paid]
        of_profiles = owners.select(known).cells(rows[known], n_sales)
        n_known = len(of_profiles)
        # By cell, an entry of a profile (day 0) in front of the days of the window.
        keys = np.concatenate([of_profiles, cells]) << _DAY_BITS
        if not len(keys):
            return cls(keys, _NEVER, _NEVER, np.zeros(1, dtype=np.int64), n_sales)
        keys[n_known:] += days
        order = keys.argsort(kind="stable")
        keys, is_new = keys[order], order >= n_known
        joined = keys >> _DAY_BITS
        first = np.concatenate([totals.first_days[known], days])[order]
        last = np.concatenate([totals.last_days[known], days])[order]
        n_days = np.concatenate([totals.n_days[known], np.ones_like(days)])[order]
        is_start = np.concatenate([_TRUE, joined[1:] != joined[:-1]])
        starts = is_start.nonzero()[0]
        head = starts[is_start.cumsum() - 1]
        # Days that the profile holds, and repetitions.
        n_days[is_new & ~is_new[head] & (last <= last[head])] = 0
        n_days[1:][keys[1:] == keys[:-1]] = 0
        return cls(
            joined[starts],
            np.append(np.minimum.reduceat(first, starts), _NEVER),
            np.append(np.maximum.reduceat(last, starts), _NEVER),
            np.append(np.add.reduceat(n_days, starts), 0),
            n_sales,
        )

    def places(self, rows: NDArray[np.int64]) -> NDArray[np.intp]:
        """Return the entries of catalogue rows ``(n_customers, ...)``, -1 for never, same shape."""
        if not len(self.cells):
            return np.full(rows.shape, -1, dtype=np.intp)
        cells = flat_cells(rows, self.n_sales)
        found = np.minimum(self.cells.searchsorted(cells), len(self.cells) - 1)
        return np.where(self.cells[found] == cells, found, -1)
