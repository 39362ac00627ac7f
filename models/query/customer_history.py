"""What customers did, joined to the sales that a catalogue knows, at the moment each is asked for.

The events of several customers stand one customer after the other; a customer alone is several
of one.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Final, Self

import numpy as np
from numpy.typing import NDArray

from models.arrays.ragged import Ragged, cells_of
from models.catalogue.catalogue import Catalogue
from models.domain.customer import Window
from models.domain.event import KIND, KINDS, SECOND_US, EventType
from models.domain.recent_impressions import NOTHING_SHOWN

_INTEREST_BY_TYPE: Final = {
    EventType.IMPRESSION: 0.0,
    EventType.VIEW: 1.0,
    EventType.CLICK: 1.0,
    EventType.CART: 2.0,
    EventType.PURCHASE: 3.0,
}
INTEREST: Final = np.array([_INTEREST_BY_TYPE[event_type] for event_type in KINDS])
"""How much interest in a sale one event of each type shows, by type code."""

VISIT_HALF_LIFE_S: Final = 30.0 * 60.0
TASTE_HALF_LIFE_S: Final = 14.0 * 24.0 * 3600.0
HALF_LIVES_S: Final = (VISIT_HALF_LIFE_S, TASTE_HALF_LIFE_S)
"""Half-lives of interest: this visit, and lasting taste."""

VISIT: Final = 0
"""Index of this visit in `HALF_LIVES_S`."""

LASTING: Final = 1
"""Index of lasting taste in `HALF_LIVES_S`."""

EVIDENCE: Final = 0.5
"""Interest that a taste is shrunk by: one old view says less than ten."""

_HALF_LIVES_S: Final = np.array(HALF_LIVES_S)[:, None]
TASTE_MEMORY_S: Final = 60.0 * 24.0 * 3600.0
"""Half-life of what is learned of a taste, which lasts longer than interest in one sale."""

_TASTE_HALF_LIVES_S: Final = np.array([[TASTE_MEMORY_S], [VISIT_HALF_LIFE_S]])

_NEVER: Final = np.array([np.nan])


@dataclass(frozen=True, eq=False)
class History:
    """The events of windows at their moments, joined to the sales that a catalogue knows.

    Attributes:
        customers: Whose events stand where.
        rows: Catalogue row of each event, a customer's oldest first, shape ``(n,)``.
        kinds: Type code of each event, shape ``(n,)``.
        age_s: Seconds since each event, not negative, shape ``(n,)``.
        interest: Interest of each event, faded by each half-life, shape ``(2, n)``.
        n_unknown: Events of each customer whose sale the catalogue does not know, shape
            ``(n_customers,)``.
    """

    customers: Ragged
    rows: NDArray[np.int64]
    kinds: NDArray[np.intp]
    age_s: NDArray[np.float64]
    interest: NDArray[np.float64]
    n_unknown: NDArray[np.int64]

    @classmethod
    def of(cls, windows: Sequence[Window], catalogue: Catalogue, now_us: NDArray[np.int64]) -> Self:
        """Join windows to a catalogue; times after a customer's ``now_us`` count as it.

        Args:
            windows: One of each customer.
            catalogue: Knows sales.
            now_us: The moment of each, microseconds since the epoch, shape ``(n_customers,)``.
        """
        every = Ragged.of(list(map(len, windows)))
        # A window of all events is no window of one customer, but is read like one.
        members = _joined([window.members for window in windows])
        events = Window(members, NOTHING_SHOWN)
        rows = catalogue.rows_of(events.sale_keys)
        known = rows >= 0
        customers = every.select(known)
        kinds = events.kinds[known]
        moments = now_us.take(customers.owners)
        age_s = np.maximum(moments - events.at_us[known], 0) / SECOND_US
        return cls(
            customers=customers,
            rows=rows[known],
            kinds=kinds,
            age_s=age_s,
            interest=INTEREST[kinds] * np.exp2(-age_s / _HALF_LIVES_S),
            n_unknown=every.lengths - customers.lengths,
        )

    def __len__(self) -> int:
        """Return the number of events whose sale is known."""
        return len(self.rows)

    @cached_property
    def weight(self) -> NDArray[np.float64]:
        """What tastes are divided by: `EVIDENCE` and all interest, shape ``(2, n_customers)``."""
        return EVIDENCE + self.customers.sums(self.interest)

    def mean(self, described: NDArray[np.floating]) -> NDArray[np.float64]:
        """Return what customers looked at, weighted by interest and shrunk by `EVIDENCE`.

        Args:
            described: Describes every sale of the catalogue, finite, shape ``(n_catalogue, n)``.

        Returns:
            ``sum of interest * described / weight`` by half-life, shape ``(2, n_customers, n)``.
        """
        summed = self.customers.weighted(self.interest, described, rows=self.rows)
        return summed / self.weight[..., None]

    def counts(self, chosen: NDArray[np.bool_]) -> NDArray[np.int64]:
        """Count each customer's events that are chosen, shape ``(n_customers,)``."""
        return np.bincount(self.customers.owners[chosen], minlength=self.customers.n_rows)

    def newest_age_s(self, event_type: EventType | None = None) -> NDArray[np.float64]:
        """Return the age of each customer's newest event, of one type if given; NaN without."""
        newest = np.full(self.customers.n_rows, np.nan)
        # Oldest first: the newest event is written last and stays.
        if event_type is None:
            newest[self.customers.owners] = self.age_s
        else:
            of_type = self.kinds == KIND[event_type]
            newest[self.customers.owners[of_type]] = self.age_s[of_type]
        return newest


@dataclass(frozen=True, eq=False)
class CustomerHistory:
    """Histories by sale.

    What is known of a customer's sale stands at the place of his last event with it, counted
    from 1; place 0 stands for the sales that he never touched.

    Attributes:
        place: Place of each sale of the catalogue, shape ``(n_customers, n_catalogue)``.
        counts: Events by type code, shape ``(n + 1, 5)``.
        age_s: Seconds since the last event, NaN if never, shape ``(n + 1,)``.
        interest: Faded interest by half-life, shape ``(2, n + 1)``.
        is_newest: Whether each event is the newest with its sale, shape ``(n,)``.
    """

    place: NDArray[np.intp]
    counts: NDArray[np.float64]
    age_s: NDArray[np.float64]
    interest: NDArray[np.float64]
    is_newest: NDArray[np.bool_]

    @classmethod
    def of(cls, history: History, n_catalogue: int) -> Self:
        """Sum histories over the events with each sale."""
        n, counted = len(history) + 1, np.arange(1, len(history) + 1)
        # Zeroed memory is not touched until written: cheap for a large catalogue.
        place = np.zeros((history.customers.n_rows, n_catalogue), dtype=np.intp)
        cells = history.customers.cells(history.rows, n_catalogue)
        # Oldest first: of repeated cells the newest event is written last and stays.
        place.reshape(-1)[cells] = counted
        places = place.take(cells)
        interest = [np.bincount(places, weights=faded, minlength=n) for faded in history.interest]
        counts = np.bincount(places * len(KINDS) + history.kinds, minlength=n * len(KINDS))
        return cls(
            place=place,
            counts=counts.reshape(n, -1).astype(np.float64),
            age_s=np.concatenate([_NEVER, history.age_s]),
            interest=np.array(interest, dtype=np.float64),
            is_newest=places == counted,
        )

    def places(self, rows: NDArray[np.int64]) -> NDArray[np.intp]:
        """Return the places of each customer's sales, rows of shape ``(n_customers, ...)``."""
        return self.place.take(cells_of(rows, self.place.shape[1]))


@dataclass(frozen=True, eq=False)
class SaleInteractions:
    """The distinct sales of each history.

    Attributes:
        customers: Whose sales stand where.
        rows: Catalogue rows, a customer's ascending, shape ``(n,)``.
        age_s: Seconds since the newest event with each, shape ``(n,)``.
    """

    customers: Ragged
    rows: NDArray[np.int64]
    age_s: NDArray[np.float64]

    @cached_property
    def weights(self) -> NDArray[np.float64]:
        """How much each tells of a taste, lasting and of this visit, shape ``(2, n)``."""
        return np.exp2(-self.age_s / _TASTE_HALF_LIVES_S)

    @classmethod
    def of(cls, history: History, touches: CustomerHistory) -> Self:
        """Take each sale once, at its newest event."""
        newest = np.flatnonzero(touches.is_newest)
        order = newest[np.lexsort((history.rows[newest], history.customers.owners[newest]))]
        owners = history.customers.owners[order]
        customers = Ragged(owners, history.customers.n_rows)
        return cls(customers, history.rows[order], history.age_s[order])


def _joined(members: Sequence[NDArray[np.uint64]]) -> NDArray[np.uint64]:
    return members[0] if len(members) == 1 else np.concatenate(members)
