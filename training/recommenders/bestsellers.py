"""Fits bestsellers: counts the events of each sale so far, and those of the last 14 days."""

import numpy as np
from numpy.typing import NDArray

from models.query.customer_history import COUNTED_INTEREST
from models.recommenders.bestsellers import RETENTION_US, Bestsellers
from training.recommenders.interactions import Interactions


def fit_bestsellers(interactions: Interactions) -> Bestsellers:
    """Count weighted events by sale, each as often as `models.catalogue.event_counts` does."""
    used, n_sales = _weighted(interactions), len(interactions.catalogue)
    rows, weights = interactions.rows[used], COUNTED_INTEREST[interactions.kinds[used]]
    received_us = interactions.received_us[used]
    fitted_us = int(received_us.max(initial=0))
    is_recent = received_us > fitted_us - RETENTION_US
    sums = [np.bincount(rows, one, minlength=n_sales) for one in (weights, weights * is_recent)]
    events, recent = np.array(sums, dtype=np.float64)
    known = np.flatnonzero(events)
    return Bestsellers(interactions.catalogue.keys[known], events[known], recent[known], fitted_us)


def n_outlasting(interactions: Interactions) -> int:
    """Count the sales with events that were open for longer than counts remember, so far."""
    used, catalogue = _weighted(interactions), interactions.catalogue
    rows = np.unique(interactions.rows[used])
    last_us = interactions.received_us[used].max(initial=0)
    until_us = np.minimum(catalogue.closes_us[rows], last_us)
    return int(np.sum(until_us - catalogue.opens_us[rows] > RETENTION_US))


def _weighted(interactions: Interactions) -> NDArray[np.intp]:
    """Return the places of counted events of known sales that have a weight."""
    used = np.flatnonzero(interactions.counted & (interactions.rows >= 0))
    return used[COUNTED_INTEREST[interactions.kinds[used]] > 0]
