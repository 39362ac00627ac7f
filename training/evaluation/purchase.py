"""What customers bought soon after a slate, of any list."""

import numpy as np
from numpy.typing import NDArray

from models.dataset.events import EventTable
from models.domain.event import KIND, EventType
from training.examples.slates import Slates


class Bought:
    """What each customer bought, and when."""

    def __init__(self, events: EventTable, outcome_us: int) -> None:
        """Sort the purchases of an event table by customer.

        Args:
            events: The event table.
            outcome_us: How long after a slate a purchase is soon.
        """
        purchases = np.flatnonzero(events.kinds == KIND[EventType.PURCHASE])
        order = np.argsort(events.customers.codes[purchases], kind="stable")
        self._purchases = purchases[order]
        self._customers = events.customers.codes[self._purchases]
        self._events = events
        self._outcome_us = outcome_us

    def soon_after(
        self, slates: Slates, slate: int
    ) -> tuple[NDArray[np.uint64], NDArray[np.float64]]:
        """Return what the customer bought soon enough after a slate.

        Returns:
            Sale keys, and what was paid for each: its revenue, else price times quantity,
            NaN where neither is on record; shape ``(n,)`` each.
        """
        customer, now_us = int(slates.customers[slate]), int(slates.now_us[slate])
        start, end = np.searchsorted(self._customers, [customer, customer + 1])
        his = self._purchases[start:end]
        at_us = self._events.at_us[his]
        soon = (at_us >= now_us) & (at_us <= now_us + self._outcome_us)
        # What was received before is known to the features and is no outcome.
        his = his[soon & (self._events.received_us[his] >= now_us)]
        revenues = self._events.revenues[his]
        listed = self._events.prices[his] * np.maximum(self._events.quantities[his], 1)
        paid = np.where(np.isnan(revenues), listed, revenues)
        return self._events.sale_keys[his], paid

    def among(
        self, keys: NDArray[np.uint64], slates: Slates, *, slate: int
    ) -> tuple[NDArray[np.bool_], NDArray[np.float64]]:
        """Return which candidates were bought soon enough after a slate, and what was paid.

        Args:
            keys: Sale keys of the candidates, shape ``(n_sales,)``.
            slates: The slates.
            slate: Which of them.

        Returns:
            Shape ``(n_sales,)`` each; 0 was paid for what was not bought.
        """
        bought, paid = self.soon_after(slates, slate)
        total = np.zeros(len(keys))
        for sale_key, amount in zip(bought, paid, strict=True):
            total[keys == sale_key] += amount
        return np.isin(keys, bought), total
