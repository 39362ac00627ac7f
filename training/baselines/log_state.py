"""State of a shop at a moment, counted from its log; independent of the product's counters."""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from models.catalogue.catalogue import Catalogue
from models.dataset.events import EventTable
from models.dataset.refunded_events import NEVER, Refunds
from models.domain.event import CLICK, IMPRESSION, KINDS, PURCHASE, TOUCHES, VIEW
from models.domain.units import HOUR_US

RECENT_HOURS: Final = 24  # chosen: a day holds each hour of the clock once
# A prior of one success in 25, as in the rates that the baselines of news lists are quoted with.
PRIOR_LOOKS: Final = 25

_TOUCHES: Final = sorted(TOUCHES)


@dataclass(frozen=True)
class CandidateFacts:
    """Facts of some candidates at a moment; all of shape ``(n_sales,)``.

    Attributes:
        rows: Catalogue rows.
        looks: Impressions so far; views where the log has no impressions.
        successes: Clicks so far; without clicks in the log purchases, but fully refunded ones.
        recent_rate: ``(successes + 1) / (looks + 25)`` of the last `RECENT_HOURS` hours.
        popularity: Purchases so far that are not fully refunded; of equal ones the more touched is
            larger.
        own_purchases: How often the customer bought it, without full refunds.
        own_touches: How often the customer touched it, purchases included, without fully
            refunded ones.
        touched_age_h: Hours since the customer last touched it, NaN where they did not.
        open_age_h: Hours since it opened.
        prices: Price, NaN where unknown.
    """

    rows: NDArray[np.int64]
    looks: NDArray[np.float64]
    successes: NDArray[np.float64]
    recent_rate: NDArray[np.float64]
    popularity: NDArray[np.float64]
    own_purchases: NDArray[np.float64]
    own_touches: NDArray[np.float64]
    touched_age_h: NDArray[np.float64]
    open_age_h: NDArray[np.float64]
    prices: NDArray[np.float64]


class LogState:
    """Counts of sales and touches of customers, moved forward through a log."""

    def __init__(self, events: EventTable, catalogue: Catalogue) -> None:
        """Stand before the first event of a log.

        Args:
            events: The log.
            catalogue: Its sales; events of others are left out.
        """
        rows = catalogue.rows_for(events.sale_keys)
        known = np.flatnonzero(rows >= 0)
        self._catalogue = catalogue
        self._rows, self._kinds = rows[known], events.kinds[known]
        self._received_us = events.received_us[known]
        has = np.bincount(self._kinds, minlength=len(KINDS)) > 0
        self._look = IMPRESSION if has[IMPRESSION] else VIEW
        self._success = CLICK if has[CLICK] else PURCHASE
        # Events up to the first place are counted; those up to the second are no longer recent.
        self._counted, self._faded = 0, 0
        self._counts, self._recent = np.zeros((2, len(KINDS), len(catalogue)))
        self._undone_us = Refunds.from_events(events).undone_us[known]
        undone = np.flatnonzero(self._undone_us < NEVER)
        self._undone = undone[np.argsort(self._undone_us[undone], kind="stable")]
        touches = np.flatnonzero(np.isin(self._kinds, _TOUCHES))
        customers = events.customers.codes[known][touches]
        # Stable: the touches of a customer stay in the order in which they were received.
        order = np.argsort(customers, kind="stable")
        self._touches, self._touchers = touches[order], customers[order]

    def touches(self, customer: int, now_us: int) -> NDArray[np.intp]:
        """Return places of the customer's touches by a moment, the latest last.

        Purchases that were fully refunded by then are left out.
        """
        start, end = np.searchsorted(self._touchers, [customer, customer + 1])
        own = self._touches[start:end]
        own = own[: np.searchsorted(self._received_us[own], now_us, side="right")]
        return own[self._undone_us[own] > now_us]

    def touched_rows(self, customer: int, now_us: int) -> NDArray[np.int64]:
        """Return the catalogue rows that the customer touched by a moment, each once."""
        return np.unique(self._rows[self.touches(customer, now_us)])

    def facts(self, customer: int, rows: NDArray[np.int64], *, now_us: int) -> CandidateFacts:
        """Return the facts of candidates.

        Args:
            customer: Code of the customer.
            rows: Catalogue rows of the candidates, shape ``(n_sales,)``.
            now_us: The moment, no earlier than that of the last call; events received by then
                are known.
        """
        self._advance(now_us)
        counts, recent = self._counts[:, rows], self._recent[:, rows]
        touched = counts[_TOUCHES].sum(axis=0)
        own = self.touches(customer, now_us)
        own_rows = self._rows[own]
        n = len(self._catalogue)
        last_us = np.full(n, np.nan)
        last_us[own_rows] = self._received_us[own]  # the latest of each stays
        own_purchases = np.bincount(own_rows[self._kinds[own] == PURCHASE], minlength=n)
        n_undone = np.searchsorted(self._undone_us[self._undone], now_us, side="right")
        undone = self._undone[:n_undone]
        counts[PURCHASE] -= np.bincount(self._rows[undone], minlength=n)[rows]
        undone = undone[undone >= self._faded]
        recent[PURCHASE] -= np.bincount(self._rows[undone], minlength=n)[rows]
        catalogue, now_h = self._catalogue, now_us / HOUR_US
        return CandidateFacts(
            rows=rows,
            looks=counts[self._look],
            successes=counts[self._success],
            recent_rate=(recent[self._success] + 1) / (recent[self._look] + PRIOR_LOOKS),
            popularity=counts[PURCHASE] + touched / (touched.sum() + 1),
            own_purchases=own_purchases[rows].astype(np.float64),
            own_touches=np.bincount(own_rows, minlength=n)[rows].astype(np.float64),
            touched_age_h=now_h - last_us[rows] / HOUR_US,
            open_age_h=now_h - catalogue.opens_us[rows] / HOUR_US,
            prices=np.expm1(catalogue.log_price[rows]),
        )

    def _advance(self, now_us: int) -> None:
        counted, faded = np.searchsorted(
            self._received_us, [now_us, now_us - RECENT_HOURS * HOUR_US], side="right"
        ).tolist()
        new, old = slice(self._counted, counted), slice(self._faded, faded)
        np.add.at(self._counts, (self._kinds[new], self._rows[new]), 1)
        np.add.at(self._recent, (self._kinds[new], self._rows[new]), 1)
        np.add.at(self._recent, (self._kinds[old], self._rows[old]), -1)
        self._counted, self._faded = counted, faded
