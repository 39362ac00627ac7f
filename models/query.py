"""One question to a scorer: who asks, what he did, when and where, about which sales."""

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Final, Self

import numpy as np
from numpy.typing import NDArray

from models.catalogue import Catalogue
from models.customer import Window
from models.events import KIND, KINDS, SECOND_US, EventType
from models.listing import Listing
from models.profile import Profile

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


@dataclass(frozen=True, slots=True)
class Context:
    """Where and when a slate is asked for.

    Attributes:
        now_us: The moment, microseconds since the epoch.
        market: The customer's market, if known.
        device: His device, if known.
    """

    now_us: int
    market: str | None = None
    device: str | None = None


@dataclass(frozen=True, eq=False)
class History:
    """The events of a window at a moment, joined to the sales that a catalogue knows.

    Attributes:
        rows: Catalogue row of each event, oldest event first, shape ``(n,)``.
        kinds: Type code of each event, shape ``(n,)``.
        age_s: Seconds since each event, not negative, shape ``(n,)``.
        interest: Interest of each event, faded by each half-life, shape ``(2, n)``.
        n_unknown: Events whose sale the catalogue does not know.
    """

    rows: NDArray[np.int64]
    kinds: NDArray[np.intp]
    age_s: NDArray[np.float64]
    interest: NDArray[np.float64]
    n_unknown: int

    @classmethod
    def of(cls, window: Window, catalogue: Catalogue, now_us: int) -> Self:
        """Join a window to a catalogue; times after ``now_us`` count as ``now_us``."""
        rows = catalogue.rows_of(window.sale_keys)
        known = rows >= 0
        kinds = window.kinds[known]
        age_s = np.maximum(now_us - window.at_us[known], 0) / SECOND_US
        return cls(
            rows=rows[known],
            kinds=kinds,
            age_s=age_s,
            interest=INTEREST[kinds] * np.exp2(-age_s / _HALF_LIVES_S),
            n_unknown=len(rows) - int(np.count_nonzero(known)),
        )

    def __len__(self) -> int:
        """Return the number of events whose sale is known."""
        return len(self.rows)

    @cached_property
    def weight(self) -> NDArray[np.float64]:
        """What a taste is divided by: `EVIDENCE` and all interest, shape ``(2,)``."""
        return EVIDENCE + self.interest.sum(axis=1)

    def newest_age_s(self, event_type: EventType | None = None) -> float:
        """Return the age of the newest event, of one type if given; NaN without one."""
        ages = self.age_s if event_type is None else self.age_s[self.kinds == KIND[event_type]]
        return float(ages[-1]) if len(ages) else float("nan")


@dataclass(frozen=True, eq=False)
class Touched:
    """The distinct sales of a history.

    Attributes:
        rows: Catalogue rows, ascending, shape ``(n,)``.
        age_s: Seconds since the newest event with each, shape ``(n,)``.
    """

    rows: NDArray[np.int64]
    age_s: NDArray[np.float64]

    @classmethod
    def of(cls, history: History) -> Self:
        """Take each sale once."""
        # Newest first: of repeated rows the first is kept.
        rows, newest = np.unique(history.rows[::-1], return_index=True)
        return cls(rows, history.age_s[::-1][newest])


@dataclass(frozen=True, eq=False)
class Touches:
    """A history by sale.

    What is known of a sale stands at the place of the last event with it, counted from 1;
    place 0 stands for the sales that the customer never touched.

    Attributes:
        place: Place of each sale of the catalogue, shape ``(n_catalogue,)``.
        counts: Events by type code, shape ``(n + 1, 5)``.
        age_s: Seconds since the last event, NaN if never, shape ``(n + 1,)``.
        interest: Faded interest by half-life, shape ``(2, n + 1)``.
    """

    place: NDArray[np.intp]
    counts: NDArray[np.float64]
    age_s: NDArray[np.float64]
    interest: NDArray[np.float64]

    @classmethod
    def of(cls, history: History, n_catalogue: int) -> Self:
        """Sum a history over the events of each sale."""
        n = len(history) + 1
        # Zeroed memory is not touched until written: cheap for a large catalogue.
        place = np.zeros(n_catalogue, dtype=np.intp)
        # Oldest first: of repeated rows the newest event is written last and stays.
        place[history.rows] = np.arange(1, n)
        places = place[history.rows]
        cells = places * len(KINDS) + history.kinds
        interest = [np.bincount(places, weights=faded, minlength=n) for faded in history.interest]
        return cls(
            place=place,
            counts=np.bincount(cells, minlength=n * len(KINDS)).reshape(n, -1).astype(np.float64),
            age_s=np.concatenate([[np.nan], history.age_s]),
            interest=np.array(interest, dtype=np.float64),
        )


@dataclass(frozen=True, eq=False)
class Query:
    """All that a recommender or a feature may look at, for some candidate sales.

    Attributes:
        window: The customer's window.
        profile: What lies further back.
        catalogue: All known sales with their counts.
        context: Time and place.
        rows: Catalogue rows of the candidates, shape ``(n_sales,)``.
        positions: Where each was shown, from 1, when learning; None when serving, which
            scores every sale as if it stood first, shape ``(n_sales,)``.
        listing: The caller's own list, if he gave one; holds every candidate.
    """

    window: Window
    profile: Profile
    catalogue: Catalogue
    context: Context
    rows: NDArray[np.int64]
    positions: NDArray[np.int64] | None = None
    listing: Listing | None = None

    def among(self, rows: NDArray[np.int64]) -> Self:
        """Ask the same about some of the candidates.

        Args:
            rows: Catalogue rows, each one of the candidates, shape ``(n,)``.
        """
        if self.positions is None:
            return replace(self, rows=rows)
        place = {row: index for index, row in enumerate(self.rows.tolist())}
        kept = np.array([place[row] for row in rows.tolist()], dtype=np.intp)
        return replace(self, rows=rows, positions=self.positions[kept])

    @property
    def n_known_events(self) -> int:
        """How many events of the customer are known, impressions apart."""
        counts = self.profile.counts
        # The profile knows all that the last night knew, the window the latest 128 of all.
        return max(len(self.window), sum(counts) - counts[KIND[EventType.IMPRESSION]])

    @cached_property
    def history(self) -> History:
        """The window joined to the catalogue at this moment."""
        return History.of(self.window, self.catalogue, self.context.now_us)

    @cached_property
    def touches(self) -> Touches:
        """The history by sale."""
        return Touches.of(self.history, len(self.catalogue))

    @cached_property
    def touched(self) -> Touched:
        """The distinct sales of the history."""
        return Touched.of(self.history)
