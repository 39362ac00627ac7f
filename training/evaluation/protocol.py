"""Evaluation protocols: ranking of a shown list, and ranking of all open sales."""

from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from functools import cached_property
from typing import Final, Self

import numpy as np
from numpy.typing import NDArray

from models.domain.event import KINDS, EventType, from_us
from models.domain.sale import AttributeValues
from models.query.query import Query
from models.ranker.objective import OBJECTIVES, Policy, TrainingObjective
from models.scoring.scorer import META, Scorer, Scores
from models.slate.shortlist import shortlisted
from models.slate.slate_policy import SlatePolicy
from training.baselines.baselines import Baselines
from training.configuration import RunConfig
from training.evaluation.measure import K, Outcome, outcome_of, varied
from training.evaluation.purchase import Bought
from training.evaluation.segment import Situation, situation
from training.evaluation.truth import Truth, VisitTruth
from training.examples.point_in_time import PointInTime
from training.examples.slates import Slates, label_of

RANDOM: Final = "random"
AS_SHOWN: Final = "as_shown"
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
        attributes: What the shop knows of the customer, by name.
        is_split: Whether each scorer gives two candidates different values.
    """

    now_us: int
    before: tuple[PastEvent, ...]
    candidates: NDArray[np.int64]
    bought: NDArray[np.int64]
    chosen: Mapping[str, NDArray[np.int64]]
    attributes: AttributeValues
    is_split: Mapping[str, bool]

    def without(self, scorers: Collection[str]) -> Self:
        """Leave out some scorers."""
        return replace(
            self,
            metrics={name: one for name, one in self.metrics.items() if name not in scorers},
            chosen={name: one for name, one in self.chosen.items() if name not in scorers},
        )


@dataclass(frozen=True, slots=True)
class SlateKey:
    """Identity of a slate.

    Attributes:
        number: Its number among the slates of its protocol.
        name: Its exposure id; without one, its customer and moment.
        customer: Code of its customer.
        customer_id: Id of its customer.
    """

    number: int
    name: str
    customer: int
    customer_id: str


Extra = Callable[[SlateKey, Query, Scores], NDArray[np.float64] | None]
"""A scorer beside those of the bundle: order values of a query, None for those it leaves out."""


@dataclass(frozen=True, eq=False)
class RankedSlate:
    """A slate with all that it was ranked by.

    Attributes:
        key: Its identity.
        query: What was known, and the candidates.
        outcome: What became of them.
        orders: Order values by scorer, each of shape ``(n_sales,)``.
        rankings: Indices of the candidates by scorer, the best first, same shape.
    """

    key: SlateKey
    query: Query
    outcome: Outcome
    orders: Mapping[str, NDArray[np.float64]]
    rankings: Mapping[str, NDArray[np.intp]]


Record = Callable[[Protocol, RankedSlate], None]
"""Receives the slates of an evaluation as they are ranked."""


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
        baselines: Baselines that stand before the first slate; None to leave them out.
        record: Receives every slate, if anything does.
    """

    scorer: Scorer
    past: PointInTime
    config: RunConfig
    seed: int
    new_within_us: int | None = None
    extras: Mapping[str, Extra] = field(default_factory=dict[str, Extra])
    baselines: Baselines | None = None
    record: Record | None = None

    def shown(self, slates: Slates) -> Iterator[EvaluatedSlate]:
        """Evaluate the order of each shown list, by the purchases credited to it."""
        # One generator in the order of slates: equal questions give paired random orders.
        rng = np.random.default_rng(self.seed)
        purchases = Bought.from_config(self.past, self.config)
        queries = self.past.queries(slates, caller_orders=self.config.caller_orders)
        for slate, query in enumerate(queries):
            entries = slates.entries(slate)
            # As in service, where the position is not known before the order is.
            query = replace(query, positions=None)
            _, paid = purchases.among(query.catalogue.keys[query.rows], slates, slate=slate)
            outcome = outcome_of(
                query.catalogue, query.rows, bought=slates.bought[entries], paid=paid, known=None
            )
            outcome = replace(outcome, clicked=slates.clicked[entries])
            positions, key = slates.known_positions(slate), self._key(slates, slate)
            orders = self._orders(key, query, rng=rng, positions=positions)
            rankings = _rankings(orders)
            if positions is not None:
                rankings[AS_SHOWN] = np.argsort(positions, kind="stable")
            one = RankedSlate(key, query, outcome, orders, rankings)
            if self.record is not None:
                self.record(Protocol.SHOWN, one)
            yield _evaluated(one)

    def open(self, slates: Slates, truth: Truth | None) -> Iterator[EvaluatedSlate]:
        """Evaluate the order of all sales that were open at each slate's moment.

        Slates without an open sale are left out.
        """
        rng = np.random.default_rng(self.seed)
        purchases = Bought.from_config(self.past, self.config)
        for slate, query in enumerate(self.past.queries(slates)):
            rows = self.candidates(query)
            if not len(rows):
                continue
            # The list and positions of the log are of other sales than those ranked here.
            query = replace(query, rows=rows, positions=None, caller_list=None)
            known = self.known(truth, slates, slate=slate)
            bought, paid = purchases.among(query.catalogue.keys[rows], slates, slate=slate)
            outcome = outcome_of(query.catalogue, rows, bought=bought, paid=paid, known=known)
            key = self._key(slates, slate)
            orders = self._orders(key, query, rng=rng, positions=None)
            orders |= self._shortlisted(query, orders)
            if known is not None:
                orders[KNOWABLE] = np.nan_to_num(known.knowable[rows])
                orders[TRUTH] = np.nan_to_num(known.truth[rows])
            one = RankedSlate(key, query, outcome, orders, _rankings(orders))
            if self.record is not None:
                self.record(Protocol.OPEN, one)
            yield _evaluated(one)

    def _shortlisted(
        self, query: Query, orders: Mapping[str, NDArray[np.float64]]
    ) -> dict[str, NDArray[np.float64]]:
        """Return the orders of which answers rank a shortlist, the other sales behind it."""
        found: dict[str, NDArray[np.float64]] = {}
        for name in orders.keys() & {*OBJECTIVES}:
            policy = SlatePolicy(order_by=name)
            short = shortlisted(query, self.scorer, policy=policy, limit=K)
            if short is not query:
                found[name] = np.where(np.isin(query.rows, short.rows), orders[name], -np.inf)
        return found

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

    def followed_by_outcome(self, slates: Slates) -> NDArray[np.bool_]:
        """Return whether an outcome of a known sale follows soon after each slate."""
        purchases = Bought.from_config(self.past, self.config)
        bought = (purchases.soon_after(slates, slate)[0] for slate in range(len(slates)))
        followed = (bool(np.any(self.past.catalogue.rows_for(keys) >= 0)) for keys in bought)
        return np.fromiter(followed, dtype=np.bool_, count=len(slates))

    def _key(self, slates: Slates, slate: int) -> SlateKey:
        events, customer = self.past.events, int(slates.customers[slate])
        customer_id = str(events.customers.values[customer])
        name = label_of(events.exposures, int(slates.exposures[slate]))
        if name is None:
            moment = from_us(int(slates.now_us[slate]))
            name = f"{customer_id} {moment:%Y-%m-%dT%H:%M:%S.%fZ}"
        return SlateKey(slate, name, customer, customer_id)

    @cached_property
    def _policies(self) -> tuple[str, ...]:
        """Policies beside `META`, without those whose orders are copies of another one's."""
        catalogue, copies = self.past.catalogue, {META}
        if self.scorer.objective is TrainingObjective.VALUE or np.isnan(catalogue.log_price).all():
            copies.add(Policy.META_REVENUE)
        if np.isnan(catalogue.margin).all():
            copies.add(Policy.META_MARGIN)
        return tuple(name for name in self.scorer.policies if name not in copies)

    def _orders(
        self,
        key: SlateKey,
        query: Query,
        *,
        rng: np.random.Generator,
        positions: NDArray[np.int64] | None,
    ) -> dict[str, NDArray[np.float64]]:
        scores = self.scorer.score(query)
        orders = {name: self.scorer.order(scores, name) for name in self._policies}
        for name, extra in self.extras.items():
            order = extra(key, query, scores)
            if order is not None:
                orders[name] = order
        if self.baselines is not None:
            orders |= self.baselines.orders(
                key.customer, query.rows, now_us=query.context.now_us, positions=positions
            )
        # Tables list scorers in this order.
        return {META: scores.order, **orders, RANDOM: rng.random(len(query.rows))}


def _evaluated(one: RankedSlate) -> EvaluatedSlate:
    query, outcome, rankings = one.query, one.outcome, one.rankings
    chosen = {name: query.rows[ranking[:K]] for name, ranking in rankings.items()}
    # The latest events, the newest first.
    history, latest = query.history, slice(None, -1 - N_PAST_EVENTS, -1)
    rows, kinds, ages_s = history.rows[latest], history.kinds[latest], history.age_s[latest]
    # With K candidates or fewer every ranking chooses the same sales.
    are_varied = len(query.rows) > K
    return EvaluatedSlate(
        customer=one.key.customer,
        situation=situation(query, outcome.bought),
        metrics={
            name: outcome.measure(ranking)
            | (varied(query.catalogue, chosen[name]) if are_varied else {})
            for name, ranking in rankings.items()
        },
        # A query knows what came before its slate: its moment is a microsecond earlier.
        now_us=query.context.now_us + 1,
        before=tuple(
            PastEvent(int(row), KINDS[int(kind)], float(age_s))
            for row, kind, age_s in zip(rows, kinds, ages_s, strict=True)
        ),
        candidates=query.rows,
        bought=query.rows[outcome.bought],
        chosen=chosen,
        attributes=query.profile.attributes,
        is_split={name: bool(np.any(order != order[0])) for name, order in one.orders.items()},
    )


def _rankings(orders: Mapping[str, NDArray[np.float64]]) -> dict[str, NDArray[np.intp]]:
    """Rank by every order, ties as `RANDOM`: the order of candidates may give away the outcome.

    A scorer that knows nothing of a slate is seen to rank as chance does.
    """
    shuffled = ranked(orders[RANDOM])
    return {name: shuffled[ranked(order[shuffled])] for name, order in orders.items()}


def ranked(order: NDArray[np.float64]) -> NDArray[np.intp]:
    """Return the candidates from the highest to the lowest, ties in the given order."""
    return np.argsort(-order, kind="stable")


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
