"""Two ways to judge a ranking: the list that was shown, and all that was open."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final

import numpy as np
from numpy.typing import NDArray

from models.dataset.events import EventTable
from models.events import KIND, EventType
from models.query import Query
from models.scoring import META, Scorer
from training.configuration import RunConfig
from training.evaluation.truth import Truth, VisitTruth
from training.examples import Past
from training.metric import ndcg_at_k, recall_at_k, reciprocal_rank
from training.slates import Slates, label_of

K: Final = 10

RANDOM: Final = "random"
AS_SHOWN: Final = "as_shown"
KNOWABLE: Final = "knowable"
TRUTH: Final = "truth"

Orders = Mapping[str, NDArray[np.float64]]
"""What each scorer orders the candidates of a slate by, higher first."""


class Protocol(StrEnum):
    """What is ranked."""

    SHOWN = "shown"
    OPEN = "open"


@dataclass(frozen=True)
class Judged:
    """Metrics of every scorer on one slate."""

    customer: int
    metrics: Mapping[str, Mapping[str, float]]


@dataclass(frozen=True)
class Judge:
    """Ranks slates by every scorer of a bundle and measures the rankings.

    Attributes:
        scorer: The bundle's scorer.
        past: What was known when.
        config: The bundle's configuration: what a purchase is credited to.
        seed: Seed of the random scorer.
        new_within_us: `open` ranks only sales that opened at most so long before; None for all.
    """

    scorer: Scorer
    past: Past
    config: RunConfig
    seed: int
    new_within_us: int | None = None

    def shown(self, slates: Slates) -> Iterator[Judged]:
        """Judge the order of each shown list by what was bought of it."""
        rng = np.random.default_rng(self.seed)
        queries = self.past.queries(slates, caller_orders=self.config.caller_orders)
        for slate, query in enumerate(queries):
            entries = slates.entries(slate)
            # As when serving: the position is not known before the order is.
            orders = self._orders(replace(query, positions=None), rng)
            orders[AS_SHOWN] = -slates.positions[entries].astype(np.float64)
            yield Judged(
                int(slates.customers[slate]),
                {
                    name: realised(slates.bought[entries][ranked(order)])
                    for name, order in orders.items()
                },
            )

    def open(self, slates: Slates, truth: Truth | None) -> Iterator[Judged]:
        """Judge the order of all sales that were open at each slate's moment.

        Slates at whose moment there was nothing to rank are left out.
        """
        rng = np.random.default_rng(self.seed)
        bought = Bought(self.past.events, self.config.outcome_us)
        for slate, query in enumerate(self.past.queries(slates)):
            rows = self._candidates(query)
            if not len(rows):
                continue
            query = replace(query, rows=rows, positions=None, listing=None)
            exposure = label_of(self.past.events.exposures, int(slates.exposures[slate]))
            known = truth.of(exposure, query.catalogue) if truth else None
            keys = bought.soon_after(slates, slate)
            found = np.isin(query.catalogue.keys[query.rows], keys)
            customer = int(slates.customers[slate])
            yield Judged(customer, self._open_metrics(query, known, found, rng))

    def _candidates(self, query: Query) -> NDArray[np.int64]:
        now_us = query.context.now_us
        rows = query.catalogue.eligible(query.context.market, now_us)
        if self.new_within_us is None:
            return rows
        return rows[query.catalogue.opens_us[rows] > now_us - self.new_within_us]

    def followed_by_purchase(self, slates: Slates) -> NDArray[np.bool_]:
        """Tell the slates after which the customer soon bought something, of any list."""
        bought = Bought(self.past.events, self.config.outcome_us)
        followed = (bool(len(bought.soon_after(slates, slate))) for slate in range(len(slates)))
        return np.fromiter(followed, dtype=np.bool_, count=len(slates))

    def _open_metrics(
        self,
        query: Query,
        known: VisitTruth | None,
        bought: NDArray[np.bool_],
        rng: np.random.Generator,
    ) -> dict[str, dict[str, float]]:
        orders = self._orders(query, rng)
        if known is None:
            return {name: realised(bought[ranked(order)]) for name, order in orders.items()}
        gains = np.nan_to_num(known.truth[query.rows])
        orders[KNOWABLE] = np.nan_to_num(known.knowable[query.rows])
        orders[TRUTH] = gains
        return {
            name: realised(bought[ranked(order)]) | expected(gains[ranked(order)])
            for name, order in orders.items()
        }

    def _orders(self, query: Query, rng: np.random.Generator) -> dict[str, NDArray[np.float64]]:
        scores = self.scorer.score(query)
        names = self.scorer.policies
        orders = {name: self.scorer.order(scores, name) for name in names if name != META}
        return {META: scores.order, **orders, RANDOM: rng.random(len(query.rows))}


def ranked(order: NDArray[np.float64]) -> NDArray[np.intp]:
    """Return the candidates from the highest to the lowest, equal ones as they stand."""
    return np.argsort(-order, kind="stable")


def realised(bought: NDArray[np.bool_]) -> dict[str, float]:
    """Measure a ranking by what was bought; NaN where nothing was.

    Args:
        bought: Whether each candidate was bought, in ranked order.
    """
    if not bought.any():
        return dict.fromkeys(("mrr", f"recall_at_{K}", "hit_rate_at_1"), float("nan"))
    return {
        "mrr": reciprocal_rank(bought),
        f"recall_at_{K}": recall_at_k(bought, K),
        "hit_rate_at_1": float(bought[0]),
    }


def expected(gains: NDArray[np.float64]) -> dict[str, float]:
    """Measure a ranking by known probabilities, in ranked order."""
    return {
        f"expected_purchases_at_{K}": float(gains[:K].sum()),
        f"ndcg_at_{K}": ndcg_at_k(gains, K),
    }


class Bought:
    """What each customer bought, and when."""

    def __init__(self, events: EventTable, outcome_us: int) -> None:
        purchases = np.flatnonzero(events.kinds == KIND[EventType.PURCHASE])
        order = np.argsort(events.customers.codes[purchases], kind="stable")
        self._purchases = purchases[order]
        self._customers = events.customers.codes[self._purchases]
        self._events = events
        self._outcome_us = outcome_us

    def soon_after(self, slates: Slates, slate: int) -> NDArray[np.uint64]:
        """Return the keys of the sales that the customer bought soon enough after a slate."""
        customer, now_us = int(slates.customers[slate]), int(slates.now_us[slate])
        start, end = np.searchsorted(self._customers, [customer, customer + 1])
        his = self._purchases[start:end]
        at_us = self._events.at_us[his]
        soon = (at_us >= now_us) & (at_us <= now_us + self._outcome_us)
        # What was received before is known to the features and is no outcome.
        his = his[soon & (self._events.received_us[his] >= now_us)]
        return self._events.sale_keys[his]


def last_of_sessions(slates: Slates) -> Slates:
    """Keep, of the slates that something was bought from, the last of every session."""
    before = np.concatenate([[0], np.cumsum(slates.bought)])[slates.starts]
    last: dict[tuple[int, int], int] = {}
    for slate in np.flatnonzero(np.diff(before) > 0).tolist():
        session = int(slates.sessions[slate])
        # Without a session, a slate is one of its own.
        last[(int(slates.customers[slate]), session if session >= 0 else -1 - slate)] = slate
    return slates.select(np.array(sorted(last.values()), dtype=np.intp))
