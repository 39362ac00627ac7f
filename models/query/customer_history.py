"""Customer history: the events of windows, joined to the catalogue, with decayed interest."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from models.catalogue.catalogue import Catalogue
from models.catalogue.event_counts import N_KINDS
from models.domain.customer import Window
from models.domain.event import CART, CLICK, KINDS, PURCHASE, TOUCHES, WITHOUT_SALE, EventType
from models.domain.profile import Profile
from models.domain.purchase_history import PurchaseHistory
from models.domain.units import DAY_S, MINUTE_S
from models.kernel.features import N_KIND_CODES, RULES, Joined, Sales
from models.kernel.library import MAX_BOUGHT, MAX_EVENTS
from models.kernel.steps import address

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

# Chosen: a taste changes more slowly than interest in single sales.
TASTE_MEMORY_S: Final = 60 * DAY_S
"""Half-life of evidence on a taste."""

# Chosen: a page is scrolled within a minute, and hardly loaded again.
LIST_S: Final = 60.0
"""Impressions of one list lie at most so many seconds apart from that of the chosen sale."""

_CHOICES: Final = frozenset({CLICK, CART, PURCHASE})
"""Codes of the events that choose a sale from a list."""


def _by_code(values: Iterable[float]) -> NDArray[np.float64]:
    found = np.zeros(N_KIND_CODES)
    found[: len(KINDS)] = list(values)
    return found


def _rules() -> NDArray[np.void]:
    rules = np.zeros(1, dtype=RULES)
    rules["interest"] = _by_code(INTEREST)
    rules["shows_interest"] = _by_code(code in TOUCHES for code in range(len(KINDS)))
    rules["is_search"] = _by_code(event_type in WITHOUT_SALE for event_type in KINDS)
    rules["is_choice"] = _by_code(code in _CHOICES for code in range(len(KINDS)))
    rules["half_lives_s"] = HALF_LIVES_S
    # Lasting first, unlike `HALF_LIVES_S`.
    rules["taste_half_lives_s"] = TASTE_MEMORY_S, _VISIT_HALF_LIFE_S
    rules["evidence"], rules["visit_gap_s"], rules["list_s"] = EVIDENCE, VISIT_GAP_S, LIST_S
    return rules


_RULES: Final = _rules()
_RULES_AT: Final = address(_RULES)


def join(
    windows: Sequence[Window],
    profiles: Sequence[Profile],
    *,
    catalogues: Sequence[Catalogue],
    now_us: Sequence[int],
) -> Joined:
    """Join windows to a catalogue, one of each argument a query.

    The events are those that still show interest: no purchase that was fully refunded, and none
    with a sale before a dislike of it; see `models.domain.refund_matching`. Times after ``now_us``
    count as ``now_us``.

    Args:
        windows: The customers' windows.
        profiles: Counts of events before them.
        catalogues: With the same sales; neighbours and openings may differ.
        now_us: Time of each query, microseconds since the epoch.

    Raises:
        ValueError: If a window has more than 128 events or impressions, or a profile has purchases
            of more than 256 sales.
    """
    kept: list[object] = []
    asked: list[tuple[int, ...]] = []
    for window, profile, catalogue, now in zip(windows, profiles, catalogues, now_us, strict=True):
        shown = window.shown
        if max(len(window), len(shown)) > MAX_EVENTS:
            msg = f"a window has {len(window)} events and {len(shown)} impressions of {MAX_EVENTS}"
            raise ValueError(msg)
        bought = np.frombuffer(profile.bought, dtype=np.uint8)
        n_bought = PurchaseHistory.n_packed(profile.bought)
        if n_bought > MAX_BOUGHT:
            msg = f"a profile has purchases of {n_bought} sales of {MAX_BOUGHT}"
            raise ValueError(msg)
        near = catalogue.neighbours
        arrays = (
            np.ascontiguousarray(window.members, dtype=np.uint64),
            np.ascontiguousarray(shown.sale_keys, dtype=np.uint64),
            np.ascontiguousarray(shown.stamps, dtype=np.int64),
            *(bought, catalogue.opens_us, near.rows, near.similarities),
        )
        kept.append(arrays)
        members, keys, stamps, bought_at, opens_us, near_rows, similarities = map(address, arrays)
        counts, month = profile.counts, profile.month
        asked.append(
            (
                *(now, profile.first_us, counts[PURCHASE], sum(counts)),
                *(month[PURCHASE], sum(month)),
                *(members, len(window), keys, stamps, len(shown)),
                *(bought_at, n_bought),
                *(opens_us, near_rows, similarities, near.rows.shape[1]),
            )
        )
    return Joined.from_asked(_RULES_AT, _sales(catalogues[0]), asked=asked, kept=kept)


def _sales(catalogue: Catalogue) -> Sales:
    n_codes = 1 + len(catalogue.vocabulary.values)
    return catalogue.cache.get_or_make(
        "sales of the kernel", lambda: Sales(catalogue.keys, n_codes=n_codes)
    )


@dataclass(frozen=True, eq=False)
class History:
    """History of one customer: the events of their window, joined to catalogue rows.

    Attributes:
        customer: What was joined, of type `models.kernel.features.CUSTOMER`.
    """

    customer: np.void

    def __len__(self) -> int:
        """Return the number of events whose sale is known."""
        return int(self.customer["n_events"])

    @property
    def rows(self) -> NDArray[np.int64]:
        """Catalogue row of each event, the oldest first, shape ``(n,)``."""
        return self.customer["rows"][: len(self)]

    @property
    def kinds(self) -> NDArray[np.int64]:
        """Type code of each event, shape ``(n,)``."""
        return self.customer["kinds"][: len(self)]

    @property
    def age_s(self) -> NDArray[np.float64]:
        """Seconds since each event, not negative, shape ``(n,)``."""
        return self.customer["age_s"][: len(self)]

    @property
    def days(self) -> NDArray[np.int64]:
        """UTC day of each event, days since the epoch, shape ``(n,)``."""
        return self.customer["days"][: len(self)]

    @property
    def interest(self) -> NDArray[np.float64]:
        """Interest of each event, decayed by each half-life, shape ``(2, n)``."""
        return self.customer["interest"][:, : len(self)]
