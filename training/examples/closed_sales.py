"""Events of sales that are not open at their time: nothing can be ranked by them."""

import numpy as np

from models.catalogue.catalogue import Catalogue
from models.dataset.events import EventTable


def if_mostly_closed(events: EventTable, catalogue: Catalogue) -> str:
    """Return what to do where most events of known sales are outside their time, else nothing."""
    rows = catalogue.rows_for(events.sale_keys)
    known = np.flatnonzero(rows >= 0)
    rows, at_us = rows[known], events.at_us[known]
    is_open = (catalogue.opens_us[rows] <= at_us) & (at_us < catalogue.closes_us[rows])
    return if_mostly_outside(len(rows) - int(is_open.sum()), len(rows))


def if_mostly_outside(n_outside: int, n_events: int) -> str:
    """Return what to do if more than half of so many events are outside, else nothing."""
    if n_outside <= n_events / 2:
        return ""
    return (
        f"{n_outside:,} of {n_events:,} events are before the opening or after the close of"
        " their sale: `train` ranks open sales, so that it learns next to nothing from them:"
        " check `opens_at` and `closes_at`, and the time zone of both files"
    )
