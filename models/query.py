"""One question to a scorer: who asks, what he did, when and where, about which sales."""

from dataclasses import dataclass
from functools import cached_property
from typing import Final, Self

import numpy as np
from numpy.typing import NDArray

from models.catalogue import Catalogue
from models.customer import Window
from models.events import KIND, KINDS, SECOND_US, EventType
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
        age_s = (now_us - np.minimum(window.at_us[known], now_us)) / SECOND_US
        half_lives = np.array(HALF_LIVES_S)[:, None]
        return cls(
            rows=rows[known],
            kinds=kinds,
            age_s=age_s,
            interest=INTEREST[kinds] * np.exp2(-age_s / half_lives),
            n_unknown=int(len(rows) - np.count_nonzero(known)),
        )

    def newest_age_s(self, event_type: EventType | None = None) -> float:
        """Return the age of the newest event, of one type if given; NaN without one."""
        ages = self.age_s if event_type is None else self.age_s[self.kinds == KIND[event_type]]
        return float(ages[-1]) if len(ages) else float("nan")


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
        upstream_ranks: Order in which the caller gave the candidates, from 1, if he gave
            one, shape ``(n_sales,)``.
    """

    window: Window
    profile: Profile
    catalogue: Catalogue
    context: Context
    rows: NDArray[np.int64]
    positions: NDArray[np.int64] | None = None
    upstream_ranks: NDArray[np.int64] | None = None

    @cached_property
    def history(self) -> History:
        """The window joined to the catalogue at this moment."""
        return History.of(self.window, self.catalogue, self.context.now_us)

    @cached_property
    def interest_by_row(self) -> NDArray[np.float64]:
        """Faded interest in each sale of the catalogue, shape ``(2, n_catalogue)``."""
        history = self.history
        # Zeroed memory is not touched until written: cheap for a large catalogue.
        interest = np.zeros((len(HALF_LIVES_S), len(self.catalogue)))
        for faded, by_row in zip(history.interest, interest, strict=True):
            np.add.at(by_row, history.rows, faded)
        return interest
