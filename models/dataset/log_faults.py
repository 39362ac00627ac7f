"""Faults of a log as a whole: unknown sales, refunds without a purchase."""

import numpy as np

from models.dataset.events import EventTable
from models.dataset.faults import Fault, FaultCode, FaultReport
from models.dataset.guest_events import customers_of
from models.dataset.refunded_events import Refunds
from models.dataset.sales import SalesFile
from models.domain.event import REFUND


def unknown_sales(
    file: str, events: EventTable, *, sales: SalesFile, n_unknown: int
) -> FaultReport:
    """Return the fault of a log most of whose events name no sale of the dataset, if it is one.

    Args:
        file: Name of the log, for the report.
        events: Its accepted events.
        sales: The sales of the dataset.
        n_unknown: Events whose sale is not among them.
    """
    ids = events.sale_ids
    known = [sale.sale_id for sale in sales.sales]
    reason = if_most_unknown(
        n_unknown,
        int(np.sum(ids.codes >= 0)),
        example=ids.values.filter(~ids.values.is_in(known))[0],
    )
    if not reason:
        return FaultReport.none()
    none_known = n_unknown == len(events)
    code = FaultCode.NO_EVENTS if none_known else FaultCode.MOST_SALES_UNKNOWN
    return FaultReport.from_faults([Fault(file=file, column="sale_id", code=code, reason=reason)])


def if_most_unknown(n_unknown: int, n_events: int, *, example: str) -> str:
    """Return what to do if most events name a sale that the dataset lacks; else nothing.

    Args:
        n_unknown: Events whose sale is not among the accepted ones.
        n_events: Events that name a sale.
        example: Id of one of these sales.
    """
    if n_unknown <= n_events / 2:
        return ""
    return (
        f"{n_unknown:,} of {n_events:,} events ({n_unknown / n_events:.0%}) name no sale of the"
        f" dataset, such as {example!r}, and no model learns from them: check `sale_id` of sales"
        " and events, or let `import table` make such sales by `sales_from_events: {}`"
    )


def lone_refunds(file: str, events: EventTable) -> FaultReport:
    """Return the note on refunds without a purchase before them, if there are any."""
    alone = Refunds.from_events(events, customers_of(events)).without_purchase
    if not len(alone):
        return FaultReport.none()
    n_refunds = int(np.sum(events.kinds == REFUND))
    reason = (
        f"{len(alone):,} of {n_refunds:,} refunds have no purchase of the sale by the customer"
        f" before them and change nothing, such as event {events.event_ids[int(alone[0])]!r}"
    )
    code = FaultCode.REFUND_WITHOUT_PURCHASE
    return FaultReport.from_faults([Fault(file=file, column="type", code=code, reason=reason)])
