"""Simulation of visits, day by day: the events, and the truth behind them."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final, TypeVar

import numpy as np
from numpy.typing import NDArray

from training.simulator.behaviour import (
    Reactions,
    carts_seen,
    choose_views,
    count_views,
    examination,
    react,
    reaction_delays,
    similar_above,
)
from training.simulator.customers import Customers, Visits
from training.simulator.logging_policy import LoggedSlates, LoggingPolicy
from training.simulator.oracles import Oracles
from training.simulator.parameters import DAY_US, HOUR_US, SECOND_US, Parameters
from training.simulator.period import Period
from training.simulator.posterior import Evidence, Posterior
from training.simulator.sales import Sales
from training.simulator.tastes import Market, SaleFeatures, Tastes

IMPRESSION: Final = "impression"
VIEW: Final = "view"
CLICK: Final = "click"
CART: Final = "cart"
PURCHASE: Final = "purchase"
KINDS: Final = (IMPRESSION, VIEW, CLICK, CART, PURCHASE)

# Late devices and views before the home page: docs/world.md, "Visits".
_VIEW_US = 120 * SECOND_US
_LATE_MEDIAN_US = 1_200 * SECOND_US
_LATE_SPREAD = 1.3
_LATE_MAX_US = 12 * 3_600 * SECOND_US


@dataclass(frozen=True)
class World:
    """The state before the first visit."""

    parameters: Parameters
    period: Period
    features: SaleFeatures
    tastes: Tastes
    customers: Customers
    visits: Visits

    @property
    def sales(self) -> Sales:
        """The sales."""
        return self.features.sales


@dataclass(frozen=True)
class Events:
    """Columns of shape ``(n_events,)``.

    Attributes:
        kind: Index into ``KINDS``.
        visit: Row of the visit.
        sale: Row of the sale.
        at_us: When it happened.
        received_us: When the shop received it.
        position: Rank in the slate from 1; 0 for views.
        propensity: See ``LoggedSlates``; NaN for views.
    """

    kind: NDArray[np.int64]
    visit: NDArray[np.int64]
    sale: NDArray[np.int64]
    at_us: NDArray[np.int64]
    received_us: NDArray[np.int64]
    position: NDArray[np.int64]
    propensity: NDArray[np.float64]


@dataclass(frozen=True)
class WorldTruth:
    """One entry per visit and eligible sale, shape ``(n_entries,)``.

    Attributes:
        visit: Row of the visit.
        sale: Row of the sale.
        truth: P(purchase | examined at position 1).
        knowable: Its posterior mean given the events received before the exposure.
    """

    visit: NDArray[np.int64]
    sale: NDArray[np.int64]
    truth: NDArray[np.float32]
    knowable: NDArray[np.float32]


@dataclass(frozen=True)
class Asked:
    """Lists that are asked for at some visits of one day, each of another customer.

    Attributes:
        visit: Rows of the visits, shape ``(n_visits,)``.
        sales: Rows of the day's sales, shape ``(n_rows,)``.
        eligible: Which of them may be shown, shape ``(n_visits, n_rows)``.
    """

    visit: NDArray[np.int64]
    sales: NDArray[np.int64]
    eligible: NDArray[np.bool_]


Order = Callable[[Asked], LoggedSlates]
"""Makes the slates of visits; columns are those of the day's sales."""


@dataclass(frozen=True)
class Served:
    """Lists that were shown, and what they were worth.

    Attributes:
        asked: The visits.
        truth: P(purchase | examined at position 1), shape ``(n_visits, n_rows)``.
        slates: What was shown.
        examined: P(examined | seen) of every position of ``slates``, same shape.
    """

    asked: Asked
    truth: NDArray[np.float32]
    slates: LoggedSlates
    examined: NDArray[np.float64]


@dataclass(frozen=True)
class History:
    """Results of a simulation.

    Attributes:
        events: All events, in no particular order.
        truth: The truth, ordered by visit.
        uniform: Whether a visit's slate was drawn uniformly, shape ``(n_visits,)``.
        oracles: Expected purchases@10 a visit of rankings by oracles.
    """

    events: Events
    truth: WorldTruth
    oracles: dict[str, float]
    uniform: NDArray[np.bool_]


def simulate(
    world: World, *, rng: np.random.Generator, progress: Callable[[float], None]
) -> History:
    """Run all visits of the period; ``progress`` gets the share of days that are done."""
    shop = Shop(world, rng)
    days_us = world.period.days_us()
    for number, day_us in enumerate(days_us, start=1):
        shop.run_day(day_us)
        progress(number / len(days_us))
    return shop.history()


_Columns = TypeVar("_Columns", Events, WorldTruth)


@dataclass
class Shop:
    """A shop and its customers, day by day.

    Attributes:
        world: The state before the first visit.
        rng: Source of randomness.
    """

    world: World
    rng: np.random.Generator
    events: list[Events] = field(default_factory=list)
    truths: list[WorldTruth] = field(default_factory=list)

    def __post_init__(self) -> None:
        """Draw what is fixed for each visit and customer."""
        world = self.world
        self.oracles = Oracles(world.parameters.examination)
        self.curve = examination(world.parameters.slate_size, world.parameters.examination)
        n_visits = len(world.visits)
        self.policy = LoggingPolicy(world.parameters, world.sales, self.rng)
        self.posterior = Posterior(world.tastes, len(world.customers))
        self.regime = self.rng.integers(world.tastes.n_regimes, size=len(world.customers))
        self.uniform = self.rng.random(n_visits) < world.parameters.uniform_share
        self.late = self.rng.random(n_visits) < world.parameters.late_share

    def run_day(self, day_us: int, order: Order | None = None) -> list[Served]:
        """Run the visits of a day; its lists are the logging policy's, or those of ``order``.

        The logging policy is recomputed each midnight. Another order may depend on what just
        happened: it is asked hour by hour.
        """
        visits = self.world.visits
        first, last = np.searchsorted(visits.at_us, [day_us, day_us + DAY_US])
        market = self.world.features.market(self.world.parameters, self.world.tastes, day_us=day_us)
        # Also on a day without visits, since counts decay at each midnight.
        scores = self.policy.scores(market.rows, day_us=day_us)
        if first == last or not len(market.rows):
            return []
        purchase = market.click * market.buy
        day = _Day(
            market=market,
            scores=scores,
            evidence=Evidence(
                market, self.curve, similar_attention=self.world.parameters.similar_attention
            ),
            purchase=purchase,
            popular=purchase.mean(axis=0),
        )
        # Customers' first visits of the day, then their second: visits that are served together are
        # of different customers, and each posterior holds the visits before.
        group = visits.turn[first:last]
        if order is not None:
            # Two visits of one customer are an hour apart.
            group = (visits.at_us[first:last] - day_us) // HOUR_US
        chosen = [first + np.flatnonzero(group == number) for number in np.unique(group)]
        return [self._serve(visit, day, order) for visit in chosen]

    def _serve(self, visit: NDArray[np.int64], day: "_Day", order: Order | None) -> Served:
        """Run visits of different customers on one day."""
        sales, rows = self.world.sales, day.market.rows
        at_us = self.world.visits.at_us[visit][:, None]
        markets = self.world.customers.market[self.world.visits.customer[visit]]
        # Shape (n_visits, n_rows).
        eligible = (sales.opens_us[rows] <= at_us) & (at_us < sales.ends_us[rows])
        eligible &= sales.markets[rows].T[markets]
        visit, eligible = visit[eligible.any(axis=1)], eligible[eligible.any(axis=1)]
        customer = self.world.visits.customer[visit]
        # Before anything of this visit is observed: the regime is that of the visit.
        self.posterior.move(customer)
        edges = self.world.tastes.transition.cumsum(axis=1)[self.regime[customer]]
        draw = self.rng.random((len(customer), 1)) * edges[:, -1:]
        self.regime[customer] = (draw >= edges).sum(axis=1)
        state = self.world.customers.type[customer] * self.world.tastes.n_regimes
        state += self.regime[customer]
        self._view(visit, day, eligible=eligible, state=state)
        # What is knowable holds the views, and nothing of the slate that follows.
        states = self.posterior.probabilities(customer)
        truth, knowable = day.purchase[state], states @ day.purchase
        self.oracles.add(truth, knowable, popular=day.popular, eligible=eligible)
        row, column = np.nonzero(eligible)
        self.truths.append(
            WorldTruth(visit[row], rows[column], truth=truth[eligible], knowable=knowable[eligible])
        )
        asked = Asked(visit, rows, eligible)
        slates = order(asked) if order else self._by_policy(asked, day)
        shown = rows[slates.column]
        similar, examined = similar_above(sales.scene[shown]), self.examined(shown)
        cells = (state[:, None], slates.column)
        reactions = react(
            day.market.click[cells],
            day.market.buy[cells],
            shown=slates.column >= 0,
            examined=examined,
            rng=self.rng,
        )
        self.posterior.observe(customer, day.evidence.of_slates(slates, reactions, similar=similar))
        self._report(visit, day, slates=slates, reactions=reactions)
        return Served(asked, truth, slates, examined)

    def examined(self, shown: NDArray[np.int64]) -> NDArray[np.float64]:
        """Return P(examined | seen) of slates of sales, shape ``(n_visits, n_positions)``."""
        similar = similar_above(self.world.sales.scene[shown])
        curve = self.curve[: shown.shape[1]]
        return curve * self.world.parameters.similar_attention**similar

    def _by_policy(self, asked: Asked, day: "_Day") -> LoggedSlates:
        markets = self.world.customers.market[self.world.visits.customer[asked.visit]]
        return self.policy.fill(
            day.scores[markets],
            eligible=asked.eligible,
            uniform=self.uniform[asked.visit],
            rng=self.rng,
        )

    def _view(
        self,
        visit: NDArray[np.int64],
        day: "_Day",
        *,
        eligible: NDArray[np.bool_],
        state: NDArray[np.int64],
    ) -> None:
        n_views = count_views(len(visit), self.rng)
        for number in range(int(n_views.max(initial=0))):
            who = np.flatnonzero(n_views > number)
            column = choose_views(day.market.click[state[who]], eligible[who], rng=self.rng)
            customer = self.world.visits.customer[visit[who]]
            self.posterior.observe(customer, day.evidence.of_views(column, eligible[who]))
            sale = day.market.rows[column]
            now_us = self.world.visits.at_us[visit[who]]
            before_us = np.minimum(_VIEW_US, now_us - self.world.sales.opens_us[sale])
            at_us = now_us - (before_us * self.rng.uniform(0.1, 0.9, len(who))).astype(np.int64)
            self.events.append(_events(VIEW, visit[who], sale=sale, at_us=at_us))

    def _report(
        self,
        visit: NDArray[np.int64],
        day: "_Day",
        *,
        slates: LoggedSlates,
        reactions: Reactions,
    ) -> None:
        row, rank = np.nonzero(reactions.seen)
        sale = day.market.rows[slates.column[row, rank]]
        now_us = self.world.visits.at_us[visit[row]]
        market = self.world.customers.market[self.world.visits.customer[visit[row]]]
        clicked = reactions.clicked[row, rank]
        self.policy.record(market, sale, position=rank + 1, clicked=clicked)
        delays_us = reaction_delays(self.world.sales.ends_us[sale] - now_us, self.rng)
        sent_us = self._sent(visit, row, last_us=np.where(clicked, now_us + delays_us[2], now_us))
        carts = carts_seen(reactions, self.rng)
        for kind, happened, delay_us in [
            (IMPRESSION, reactions.seen, np.zeros_like(now_us)),
            (CLICK, reactions.clicked, delays_us[0]),
            (CART, carts, delays_us[1]),
            (PURCHASE, reactions.bought, delays_us[2]),
        ]:
            picked = happened[row, rank]
            self.events.append(
                _events(
                    kind,
                    visit[row[picked]],
                    sale=sale[picked],
                    at_us=(now_us + delay_us)[picked],
                    sent_us=sent_us[picked],
                    position=rank[picked] + 1,
                    propensity=slates.propensity[row, rank][picked],
                )
            )

    def _sent(
        self, visit: NDArray[np.int64], row: NDArray[np.int64], *, last_us: NDArray[np.int64]
    ) -> NDArray[np.int64]:
        """Return the moment before which no event of a visit is received; 0 without a delay."""
        # A late device sends all events at once, at the latest before the customer's next visit, so
        # that the events of earlier visits are known then.
        ended_us = np.zeros(len(visit), dtype=np.int64)
        np.maximum.at(ended_us, row, last_us)
        delay_us = np.exp(self.rng.normal(np.log(_LATE_MEDIAN_US), _LATE_SPREAD, len(visit)))
        sent_us = ended_us + np.minimum(delay_us, _LATE_MAX_US).astype(np.int64)
        back_us = self.world.visits.next_us[visit] - 2 * _VIEW_US
        sent_us = np.maximum(np.minimum(sent_us, back_us), ended_us)
        return np.where(self.late[visit], sent_us, 0)[row]

    def log(self) -> Events:
        """Return all events so far."""
        return _concatenated(Events, self.events)

    def history(self) -> History:
        """Return what happened so far."""
        truth = _concatenated(WorldTruth, self.truths)
        order = np.argsort(truth.visit, kind="stable")
        ordered = WorldTruth(**{name: column[order] for name, column in vars(truth).items()})
        oracles = self.oracles.means()
        return History(events=self.log(), truth=ordered, uniform=self.uniform, oracles=oracles)


@dataclass(frozen=True)
class _Day:
    market: Market
    scores: NDArray[np.float64]
    evidence: Evidence
    purchase: NDArray[np.float32]
    popular: NDArray[np.float32]


def _events(
    kind: str,
    visit: NDArray[np.int64],
    *,
    sale: NDArray[np.int64],
    at_us: NDArray[np.int64],
    sent_us: NDArray[np.int64] | None = None,
    position: NDArray[np.int64] | None = None,
    propensity: NDArray[np.float64] | None = None,
) -> Events:
    n_events = len(visit)
    return Events(
        kind=np.full(n_events, KINDS.index(kind)),
        visit=visit,
        sale=sale,
        at_us=at_us,
        received_us=at_us if sent_us is None else np.maximum(at_us, sent_us),
        position=np.zeros(n_events, dtype=np.int64) if position is None else position,
        propensity=np.full(n_events, np.nan) if propensity is None else propensity,
    )


def _concatenated(kind: type[_Columns], parts: list[_Columns]) -> _Columns:
    names = kind.__dataclass_fields__
    return kind(**{n: np.concatenate([getattr(part, n) for part in parts]) for n in names})
