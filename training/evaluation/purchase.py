"""Purchase outcomes: purchases of a customer soon after a slate, from any list."""

import numpy as np
from numpy.typing import NDArray

from models.dataset.events import EventTable
from models.dataset.refunded_events import net_of_refunds
from models.domain.event import PURCHASE
from training.examples.slates import Slates


class Bought:
    """Purchases by customer and time, net of refunds."""

    def __init__(self, events: EventTable, outcome_us: int) -> None:
        """Sort the purchases of an event table by customer.

        Args:
            events: The event table.
            outcome_us: Longest time from a slate to a purchase.
        """
        events = net_of_refunds(events)
        purchases = np.flatnonzero(events.kinds == PURCHASE)
        # Stable: a customer's purchases stay in the order of time.
        order = np.argsort(events.customers.codes[purchases], kind="stable")
        self._purchases = purchases[order]
        self._customers = events.customers.codes[self._purchases]
        self._events = events
        self._outcome_us = outcome_us

    def soon_after(
        self, slates: Slates, slate: int
    ) -> tuple[NDArray[np.uint64], NDArray[np.float64]]:
        """Return the customer's purchases soon after a slate.

        Returns:
            Sale keys, and the amounts paid: revenue, else price times quantity, NaN where
            neither was logged; shape ``(n,)`` each.
        """
        customer, now_us = int(slates.customers[slate]), int(slates.now_us[slate])
        start, end = np.searchsorted(self._customers, [customer, customer + 1])
        purchases = self._purchases[start:end]
        at_us = self._events.at_us[purchases]
        soon = (at_us >= now_us) & (at_us <= now_us + self._outcome_us)
        # Events received before are known to the features: as outcomes they would leak.
        purchases = purchases[soon & (self._events.received_us[purchases] >= now_us)]
        revenues = self._events.revenues[purchases]
        # A quantity that was not logged is 0, and means one piece.
        quantities = np.maximum(self._events.quantities[purchases], 1)
        paid = np.where(np.isnan(revenues), self._events.prices[purchases] * quantities, revenues)
        return self._events.sale_keys[purchases], paid

    def among(
        self, keys: NDArray[np.uint64], slates: Slates, *, slate: int
    ) -> tuple[NDArray[np.bool_], NDArray[np.float64]]:
        """Return which candidates were bought soon after a slate, and the amounts paid.

        Args:
            keys: Sale keys of the candidates, shape ``(n_sales,)``.
            slates: The slates.
            slate: Which of them.

        Returns:
            Shape ``(n_sales,)`` each; the amount is 0 where a candidate was not bought.
        """
        bought, paid = self.soon_after(slates, slate)
        total = np.zeros(len(keys))
        for sale_key, amount in zip(bought, paid, strict=True):
            total[keys == sale_key] += amount
        return np.isin(keys, bought), total
