"""Known customers of a part: what the service knew of each of them at a moment."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
import polars as pl
from numpy.typing import NDArray

from models.dataset.customers import CustomerTable
from models.dataset.event_columns import Labels
from models.dataset.events import EventTable
from models.dataset.guest_events import with_guests
from models.domain.customer import Window
from models.domain.profile import Profile
from training.examples.replay import ProfileReplay, WindowReplay

_PACKED: Final = {
    "customer_id": pl.String,
    "market": pl.String,
    "device": pl.String,
    "window": pl.Binary,
    "profile": pl.Binary,
}


@dataclass(frozen=True, slots=True, eq=False)
class KnownCustomer:
    """A customer as a request would find them.

    Attributes:
        customer_id: The customer; None for strangers.
        window: The latest events.
        profile: Totals up to the last night, and attributes.
        market: Of the latest event that names one; None if none does.
        device: The same.
    """

    customer_id: str | None
    window: Window
    profile: Profile
    market: str | None
    device: str | None


def known_customers(
    events: EventTable, customers: CustomerTable, *, at_us: int
) -> Iterator[KnownCustomer]:
    """Yield the customers with events or attributes, those of a market one after the other.

    Guests who were merged by then are no customers of their own.

    The candidates of a market are derived once for all of its customers.

    Args:
        events: All events of the customers, with attributes.
        customers: Those with attributes.
        at_us: The moment; what was received later is not known.
    """
    merges = events.merges.known(at_us)
    events = with_guests(replace(events, merges=merges))
    guests = set(merges.guest_ids)
    windows, profiles = WindowReplay(events), ProfileReplay(events)
    ids = events.customers.values
    is_known = events.received_us <= at_us
    markets, devices = (
        _latest(labels, events.customers.codes, is_known)
        for labels in (events.markets, events.devices)
    )
    codes = np.unique(events.customers.codes[is_known])
    for code in codes[np.argsort(markets[codes], kind="stable")]:
        customer = int(code)
        if ids[customer] in guests:
            continue
        yield KnownCustomer(
            ids[customer],
            windows.window(customer, at_us),
            profiles.profile(customer, at_us),
            _text(events.markets, int(markets[customer])),
            _text(events.devices, int(devices[customer])),
        )
    seen = set(ids.gather(codes))
    for row, customer_id in enumerate(customers.customer_ids):
        if customer_id not in seen and customer_id not in guests:
            profile = replace(Profile.empty(), attributes=customers.attributes(row))
            yield KnownCustomer(customer_id, Window.empty(), profile, None, None)


def packed(customers: Iterable[KnownCustomer]) -> pl.DataFrame:
    """Return customers as rows of a table, in their order; windows and profiles as stores do."""
    rows = [
        (one.customer_id, one.market, one.device, one.window.pack(), one.profile.pack())
        for one in customers
    ]
    return pl.DataFrame(rows, schema=_PACKED, orient="row")


def unpacked(frame: pl.DataFrame) -> Iterator[KnownCustomer]:
    """Yield the customers of a table of `packed`."""
    for customer_id, market, device, window, profile in frame.iter_rows():
        yield KnownCustomer(
            customer_id, Window.unpack(window), Profile.unpack(profile), market, device
        )


def customers_by_device(events: EventTable, *, at_us: int) -> dict[str, int]:
    """Return the number of customers by the device of their latest event that names one."""
    is_known = events.received_us <= at_us
    latest = _latest(events.devices, events.customers.codes, is_known)
    counted = np.bincount(latest[latest >= 0], minlength=len(events.devices.values)).tolist()
    return {name: n for name, n in zip(events.devices.values, counted, strict=True) if n}


def _latest(
    labels: Labels, customers: NDArray[np.int64], is_known: NDArray[np.bool_]
) -> NDArray[np.int64]:
    """Return the code of each customer's latest label, -1 without one."""
    latest = np.full(int(customers.max(initial=-1)) + 1, -1)
    rows = np.flatnonzero(is_known & (labels.codes >= 0))
    latest[customers[rows]] = labels.codes[rows]  # rows ascend by receipt: the last one stays
    return latest


def _text(labels: Labels, code: int) -> str | None:
    return labels.values[code] if code >= 0 else None
