"""Credit of purchases to impressions: the share of purchases that lists can be learned from."""

from typing import Final

import numpy as np

from models.dataset.events import EventTable
from models.dataset.refunded_events import net_of_refunds
from models.domain.event import IMPRESSION, PURCHASE
from models.domain.units import HOUR_US
from training.examples.slates import credited_pairs

# Chosen: shops sell beside their lists, too, by search and by mail.
_FEW: Final = 0.5


def credited_share(events: EventTable, *, outcome_us: int) -> float | None:
    """Return the share of purchases that are credited to an impression.

    Args:
        events: The log; without fully refunded purchases.
        outcome_us: Longest time from an impression to its purchase, microseconds.

    Returns:
        A share, None without an impression or without a purchase.
    """
    events = net_of_refunds(events)
    shown = np.flatnonzero(events.kinds == IMPRESSION)
    bought = np.flatnonzero(events.kinds == PURCHASE)
    if not len(shown) or not len(bought):
        return None
    _, credited = credited_pairs(events, shown=shown, outcomes=bought, outcome_us=outcome_us)
    return len(credited) / len(bought)


def if_few_credited(events: EventTable, *, outcome_us: int) -> str:
    """Return what to do where fewer than half of the purchases are credited, else nothing."""
    share = credited_share(events, outcome_us=outcome_us)
    if share is None or share >= _FEW:
        return ""
    said = (
        f"{share:.1%} of the purchases are credited to an impression, and lists teach by these"
        " alone: that of the same sale to the same customer, at most"
        f" {outcome_us / HOUR_US:g} hours (`outcome_hours`) before the purchase, and none after it"
    )
    later, median_hours = _ever_credited(events)
    if later and median_hours > outcome_us / HOUR_US:
        said += (
            f". {later:.1%} have one at any time before, half of these {median_hours:.3g} hours"
            " and more: `outcome_hours` is shorter"
        )
    if later < _FEW:
        said += (
            ": check the time zones of impressions and purchases, and their `customer_id` and"
            " `sale_id`"
        )
    return said


def _ever_credited(events: EventTable) -> tuple[float, float]:
    """Return the share of purchases with an impression before them, and the median hours."""
    events = net_of_refunds(events)
    shown = np.flatnonzero(events.kinds == IMPRESSION)
    bought = np.flatnonzero(events.kinds == PURCHASE)
    longest = np.iinfo(np.int64).max
    places, credited = credited_pairs(events, shown=shown, outcomes=bought, outcome_us=longest)
    delays_us = events.at_us[credited] - events.at_us[shown[places]]
    return len(credited) / len(bought), float(np.median(delays_us) / HOUR_US) if len(
        credited
    ) else 0.0
