"""Evaluation protocols: ranking of a shown list, and ranking of all open sales."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Final

import numpy as np
from numpy.typing import NDArray

from models.domain.event import KINDS, EventType
from models.query.query import Query
from models.scoring.scorer import META, Scorer, Scores
from training.configuration import RunConfig
from training.evaluation.measure import K, Outcome, outcome_of, varied
from training.evaluation.purchase import Bought
from training.evaluation.segment import Situation, situation
from training.evaluation.truth import Truth, VisitTruth
from training.examples.point_in_time import PointInTime
from training.examples.slates import Slates, label_of

RANDOM: Final = "random"
AS_SHOWN: Final = "as_shown"
LAST_TOUCHED: Final = "last_touched"
KNOWABLE: Final = "knowable"
TRUTH: Final = "truth"
ORACLES: Final = (KNOWABLE, TRUTH)

N_PAST_EVENTS: Final = 6  # shown beside an example slate; chosen: a glance


class Protocol(StrEnum):
    """The sales that are ranked: those of a shown list, or all open ones."""

    SHOWN = "shown"
    OPEN = "open"


@dataclass(frozen=True)
class SlateMetrics:
    """Metrics of every scorer on one slate.

    Attributes:
        customer: Code of the customer.
        situation: Gives the segments of the slate.
        metrics: Values by scorer and metric.
    """

    customer: int
    situation: Situation
    metrics: Mapping[str, Mapping[str, float]]


@dataclass(frozen=True, slots=True)
class PastEvent:
    """Something that the customer did before a slate, and its age."""

    row: int
    event_type: EventType
    age_s: float


@dataclass(frozen=True)
class EvaluatedSlate(SlateMetrics):
    """One slate as it was ranked, and what it was ranked for.

    Attributes:
        now_us: Its moment, microseconds since the epoch.
        before: The latest known events of the customer, the newest first.
        candidates: Catalogue rows that were ranked, shape ``(n_sales,)``.
        bought: Catalogue rows of those that the customer then bought.
        chosen: Catalogue rows of each scorer's first ten.
    """

    now_us: int
    before: tuple[PastEvent, ...]
    candidates: NDArray[np.int64]
    bought: NDArray[np.int64]
    chosen: Mapping[str, NDArray[np.int64]]


Extra = Callable[[int, Query, Scores], NDArray[np.float64]]
"""A scorer beside those of the bundle: slate number, query and scores to order values."""


@dataclass(frozen=True)
class SlateEvaluator:
    """Ranks slates by every scorer of a bundle and measures the rankings.

    Attributes:
        scorer: The bundle's scorer.
        past: The state at every moment.
        config: The bundle's configuration: how purchases are credited.
        seed: Seed of the random scorer, and of the order of ties.
        new_within_us: See `training.evaluation.evaluate.Question`.
        extras: Further scorers, by name.
    """

    scorer: Scorer
    past: PointInTime
    config: RunConfig
    seed: int
    new_within_us: int | None = None
    extras: Mapping[str, Extra] = field(default_factory=dict[str, Extra])

    def shown(self, slates: Slates) -> Iterator[EvaluatedSlate]:
        """Evaluate the order of each shown list, by the purchases credited to it."""
        # One generator in the order of slates: equal questions give paired random orders.
        rng = np.random.default_rng(self.seed)
        purchases = Bought(self.past.events, self.config.outcome_us)
        queries = self.past.queries(slates, caller_orders=self.config.caller_orders)
        for slate, query in enumerate(queries):
            entries = slates.entries(slate)
            # As in service, where the position is not known before the order is.
            query = replace(query, positions=None)
            _, paid = purchases.among(query.catalogue.keys[query.rows], slates, slate=slate)
            outcome = outcome_of(
                query.catalogue, query.rows, bought=slates.bought[entries], paid=paid, known=None
            )
            as_shown = -slates.positions[entries].astype(np.float64)
            orders = self._orders(slate, query, rng=rng)
            orders[LAST_TOUCHED] = last_touched_first(query, as_shown)
            yield self._judged(
                slates,
                slate,
                query=query,
                outcome=outcome,
                rankings=_rankings(orders, rng) | {AS_SHOWN: ranked(as_shown)},
            )

    def open(self, slates: Slates, truth: Truth | None) -> Iterator[EvaluatedSlate]:
        """Evaluate the order of all sales that were open at each slate's moment.

        Slates without an open sale are left out.
        """
        rng = np.random.default_rng(self.seed)
        purchases = Bought(self.past.events, self.config.outcome_us)
        for slate, query in enumerate(self.past.queries(slates)):
            rows = self.candidates(query)
            if not len(rows):
                continue
            # The list and positions of the log are of other sales than those ranked here.
            query = replace(query, rows=rows, positions=None, listing=None)
            known = self.known(truth, slates, slate=slate)
            bought, paid = purchases.among(query.catalogue.keys[rows], slates, slate=slate)
            outcome = outcome_of(query.catalogue, rows, bought=bought, paid=paid, known=known)
            orders = self._orders(slate, query, rng=rng)
            if known is not None:
                orders[KNOWABLE] = np.nan_to_num(known.knowable[rows])
                orders[TRUTH] = np.nan_to_num(known.truth[rows])
            yield self._judged(
                slates, slate, query=query, outcome=outcome, rankings=_rankings(orders, rng)
            )

    def candidates(self, query: Query) -> NDArray[np.int64]:
        """Return the catalogue rows that the protocol `open` ranks for a query."""
        now_us = query.context.now_us
        rows = query.catalogue.eligible(query.context.market, now_us)
        if self.new_within_us is None:
            return rows
        return rows[query.catalogue.opens_us[rows] > now_us - self.new_within_us]

    def known(self, truth: Truth | None, slates: Slates, *, slate: int) -> VisitTruth | None:
        """Return the truth of a slate, None without one."""
        if truth is None:
            return None
        exposure = label_of(self.past.events.exposures, int(slates.exposures[slate]))
        return truth.of(exposure, self.past.catalogue)

    def followed_by_purchase(self, slates: Slates) -> NDArray[np.bool_]:
        """Return whether the customer bought a known sale soon after each slate."""
        purchases = Bought(self.past.events, self.config.outcome_us)
        bought = (purchases.soon_after(slates, slate)[0] for slate in range(len(slates)))
        followed = (bool(np.any(self.past.catalogue.rows_for(keys) >= 0)) for keys in bought)
        return np.fromiter(followed, dtype=np.bool_, count=len(slates))

    def _orders(
        self, slate: int, query: Query, *, rng: np.random.Generator
    ) -> dict[str, NDArray[np.float64]]:
        scores = self.scorer.score(query)
        names = self.scorer.policies
        orders = {name: self.scorer.order(scores, name) for name in names if name != META}
        orders |= {name: extra(slate, query, scores) for name, extra in self.extras.items()}
        # Tables list scorers in this order.
        return {META: scores.order, **orders, RANDOM: rng.random(len(query.rows))}

    def _judged(
        self,
        slates: Slates,
        slate: int,
        *,
        query: Query,
        outcome: Outcome,
        rankings: Mapping[str, NDArray[np.intp]],
    ) -> EvaluatedSlate:
        chosen = {name: query.rows[ranking[:K]] for name, ranking in rankings.items()}
        # The latest events, the newest first.
        history, latest = query.history, slice(None, -1 - N_PAST_EVENTS, -1)
        rows, kinds, ages_s = history.rows[latest], history.kinds[latest], history.age_s[latest]
        # With K candidates or fewer every ranking chooses the same sales.
        are_varied = len(query.rows) > K
        return EvaluatedSlate(
            customer=int(slates.customers[slate]),
            situation=situation(query, outcome.bought),
            metrics={
                name: outcome.measure(ranking)
                | (varied(query.catalogue, chosen[name]) if are_varied else {})
                for name, ranking in rankings.items()
            },
            now_us=query.context.now_us,
            before=tuple(
                PastEvent(int(row), KINDS[int(kind)], float(age_s))
                for row, kind, age_s in zip(rows, kinds, ages_s, strict=True)
            ),
            candidates=query.rows,
            bought=query.rows[outcome.bought],
            chosen=chosen,
        )


def _rankings(
    orders: Mapping[str, NDArray[np.float64]], rng: np.random.Generator
) -> dict[str, NDArray[np.intp]]:
    """Rank by every order, ties at random: the order of candidates may give away the outcome."""
    shuffled = rng.permutation(len(next(iter(orders.values()))))
    return {name: shuffled[ranked(order[shuffled])] for name, order in orders.items()}


def ranked(order: NDArray[np.float64]) -> NDArray[np.intp]:
    """Return the candidates from the highest to the lowest, ties in the given order."""
    return np.argsort(-order, kind="stable")


def last_touched_first(query: Query, as_shown: NDArray[np.float64]) -> NDArray[np.float64]:
    """Order candidates as shown, with the one that the customer last interacted with first.

    Args:
        query: The query.
        as_shown: Order values of the shown order, shape ``(n_sales,)``.
    """
    by_sale = query.by_sale
    # NaN for candidates without an interaction, shape (n_sales,).
    age_s = by_sale.age_s[by_sale.place[0, query.rows]]
    order = as_shown.copy()
    if not np.isnan(age_s).all():
        order[np.nanargmin(age_s)] = np.inf
    return order


def last_of_sessions(slates: Slates) -> Slates:
    """Return the last slate of every session, of the slates with a purchase."""
    # Purchases before each slate, shape (n_slates + 1,): differences are those of a slate.
    before = np.concatenate([[0], np.cumsum(slates.bought)])[slates.starts]
    last: dict[tuple[int, int], int] = {}
    for slate in np.flatnonzero(np.diff(before) > 0).tolist():
        session = int(slates.sessions[slate])
        # A slate without a session counts as a session.
        last[(int(slates.customers[slate]), session if session >= 0 else -1 - slate)] = slate
    return slates.select(np.array(sorted(last.values()), dtype=np.intp))
