"""Replay of the log: windows, profiles, counts and neighbours as the service knew them."""

from copy import copy
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Self, TypeVar

import numpy as np
from numpy.typing import NDArray

from models.arrays.mapped_array import beside
from models.catalogue.catalogue import Catalogue
from models.catalogue.event_counts import (
    HALF_LIVES_HOURS,
    N_KINDS,
    RETENTION_HOURS,
    HalfLives,
    HourlyCounts,
    SaleCounts,
    decayed_counts,
    grid_floor,
    refunded,
)
from models.dataset.events import EventTable
from models.dataset.guest_events import with_guests
from models.dataset.refunded_events import Refunds, counted_refunds
from models.domain.customer import (
    WINDOW_EVENTS,
    Window,
    canonical_order,
    first_column,
    stamps,
)
from models.domain.event import IMPRESSION
from models.domain.profile import Profile, night_floor
from models.domain.recent_impressions import SHOWN_SALES, RecentImpressions, stamps_of
from models.domain.units import HOUR_US
from models.neighbours.search import Neighbours

_Number = TypeVar("_Number", bound=np.generic)


@dataclass(frozen=True, eq=False)
class CustomerLog:
    """Columns of events grouped by customer, in one order inside each group.

    Attributes:
        starts: Where each customer's events start, and the end, shape ``(n_customers + 1,)``.
        received_us: When each was received, shape ``(n,)``.
    """

    starts: NDArray[np.int64]
    received_us: NDArray[np.int64]

    @classmethod
    def of(
        cls, customers: NDArray[np.int64], received_us: NDArray[np.int64], *, n_customers: int
    ) -> Self:
        """Group rows that are sorted by customer."""
        starts = np.searchsorted(customers, np.arange(n_customers + 1))
        return cls(starts.astype(np.int64), received_us)

    def span(self, customer: int) -> tuple[int, int]:
        """Return the first row of a customer, and the row behind the last one."""
        return int(self.starts[customer]), int(self.starts[customer + 1])

    def seen(self, customer: int, now_us: int) -> slice | None:
        """Return the rows of a customer received up to a moment, None if they are no slice."""
        # Events of a customer may be received in another order than they happened.
        if not self._orderly[customer]:
            return None
        start, end = self.span(customer)
        n = int(self.received_us[start:end].searchsorted(now_us, side="right"))
        return slice(start, start + n)

    def seen_apart(self, customer: int, now_us: int) -> NDArray[np.intp]:
        """Return the same rows as indices."""
        start, end = self.span(customer)
        return start + np.flatnonzero(self.received_us[start:end] <= now_us)

    @cached_property
    def _orderly(self) -> NDArray[np.bool_]:
        """Whether the events of each customer were received in order."""
        received = self.received_us
        overtaken = np.flatnonzero(received[1:] < received[:-1]) + 1
        # A step back between two customers is none within a customer.
        overtaken = np.setdiff1d(overtaken, self.starts)
        orderly = np.ones(len(self.starts) - 1, dtype=np.bool_)
        orderly[np.searchsorted(self.starts, overtaken, side="right") - 1] = False
        return orderly


class ShownReplay:
    """Recent impressions of all customers at any moment; see `models.domain.recent_impressions`."""

    def __init__(self, events: EventTable) -> None:
        """Take events as customers have them, see `models.dataset.guest_events`."""
        shown = np.flatnonzero(events.kinds == IMPRESSION)
        shown_at = stamps_of(events.at_us[shown], events.positions[shown])
        order = np.lexsort((events.sale_keys[shown], shown_at, _codes(events)[shown]))
        shown = shown[order]
        self._every = RecentImpressions(
            _kept(events, events.sale_keys[shown]), _kept(events, shown_at[order])
        )
        self._log = _log(events, shown)
        # Index of the next impression of the same sale to the same customer, else ``n``.
        customers, sale_keys = _codes(events)[shown], self._every.sale_keys
        order = np.lexsort((sale_keys, customers))
        alike = (np.diff(customers[order]) == 0) & (np.diff(sale_keys[order]) == 0)
        self._next = np.full(len(order), len(order))
        self._next[order[:-1][alike]] = order[1:][alike]
        self._next = _kept(events, self._next)

    def shown(self, customer: int, now_us: int) -> RecentImpressions:
        """Return the recent impressions of a customer; see `WindowReplay.window`."""
        seen = self._log.seen(customer, now_us)
        if seen is None:
            return self._every.select(self._log.seen_apart(customer, now_us)).latest()
        # The latest impression of a sale is the one without a later one in the slice.
        latest = np.flatnonzero(self._next[seen] >= seen.stop)[-SHOWN_SALES:]
        return self._every.select(seen.start + latest)


class WindowReplay:
    """Windows of all customers at any moment: slices of sorted columns.

    A window at T holds what was received up to T; see `models.domain.customer`. That of a customer
    holds the events of guests who were merged up to T.
    """

    def __init__(self, events: EventTable) -> None:
        events = with_guests(events)
        self._shown = ShownReplay(events)
        kept = np.flatnonzero(events.kinds != IMPRESSION)
        members = np.stack(
            [
                first_column(
                    events.event_keys[kept],
                    events.kinds[kept],
                    quantities=events.quantities[kept],
                    covers=events.covers[kept],
                ),
                events.sale_keys[kept],
                stamps(events.at_us[kept], events.kinds[kept]),
            ],
            axis=1,
        )
        order = np.lexsort(
            (members[:, 2], members[:, 1], members[:, 0], events.at_us[kept], _codes(events)[kept])
        )
        self._members = _kept(events, members[order])
        self._log = _log(events, kept[order])

    def window(self, customer: int, now_us: int) -> Window:
        """Return the window of a customer, by code, of what was received up to ``now_us``."""
        seen = self._log.seen(customer, now_us)
        if seen is None:
            apart = self._log.seen_apart(customer, now_us)
            members = canonical_order(self._members[apart])
        else:
            members = self._members[seen]
        return Window(members[-WINDOW_EVENTS:], self._shown.shown(customer, now_us))


class ProfileReplay:
    """Profiles of all customers at any moment; see `models.domain.profile`."""

    def __init__(self, events: EventTable) -> None:
        events = with_guests(events)
        self._guests = events.merges.guests_of(events.customers.values)
        order = np.lexsort((events.received_us, _codes(events)))
        self._kinds = _kept(events, events.kinds[order])
        self._at_us = _kept(events, events.at_us[order])
        self._undone_us = _kept(events, Refunds.from_events(events).undone_us[order])
        self._sale_keys = _kept(events, events.sale_keys[order])
        self._attributes = events.attributes
        self._latest: dict[int, tuple[int, Profile]] = {}
        self._log = _log(events, order)

    def profile(self, customer: int, now_us: int) -> Profile:
        """Return the profile of a customer by the last night before ``now_us``.

        Guests who were merged since then add theirs. Attributes are those of the dataset, which has
        no earlier ones.
        """
        profile = self._own(customer, now_us)
        for guest, merged_us in self._guests.get(customer, ()):
            if night_floor(now_us) <= merged_us <= now_us:
                profile = profile.join(self._own(guest, now_us))
            elif merged_us <= now_us:  # its events are the customer's, its attributes are not yet
                known = self._attributes.attributes(guest)
                profile = profile.join(replace(Profile.empty(), attributes=known))
        return profile

    def _own(self, customer: int, now_us: int) -> Profile:
        # Slates of a day follow each other: the last profile of each customer is that of most.
        night_us = night_floor(now_us)
        night, profile = self._latest.get(customer, (None, None))
        if profile is None or night != night_us:
            profile = self._made(customer, night_us)
            self._latest[customer] = night_us, profile
        return profile

    def _made(self, customer: int, night_us: int) -> Profile:
        known = self._known(customer, night_us)
        return Profile.from_events(
            self._kinds[known],
            self._at_us[known],
            sale_keys=self._sale_keys[known],
            undone=self._undone_us[known] < night_us,
            attributes=self._attributes.attributes(customer),
            night_us=night_us,
        )

    def last_us(self, customer: int, now_us: int) -> int | None:
        """Return the time of the customer's last event known to that night, None without one."""
        at_us = self._at_us[self._known(customer, now_us)]
        return int(at_us.max()) if len(at_us) else None

    def _known(self, customer: int, now_us: int) -> slice:
        start, end = self._log.span(customer)
        received = self._log.received_us[start:end]
        return slice(start, start + int(received.searchsorted(night_floor(now_us))))


class CountReplay:
    """Counts of a catalogue's sales at moments that do not go back."""

    def __init__(
        self, events: EventTable, catalogue: Catalogue, *, half_lives: HalfLives = HALF_LIVES_HOURS
    ) -> None:
        self._half_lives: HalfLives = half_lives
        rows = catalogue.rows_for(events.sale_keys)
        order = np.flatnonzero((rows >= 0) & events.counted)
        self._rows = _kept(events, rows[order])
        self._kinds = _kept(events, events.kinds[order].astype(np.int64))
        self._received_us = _kept(events, events.received_us[order])
        self._n_sales = len(catalogue)
        hourly = HourlyCounts.from_entries(
            self._rows,
            self._kinds,
            hours=self._received_us // HOUR_US,
            counts=np.ones(len(order), dtype=np.int64),
        )
        # By hour, so that the hours that count lie together. Inside a sale and type hours ascend as
        # before: sums over them are the same to the bit.
        self._hourly = _part(hourly, np.argsort(hourly.hours, kind="stable"))
        refunds, of_hours = counted_refunds(events)
        known = rows[refunds] >= 0
        self._refunded = refunded(rows[refunds[known]], of_hours[known])
        self._refund_hours = events.received_us[refunds[known]] // HOUR_US
        self._begin()

    def restarted(self) -> Self:
        """Return a replay of the same events from the first moment on.

        It takes far less time than a new one: events are counted and refunds matched once.
        """
        other = copy(self)
        other._begin()
        return other

    def _begin(self) -> None:
        self._hour = -1
        self._whole_hours = SaleCounts.none(self._n_sales, half_lives=self._half_lives)
        self._partial = np.zeros((self._n_sales, N_KINDS), dtype=np.int64)
        self._next = 0
        self._current = SaleCounts.none(self._n_sales, half_lives=self._half_lives)

    def at(self, now_us: int) -> SaleCounts:
        """Return the counts that a service has at a moment; the next call changes them.

        The cost grows with the events since the last call, not with the catalogue: most sales of a
        long log are closed.

        Args:
            now_us: Not before the moment of the last call.

        Raises:
            ValueError: If time goes back.
        """
        at_us = grid_floor(now_us)
        if at_us < self._current.at_us:
            msg = f"counts at {at_us} were asked for after those at {self._current.at_us}"
            raise ValueError(msg)
        if at_us > self._current.at_us:
            self._enter_hour(at_us // HOUR_US)
            end = int(self._received_us.searchsorted(at_us))
            passed = slice(self._next, end)
            rows = self._rows[passed]
            np.add.at(self._partial, (rows, self._kinds[passed]), 1)
            self._next = end
            # The sums of `SaleCounts.with_partial`, of no more sales than something happened to.
            partial, whole, current = self._partial[rows], self._whole_hours, self._current
            current.totals[rows] = whole.totals[rows] + partial
            current.decayed[:, rows] = whole.decayed[:, rows] + partial
            self._current = SaleCounts(at_us, current.totals, current.decayed, current.half_lives)
        return self._current

    def _enter_hour(self, hour: int) -> None:
        if hour == self._hour:
            return
        self._hour = hour
        counted = np.searchsorted(self._hourly.hours, [hour - RETENTION_HOURS, hour])
        hourly = _part(self._hourly, slice(int(counted[0]), int(counted[1])))
        is_over = self._refund_hours < hour
        if is_over.any():
            hourly = hourly.merge(_part(self._refunded, is_over))
        self._whole_hours = decayed_counts(
            hourly, hour=hour, n_sales=self._n_sales, half_lives=self._half_lives
        )
        self._partial[:] = 0
        self._current = self._whole_hours.with_partial(self._partial, at_us=hour * HOUR_US)
        self._next = int(np.searchsorted(self._received_us, hour * HOUR_US))


class NeighbourReplay:
    """Picture neighbours among the sales that were registered, at moments that do not go back.

    A dataset has no times of registration: it is taken as the begin of the hour of the opening.
    """

    def __init__(self, catalogue: Catalogue) -> None:
        self._catalogue = catalogue
        # Whole hours, since each change of the neighbours takes a pass over all pictures.
        self._registered_us = catalogue.opens_us // HOUR_US * HOUR_US
        self._in_order = np.sort(self._registered_us[catalogue.pictured])
        self._n_known = 0
        self._known = np.zeros_like(catalogue.embeddings)
        self._current = Neighbours.from_embeddings(self._known, opens_us=catalogue.opens_us)

    def at(self, now_us: int) -> Neighbours:
        """Return the neighbours at a moment, not before that of the last call."""
        n_known = int(self._in_order.searchsorted(now_us, side="right"))
        if n_known > self._n_known:
            is_known = (self._registered_us <= now_us)[:, None]
            before = self._known
            self._known = np.where(is_known, self._catalogue.embeddings, np.float32(0))
            self._n_known = n_known
            self._current = self._current.updated(
                before,
                self._known,
                rows=np.arange(len(before)),
                opens_us=self._catalogue.opens_us,
            )
        return self._current


def _part(
    hourly: HourlyCounts, chosen: slice | NDArray[np.intp] | NDArray[np.bool_]
) -> HourlyCounts:
    return HourlyCounts(
        hourly.rows[chosen], hourly.kinds[chosen], hourly.hours[chosen], hourly.counts[chosen]
    )


def _kept(events: EventTable, values: NDArray[_Number]) -> NDArray[_Number]:
    # A plain array: parts of one of a file's own type take several times as long.
    return np.asarray(beside(events.at_us, values))


def _log(events: EventTable, rows: NDArray[np.intp]) -> CustomerLog:
    """Return the log of rows that are sorted by customer."""
    received_us = _kept(events, events.received_us[rows])
    return CustomerLog.of(_codes(events)[rows], received_us, n_customers=_n_customers(events))


def _codes(events: EventTable) -> NDArray[np.int64]:
    return events.customers.codes


def _n_customers(events: EventTable) -> int:
    return len(events.customers.values)
