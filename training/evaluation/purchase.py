"""Outcomes of slates: purchases, or clicks, of a customer soon after one, from any list."""

from typing import Self

import numpy as np
from numpy.typing import NDArray

from models.dataset.guest_events import CustomerCodes
from models.dataset.refunded_events import net_of_refunds
from models.domain.event import PURCHASE
from models.ranker.objective import TrainingObjective
from training.configuration import RunConfig
from training.examples.outcomes import amounts_paid, is_outcome, objective_for
from training.examples.point_in_time import PointInTime
from training.examples.slates import Slates


class Bought:
    """Outcomes of an objective by customer and time, net of refunds."""

    def __init__(
        self,
        past: PointInTime,
        outcome_us: int,
        objective: TrainingObjective = TrainingObjective.PURCHASE,
    ) -> None:
        """Sort the outcomes of a log by customer.

        Args:
            past: The log, and its sales.
            outcome_us: Longest time from a slate to an outcome.
            objective: Says which events are outcomes.
        """
        events = net_of_refunds(past.events)
        purchases = np.flatnonzero(is_outcome(events, objective))
        # Stable: a customer's purchases stay in the order of time.
        # Of a guest they are those of the customer, who logs in to pay.
        self._customer_of = CustomerCodes.from_events(events).at()
        customers = self._customer_of[events.customers.codes[purchases]]
        order = np.argsort(customers, kind="stable")
        self._purchases, self._customers = purchases[order], customers[order]
        self._events = events
        self._paid = amounts_paid(events, past.catalogue)
        self._outcome_us = outcome_us

    @classmethod
    def from_config(cls, past: PointInTime, config: RunConfig) -> Self:
        """Sort the outcomes that a configuration names."""
        return cls(past, config.outcome_us, objective_for(config, past.events))

    def soon_after(
        self, slates: Slates, slate: int
    ) -> tuple[NDArray[np.uint64], NDArray[np.float64]]:
        """Return the customer's outcomes soon after a slate.

        Returns:
            Sale keys, and the amounts paid, NaN where unknown, 0 for a click; shape ``(n,)`` each.
        """
        customer, now_us = self._customer_of[slates.customers[slate]], int(slates.now_us[slate])
        start, end = np.searchsorted(self._customers, [customer, customer + 1])
        purchases = self._purchases[start:end]
        at_us = self._events.at_us[purchases]
        soon = (at_us >= now_us) & (at_us <= now_us + self._outcome_us)
        # Events received before are known to the features: as outcomes they would leak.
        purchases = purchases[soon & (self._events.received_us[purchases] >= now_us)]
        is_purchase = self._events.kinds[purchases] == PURCHASE
        paid = np.where(is_purchase, self._paid[purchases], 0.0)
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
