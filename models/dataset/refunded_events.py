"""Refunds of an event table: remaining pieces, since when, and what they do to the counts."""

from bisect import insort
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Final, Self

import numpy as np
from numpy.typing import NDArray

from models.catalogue.event_counts import RETENTION_HOURS
from models.dataset.events import EventTable
from models.dataset.guest_events import customers_of
from models.domain.customer import MOST_PIECES, WINDOW_EVENTS, first_column, stamps
from models.domain.event import DISLIKE, IMPRESSION, PURCHASE, REFUND
from models.domain.refund_matching import SalePurchases, refunds_in_order
from models.domain.units import HOUR_US

NEVER: Final = np.iinfo(np.int64).max

_ODD: Final = np.uint64(0x9E3779B97F4A7C15)  # spreads small numbers over 64 bits


@dataclass(frozen=True, eq=False)
class Refunds:
    """Effect of the refunds of an event table.

    Attributes:
        left: Pieces left of each purchase, 0 of a fully refunded one; of other events as
            recorded, shape ``(n_events,)``.
        undone_us: When the refund was received that took the last piece of a purchase, `NEVER`
            of all other events, same shape. As in windows, no more than `MOST_PIECES` of a
            purchase or refund are read.
        without_purchase: Rows of the refunds that no purchase is left for.
    """

    left: NDArray[np.int64]
    undone_us: NDArray[np.int64]
    without_purchase: NDArray[np.intp]

    @classmethod
    def from_events(cls, events: EventTable, customers: NDArray[np.int64] | None = None) -> Self:
        """Match refunds with purchases; see `models.domain.refund_matching`.

        Args:
            events: The events.
            customers: A number of the customer of each, shape ``(n_events,)``; as recorded if None.
        """
        codes = events.customers.codes if customers is None else customers
        left = events.quantities.astype(np.int64)
        undone_us = np.full(len(events), NEVER)
        is_purchase = events.kinds == PURCHASE
        left[is_purchase] = np.maximum(left[is_purchase], 1)
        refunds = np.flatnonzero(events.kinds == REFUND)
        if not len(refunds):
            return cls(left, undone_us, refunds)
        purchases = np.flatnonzero(is_purchase)
        refunded = _with_refunds(events, codes, purchases=purchases, refunds=refunds)
        rows = np.concatenate([refunded, refunds])
        kinds, at_us = events.kinds[rows], events.at_us[rows]
        firsts = first_column(
            events.event_keys[rows],
            kinds,
            quantities=events.quantities[rows],
            covers=events.covers[rows],
        )
        # In the order of windows: by time, then by member.
        rows = rows[np.lexsort((stamps(at_us, kinds), events.sale_keys[rows], firsts, at_us))]
        of = zip(codes[rows].tolist(), events.sale_keys[rows], strict=True)
        groups, types, bought = list(of), events.kinds[rows].tolist(), left[rows]
        without: list[int] = []
        for place, changed in refunds_in_order(groups, types, quantities=bought.tolist()):
            if not changed:
                without.append(int(rows[place]))
            for purchase, pieces in changed:
                left[rows[purchase]] = pieces
        in_windows = np.minimum(bought, MOST_PIECES).tolist()
        for place, changed in refunds_in_order(groups, types, quantities=in_windows):
            for purchase, pieces in changed:
                if not pieces:
                    times = events.received_us[rows[[place, purchase]]]
                    undone_us[rows[purchase]] = times.max()
        return cls(left, undone_us, np.array(without, dtype=np.intp))


def net_of_refunds(events: EventTable) -> EventTable:
    """Return what remains of events after all refunds, for outcomes and revenue.

    Fully refunded purchases are left out, and so are the refunds. Of a partly refunded purchase,
    quantity and revenue are those of the pieces left. What a guest bought, the customer may refund.
    """
    if not np.any(events.kinds == REFUND):
        return events
    refunds = Refunds.from_events(events, customers_of(events))
    is_purchase = events.kinds == PURCHASE
    kept = (events.kinds != REFUND) & ~(is_purchase & (refunds.left == 0))
    bought = np.maximum(events.quantities, 1)
    is_part = kept & is_purchase & (refunds.left < bought)
    return replace(
        events,
        quantities=np.where(is_part, refunds.left, events.quantities).astype(np.int32),
        revenues=np.where(is_part, events.revenues * refunds.left / bought, events.revenues),
    ).select(kept)


def interest_until_us(events: EventTable) -> NDArray[np.int64]:
    """Return until when each event shows interest in its sale, `NEVER` without an end.

    A purchase does until it is fully refunded, and every event until the customer dislikes the
    sale, shape ``(n_events,)``.
    """
    until_us = Refunds.from_events(events).undone_us
    is_dislike = events.kinds == DISLIKE
    if not is_dislike.any():
        return until_us
    order = np.lexsort((is_dislike, events.at_us, events.sale_keys, events.customers.codes))
    # Place of the next dislike from each event on, in this order.
    places = np.where(is_dislike[order], np.arange(len(order)), len(order) - 1)
    following = order[np.minimum.accumulate(places[::-1])[::-1]]
    same = (
        is_dislike[following]
        & (events.customers.codes[following] == events.customers.codes[order])
        & (events.sale_keys[following] == events.sale_keys[order])
    )
    disliked = order[same]
    until_us[disliked] = np.minimum(until_us[disliked], events.received_us[following[same]])
    return until_us


def counted_refunds(events: EventTable) -> tuple[NDArray[np.intp], NDArray[np.int64]]:
    """Return the refunds that remove a counted purchase from the counts.

    ``append_events.lua`` applies the same rule.

    A purchase that counted is taken out of the hour that counted it once no purchase of the sale
    by the customer is left of the hour in which it happened. It has to be in the customer's window.
    Nothing is taken out that did not count, so a customer never lowers a sale by more than they
    raised it.

    Returns:
        Rows of refunds, and the hour of receipt of the purchase that each removes, since the
        epoch, shape ``(n,)`` each. Purchases that are too old to be counted are left out.
    """
    refunding = np.unique(events.customers.codes[events.kinds == REFUND])
    kept = np.isin(events.customers.codes, refunding) & (events.kinds != IMPRESSION)
    rows = np.flatnonzero(kept)
    # Stable: a customer's events stay in the order in which they were received.
    rows = rows[np.argsort(events.customers.codes[rows], kind="stable")]
    found = [
        (row, hour)
        for row, hour in _removed_from_counts(events, rows)
        if events.received_us[row] // HOUR_US - hour <= RETENTION_HOURS
    ]
    pairs = np.array(found, dtype=np.int64).reshape(-1, 2)
    return pairs[:, 0].astype(np.intp), pairs[:, 1]


def _removed_from_counts(events: EventTable, rows: NDArray[np.intp]) -> Iterator[tuple[int, int]]:
    firsts = events.first_column
    is_purchase = events.kinds == PURCHASE
    quantities = np.clip(events.quantities, is_purchase, MOST_PIECES).astype(np.int64)
    counts = events.counted & is_purchase
    customer, window = -1, list[tuple[int, int, int, int]]()
    counted_in: dict[tuple[int, int], int] = {}  # by sale and hour in which it happened
    for row in rows.tolist():
        if events.customers.codes[row] != customer:
            customer, window, counted_in = int(events.customers.codes[row]), [], {}
        member = (
            int(events.at_us[row]),
            int(firsts[row]),
            int(events.sale_keys[row]),
            row,
        )
        insort(window, member)
        del window[:-WINDOW_EVENTS]
        if counts[row]:
            at_hour = member[0] // HOUR_US
            counted_in[member[2], at_hour] = int(events.received_us[row]) // HOUR_US
        if events.kinds[row] == REFUND and member in window:
            sale = [one[3] for one in window if one[2] == member[2]]
            before = [other for other in sale if other != row]
            gone = _hours_left(events, before, quantities) - _hours_left(events, sale, quantities)
            hours = (counted_in.pop((member[2], at_hour), None) for at_hour in sorted(gone))
            yield from ((row, hour) for hour in hours if hour is not None)


def _hours_left(events: EventTable, rows: list[int], quantities: NDArray[np.int64]) -> set[int]:
    purchases = SalePurchases()
    for row in rows:
        if events.kinds[row] == PURCHASE:
            purchases.left.append((row, int(quantities[row])))
        elif events.kinds[row] == REFUND:
            purchases.refund(int(quantities[row]))
    return {int(events.at_us[row]) // HOUR_US for row, _ in purchases.left}


def _with_refunds(
    events: EventTable,
    customers: NDArray[np.int64],
    *,
    purchases: NDArray[np.intp],
    refunds: NDArray[np.intp],
) -> NDArray[np.intp]:
    """Return the purchases of a sale that the customer has a refund of, and perhaps a few more."""
    # Of equal customer and sale equal; others collide rarely, and change nothing.
    pairs = customers.astype(np.uint64) * _ODD ^ events.sale_keys
    return purchases[np.isin(pairs[purchases], pairs[refunds])]
