"""Customer history: the events of windows, joined to the catalogue, with decayed interest.

The events of several customers are stored one customer after the other (ragged rows); a single
customer is the case of one row.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Final, Self

import numpy as np
from numpy.typing import NDArray

from models.arrays.ragged import Ragged, flat_cells
from models.catalogue.catalogue import Catalogue
from models.catalogue.event_counts import N_KINDS
from models.domain.customer import Window
from models.domain.event import DISLIKE, KIND, KINDS, REFUND, WITHOUT_SALE, EventType
from models.domain.recent_impressions import NOTHING_SHOWN
from models.domain.refund_matching import SHOWS_INTEREST, still_shows_interest
from models.domain.units import DAY_S, DAY_US, MINUTE_S, SECOND_US

# Chosen, not measured; part of the schema hash. Other events show no interest in a sale.
_INTEREST_BY_TYPE: Final = {
    EventType.VIEW: 1.0,
    EventType.CLICK: 1.0,
    EventType.CART: 2.0,
    EventType.PURCHASE: 3.0,
    EventType.FAVOURITE: 2.0,
}
INTEREST: Final = np.array([_INTEREST_BY_TYPE.get(event_type, 0.0) for event_type in KINDS])
"""Interest weight of one event by type code, shape ``(n_kinds,)``."""

COUNTED_INTEREST: Final = INTEREST[:N_KINDS]
"""The same for the types that are counted by sale, shape ``(6,)``."""

_IS_SEARCH: Final = np.array([event_type in WITHOUT_SALE for event_type in KINDS])

# Chosen; part of the schema hash.
_VISIT_HALF_LIFE_S: Final = 30 * MINUTE_S
_LASTING_HALF_LIFE_S: Final = 14 * DAY_S
HALF_LIVES_S: Final = (_VISIT_HALF_LIFE_S, _LASTING_HALF_LIFE_S)
"""Half-lives of interest: of this visit, and lasting."""

VISIT: Final = 0
"""Index of the half-life of this visit in `HALF_LIVES_S`."""

LASTING: Final = 1
"""Index of the lasting half-life in `HALF_LIVES_S`."""

# Chosen, not measured; part of the schema hash. One old view counts less than ten.
EVIDENCE: Final = 0.5
"""Pseudo-interest by which profiles are shrunk towards 0."""

# 30 minutes, as is usual in web analytics.
VISIT_GAP_S: Final = 30 * MINUTE_S
"""A longer gap between events ends a visit."""

_HALF_LIVES_S: Final = np.array(HALF_LIVES_S)[:, None]
# Chosen: a taste changes more slowly than interest in single sales.
TASTE_MEMORY_S: Final = 60 * DAY_S
"""Half-life of evidence on a taste."""

# Lasting first, unlike `HALF_LIVES_S`.
_TASTE_HALF_LIVES_S: Final = np.array([[TASTE_MEMORY_S], [_VISIT_HALF_LIFE_S]])

_NEVER: Final = np.array([np.nan])


@dataclass(frozen=True, eq=False)
class History:
    """Customer histories: the events of windows, joined to catalogue rows, as of each query.

    The events are those that still show interest, without refunded purchases; see
    `models.domain.refund_matching.still_shows_interest`.

    Attributes:
        customers: Owner of each event.
        rows: Catalogue row of each event, a customer's oldest first, shape ``(n,)``.
        kinds: Type code of each event, shape ``(n,)``.
        age_s: Seconds since each event, not negative, shape ``(n,)``.
        days: UTC day of each event, days since the epoch, shape ``(n,)``.
        interest: Interest of each event, decayed by each half-life, shape ``(2, n)``.
        n_unknown: Events of each customer whose sale is not in the catalogue, shape
            ``(n_customers,)``.
        n_searches: Searches and opened e-mails in each window, same shape.
        active_age_s: Seconds since each customer's last event of any type, NaN if none, same
            shape.
        dislikes: Catalogue rows that each customer dislikes.
    """

    customers: Ragged
    rows: NDArray[np.int64]
    kinds: NDArray[np.intp]
    age_s: NDArray[np.float64]
    days: NDArray[np.int64]
    interest: NDArray[np.float64]
    n_unknown: NDArray[np.int64]
    n_searches: NDArray[np.int64]
    active_age_s: NDArray[np.float64]
    dislikes: tuple[Ragged, NDArray[np.int64]]

    @classmethod
    def from_windows(
        cls, windows: Sequence[Window], catalogue: Catalogue, now_us: NDArray[np.int64]
    ) -> Self:
        """Join windows to a catalogue; times after a customer's ``now_us`` count as ``now_us``.

        Args:
            windows: One per customer.
            catalogue: The known sales.
            now_us: Time of each query, microseconds since the epoch, shape ``(n_customers,)``.
        """
        every = Ragged.from_lengths(list(map(len, windows)))
        # One window of all events: the accessors of `Window` decode packed members of any number.
        members = [window.members for window in windows]
        joined = members[0] if len(members) == 1 else np.concatenate(members)
        events = Window(joined, NOTHING_SHOWN)
        rows = catalogue.rows_for(events.sale_keys)
        shows = _still_shows_interest(every, events)
        known = shows & (rows >= 0)
        customers = every.select(known)
        every_at_us = np.minimum(events.at_us, now_us.take(every.owners))
        every_age_s = (now_us.take(every.owners) - every_at_us) / SECOND_US
        kinds, age_s = events.kinds[known], every_age_s[known]
        # Events are ordered by time: of repeated indices numpy keeps the last assignment.
        active_age_s = np.full(every.n_rows, np.nan)
        active_age_s[every.owners] = every_age_s
        disliked = (events.kinds == DISLIKE) & (rows >= 0)
        return cls(
            customers=customers,
            rows=rows[known],
            kinds=kinds,
            age_s=age_s,
            days=every_at_us[known] // DAY_US,
            interest=INTEREST[kinds] * np.exp2(-age_s / _HALF_LIVES_S),
            n_unknown=every.select(shows).lengths - customers.lengths,
            n_searches=every.select(_IS_SEARCH.take(events.kinds)).lengths,
            active_age_s=active_age_s,
            dislikes=(every.select(disliked), rows[disliked]),
        )

    def __len__(self) -> int:
        """Return the number of events whose sale is known."""
        return len(self.rows)

    @cached_property
    def weight(self) -> NDArray[np.float64]:
        """Denominator of profiles: `EVIDENCE` plus all interest, shape ``(2, n_customers)``."""
        return EVIDENCE + self.customers.sums(self.interest)

    def mean(self, vectors: NDArray[np.floating]) -> NDArray[np.float64]:
        """Average the vectors of each customer's sales by interest, shrunk by `EVIDENCE`.

        Args:
            vectors: A vector of every sale of the catalogue, finite, shape ``(n_catalogue, n)``.

        Returns:
            ``sum of interest * vector / weight`` by half-life, shape ``(2, n_customers, n)``.
        """
        summed = self.customers.weighted(self.interest, vectors, rows=self.rows)
        return summed / self.weight[..., None]

    def counts(self, chosen: NDArray[np.bool_]) -> NDArray[np.int64]:
        """Count each customer's events under a mask ``(n,)``, shape ``(n_customers,)``."""
        return np.bincount(self.customers.owners[chosen], minlength=self.customers.n_rows)

    def disliked(self, rows: NDArray[np.int64], n_catalogue: int) -> NDArray[np.bool_]:
        """Return whether each customer dislikes catalogue rows ``(n_customers, n)``, same shape."""
        customers, disliked = self.dislikes
        return np.isin(flat_cells(rows, n_catalogue), customers.cells(disliked, n_catalogue))

    def newest_age_s(self, event_type: EventType | None = None) -> NDArray[np.float64]:
        """Return the age of each customer's newest event, of one type if given; NaN if none.

        Returns:
            Seconds, shape ``(n_customers,)``.
        """
        newest = np.full(self.customers.n_rows, np.nan)
        # Events are ordered by time: of repeated indices numpy keeps the last assignment.
        if event_type is None:
            newest[self.customers.owners] = self.age_s
        else:
            of_type = self.kinds == KIND[event_type]
            newest[self.customers.owners[of_type]] = self.age_s[of_type]
        return newest


def _still_shows_interest(customers: Ragged, events: Window) -> NDArray[np.bool_]:
    kinds = events.kinds
    shows = SHOWS_INTEREST.take(kinds)
    # Few customers have any: the others are decided by the types alone.
    undoing = (kinds == REFUND) | (kinds == DISLIKE)
    for customer in np.unique(customers.owners[undoing]):
        own = np.flatnonzero(customers.owners == customer)
        shows[own] = still_shows_interest(
            events.sale_keys[own], kinds[own], quantities=events.quantities[own]
        )
    return shows


@dataclass(frozen=True, eq=False)
class HistoryBySale:
    """Histories aggregated by sale.

    The aggregate of a customer's sale is stored at the place of their last event with it, counted
    from 1; place 0 is for sales without events.

    Attributes:
        place: Place of each sale of the catalogue, shape ``(n_customers, n_catalogue)``.
        counts: Events by type code, shape ``(n + 1, n_kinds)``.
        age_s: Seconds since the last event, NaN if never, shape ``(n + 1,)``.
        interest: Decayed interest by half-life, shape ``(2, n + 1)``.
        event_places: Place of the sale of each event, shape ``(n,)``.
        is_newest: Whether each event is the newest with its sale, shape ``(n,)``.
    """

    place: NDArray[np.intp]
    counts: NDArray[np.float64]
    age_s: NDArray[np.float64]
    interest: NDArray[np.float64]
    event_places: NDArray[np.intp]
    is_newest: NDArray[np.bool_]

    @classmethod
    def from_history(cls, history: History, n_catalogue: int) -> Self:
        """Aggregate histories over the events with each sale."""
        n, counted = len(history) + 1, np.arange(1, len(history) + 1)
        # ``zeros`` maps pages lazily, which is cheap for a large catalogue.
        place = np.zeros((history.customers.n_rows, n_catalogue), dtype=np.intp)
        cells = history.customers.cells(history.rows, n_catalogue)
        # Of repeated cells numpy keeps the last assignment, the newest event.
        place.reshape(-1)[cells] = counted
        places = place.take(cells)
        interest = [
            np.bincount(places, weights=decayed, minlength=n) for decayed in history.interest
        ]
        counts = np.bincount(places * len(KINDS) + history.kinds, minlength=n * len(KINDS))
        return cls(
            place=place,
            counts=counts.reshape(n, -1).astype(np.float64),
            age_s=np.concatenate([_NEVER, history.age_s]),
            interest=np.array(interest, dtype=np.float64),
            event_places=places,
            is_newest=places == counted,
        )

    def places(self, rows: NDArray[np.int64]) -> NDArray[np.intp]:
        """Return the places of catalogue rows ``(n_customers, ...)``, same shape."""
        return self.place.take(flat_cells(rows, self.place.shape[1]))


@dataclass(frozen=True, eq=False)
class SaleInteractions:
    """Interactions per customer and sale: the distinct sales of each history.

    Attributes:
        customers: Owner of each sale.
        rows: Catalogue rows, a customer's ascending, shape ``(n,)``.
        age_s: Seconds since the newest event with each, shape ``(n,)``.
    """

    customers: Ragged
    rows: NDArray[np.int64]
    age_s: NDArray[np.float64]

    @cached_property
    def weights(self) -> NDArray[np.float64]:
        """Weight of each as evidence of a taste, lasting and of this visit, shape ``(2, n)``."""
        return np.exp2(-self.age_s / _TASTE_HALF_LIVES_S)

    @classmethod
    def from_history(cls, history: History, by_sale: HistoryBySale) -> Self:
        """Take each sale once, at its newest event."""
        newest = np.flatnonzero(by_sale.is_newest)
        order = newest[np.lexsort((history.rows[newest], history.customers.owners[newest]))]
        owners = history.customers.owners[order]
        customers = Ragged(owners, history.customers.n_rows)
        return cls(customers, history.rows[order], history.age_s[order])
