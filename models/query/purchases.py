"""Purchases of customers by sale, of profile and window together, joined to catalogue rows."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Self

import numpy as np
from numpy.typing import NDArray

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
        cls, profiles: Sequence[Profile], histories: Sequence[History], catalogue: Catalogue
    ) -> Self:
        """Join the purchases of profiles and windows.

        A purchase of a window counts if it is of a later day than the profile's last one of that
        sale: the others are part of both.

        Args:
            profiles: One a customer.
            histories: Of the same customers.
            catalogue: The known sales.
        """
        n_sales = len(catalogue)
        totals = PurchaseHistory.unpack(b"".join(profile.bought for profile in profiles))
        n_packed = [PurchaseHistory.n_packed(one.bought) for one in profiles]
        rows = catalogue.rows_for(totals.sale_keys)
        known = rows >= 0
        paid = [one.kinds == PURCHASE for one in histories]
        bought = [one.rows[chosen] for one, chosen in zip(histories, paid, strict=True)]
        cells = np.concatenate(bought) + _first_cells(list(map(len, bought)), n_sales)
        days = np.concatenate(
            [one.days[chosen] for one, chosen in zip(histories, paid, strict=True)]
        )
        of_profiles = (rows + _first_cells(n_packed, n_sales))[known]
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
        starts = np.arange(len(rows)) * self.n_sales
        cells = rows + starts.reshape(-1, *[1] * (rows.ndim - 1))
        found = np.minimum(self.cells.searchsorted(cells), len(self.cells) - 1)
        return np.where(self.cells[found] == cells, found, -1)


def _first_cells(lengths: list[int], n_sales: int) -> NDArray[np.int64]:
    # Of the customer of each value, where customer ``i`` has ``lengths[i]`` values.
    return np.arange(len(lengths)).repeat(lengths) * n_sales
