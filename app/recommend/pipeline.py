"""Recommendation pipeline, from the request to the exposure record. Start here.

`app.api.recommendations` and `app.api.rank` call `RecommendationPipeline.recommend` once a
request. Its steps in order: read the customer, route the visit, choose catalogue and policy, rank,
record.
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from math import inf
from time import monotonic
from typing import Final

from app.catalogue.catalogue_follower import CatalogueFollower
from app.catalogue.catalogue_version import CatalogueVersion
from app.catalogue.clock import StoreClock
from app.errors import (
    ServiceError,
    StoreUnavailableError,
    UnknownAttributeError,
    UnknownMarketError,
)
from app.experiments.live_plan import LivePlan
from app.recommend.answer_counts import AnswerCounts
from app.recommend.candidates import LeftOut, left_out
from app.recommend.degradation_level import (
    CATALOGUE_LATE,
    CATALOGUE_UNREAD,
    CAUSES,
    COUNTS_NOT_READ,
    Cause,
    DegradationLevel,
    worse,
)
from app.recommend.degraded_log import Degradation
from app.recommend.exposure import exposure_record
from app.recommend.exposure_queue import ExposureQueue
from app.recommend.impression_shares import ImpressionShares
from app.recommend.ranking import SlateRanker
from app.recommend.request import RankingRequest, RecommendationRequest, Rival
from app.recommend.routing import Routing, routed
from app.recommend.rule_budgets import RuleBudgets
from app.recommend.shadow import Shadow
from app.stores.customer import CustomerStore
from app.stores.customer_state import CustomerState
from models.domain.customer import Window
from models.domain.event import DISLIKE
from models.domain.profile import Profile
from models.experiments.exposure_record import ExposureRecord
from models.experiments.plan.plan import Interleaving
from models.rules.field import FIELDS, FieldScope, attribute_names
from models.rules.rule import disliked_rule, request_filter
from models.slate.slate_policy import PlackettLuce

# Rounds of the event loop between two rankings. A new connection needs four until it is answered.
# With a ranking in each of them `/health/live` took 63 ms beside 512 callers (the longest of 2 s,
# median of eight), with two rounds between 38 ms, and a third as many rankings were too late for
# their model; full answers were as many (2026-11-29).
ROUNDS_BETWEEN: Final = 2


@dataclass(frozen=True, slots=True)
class Origin:
    """Origin of all answers of this process: the parts that depend on no request.

    Attributes:
        plan: The plan of experiments.
        versions: Versions of libraries by name.
        exploration: Of policies that do not say theirs; None for none.
        hide_disliked_days: For so long what a customer disliked is not shown to them.
    """

    plan: LivePlan
    versions: tuple[tuple[str, str], ...]
    exploration: PlackettLuce | None = None
    hide_disliked_days: int = 0


@dataclass(frozen=True, slots=True)
class Recommendation:
    """An answer.

    Attributes:
        asked: The request and all that its ranking depended on.
        record: The exposure record, which holds the slate.
        left_out: The caller's own candidates that may not be shown, each with the reason.
        unmet: Names of the rules that are not met, see `models.slate.exploration.Slate`.
        read: Reading the customer: its start by `time.monotonic`, and seconds.
        rank: Candidates, scores and selection: the same.
    """

    asked: RankingRequest
    record: ExposureRecord
    left_out: tuple[LeftOut, ...]
    unmet: tuple[str, ...]
    read: tuple[float, float]
    rank: tuple[float, float]


@dataclass(frozen=True, slots=True)
class RecommendationPipeline:
    """Recommendation pipeline: answers every request, and names the degradation in the answer.

    Attributes:
        customers: Windows and profiles.
        live: The catalogue.
        clock: The store's clock, also while the store is unreachable.
        ranker: Ranks the candidates.
        exposures: Takes the records.
        origin: Plan of experiments and versions.
        degradation: Logs degraded answers.
        shadow: Ranks again with a model whose slates are not shown.
        counts: Counts answers by variant.
        budgets: Stops rules that have cost what they may.
        shares: Keeps the shares of impressions that rules guarantee.
        read_timeout_s: After this a customer is anonymous.
        deadline_s: Time to route a visit.
        new_id: Makes recommendation ids.
        turn: Held by the one answer that is computed.
    """

    customers: CustomerStore
    live: CatalogueFollower
    clock: StoreClock
    ranker: SlateRanker
    exposures: ExposureQueue
    origin: Origin
    degradation: Degradation
    shadow: Shadow
    counts: AnswerCounts
    budgets: RuleBudgets
    shares: ImpressionShares
    read_timeout_s: float
    deadline_s: float
    new_id: Callable[[], str]
    turn: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def recommend(self, request: RecommendationRequest, *, ends_s: float) -> Recommendation:
        """Answer a request, and hand its record to the log.

        Args:
            request: The caller's request.
            ends_s: When the answer is due, in seconds of `time.monotonic`. Where that is past,
                neither store nor model is asked: the answer is by popularity.

        Raises:
            UnknownVariantError: If the request forces an unknown variant.
            ExclusiveVariantsError: If it forces two variants that exclude each other.
            UnknownMarketError: If no sale names its market, and none is for all markets.
            UnknownAttributeError: If it filters by an attribute that no sale has.
        """
        started = monotonic()
        if started >= ends_s:
            await self.live.catch_up()
            return self._answer(
                request, None, started=started, read_in=(started, 0.0), within_s=None
            )
        read = await self._read(request.customer_id, within_s=ends_s - started)
        read_in = (started, monotonic() - started)
        return await self._in_turn(request, read, started=started, read_in=read_in, ends_s=ends_s)

    async def recommend_each(
        self, requests: Sequence[RecommendationRequest], *, ends_s: float
    ) -> list[Recommendation | ServiceError]:
        """Answer several requests, whose customers are read in one round trip.

        Args:
            requests: The caller's requests.
            ends_s: When the first answer is due; each further one has `deadline_s` more.

        Returns:
            An answer each, or the error that `recommend` would raise.
        """
        started = monotonic()
        ids = [one.customer_id for one in requests if one.customer_id is not None]
        states: Mapping[str, CustomerState] = {}
        if started < ends_s:
            states = await self._read_each(ids, within_s=ends_s - started)
        read_in = (started, monotonic() - started)
        found: list[Recommendation | ServiceError] = []
        for place, request in enumerate(requests):
            known = request.customer_id
            read = self._empty_state() if known is None else states.get(known)
            due_s = ends_s + place * self.deadline_s
            try:
                one = await self._in_turn(
                    request, read, started=monotonic(), read_in=read_in, ends_s=due_s
                )
            except ServiceError as exc:
                found.append(exc)
            else:
                found.append(one)
        return found

    async def _in_turn(
        self,
        request: RecommendationRequest,
        read: CustomerState | None,
        *,
        started: float,
        read_in: tuple[float, float],
        ends_s: float,
    ) -> Recommendation:
        async with self.turn:
            # Between two answers the loop serves other tasks, see `ROUNDS_BETWEEN`.
            for _ in range(ROUNDS_BETWEEN):
                await asyncio.sleep(0)
            await self.live.catch_up()
            within_s = ends_s - monotonic()
            return self._answer(
                request,
                read,
                started=started,
                read_in=read_in,
                within_s=None if within_s == -inf else within_s,
            )

    async def assign(self, request: RecommendationRequest) -> Routing:
        """Route a visit as `recommend` would, and log nothing.

        Raises:
            UnknownVariantError: If the request forces an unknown variant.
            ExclusiveVariantsError: If it forces two variants that exclude each other.
        """
        plan = self.origin.plan.current
        read = await self._read(request.customer_id, within_s=self.deadline_s)
        return routed(plan, request, customer=read, now_us=self.clock.now_us())

    async def _read(self, customer_id: str | None, *, within_s: float) -> CustomerState | None:
        if customer_id is None:
            return self._empty_state()
        try:
            timeout_s = min(self.read_timeout_s, within_s)
            return await self.customers.read(customer_id, within_s=timeout_s)
        except (StoreUnavailableError, TimeoutError) as exc:
            self.degradation.blame(exc)
            return None

    async def _read_each(
        self, customer_ids: Sequence[str], *, within_s: float
    ) -> Mapping[str, CustomerState]:
        """Read customers, without those that cannot be read in time."""
        try:
            timeout_s = min(self.read_timeout_s, within_s)
            return await self.customers.read_each(customer_ids, within_s=timeout_s)
        except (StoreUnavailableError, TimeoutError) as exc:
            self.degradation.blame(exc)
            return {}

    def _empty_state(self) -> CustomerState:
        return CustomerState(self.clock.now_us(), Window.empty(), Profile.empty())

    def _answer(
        self,
        request: RecommendationRequest,
        read: CustomerState | None,
        *,
        started: float,
        read_in: tuple[float, float],
        within_s: float | None,
    ) -> Recommendation:
        # From here on nothing awaits: one catalogue, plan and moment make the whole answer.
        began = monotonic()
        state = read or self._empty_state()
        if state.merges is not None:
            request = replace(request, customer_id=state.merges.customer_id)
        routing = routed(self.origin.plan.current, request, customer=read, now_us=state.now_us)
        asked = self._asked(request, state, routing, is_read=read is not None)
        market, served = request.market, asked.served
        names = served.catalogue.markets.names if served else ()
        if served and names and market is not None and market not in names:
            self.counts.record_unknown_market()
            # Sales for all markets, and the caller's own, are an answer in any market.
            is_empty = not len(served.eligible_sales.at(market, state.now_us).rows)
            if is_empty and request.choice.sale_ids is None:
                raise UnknownMarketError(market, names)
        if served and (request.filter is not None or request.rows):
            _require_known_attributes(request, served)
        ranking = self.ranker.rank(asked, within_s=within_s)
        record = exposure_record(
            asked,
            routing,
            ranking=ranking,
            versions=self.origin.versions,
            took_s=monotonic() - started,
        )
        rivals = (asked.rival.served,) if ranking.interleaving and asked.rival else ()
        self.exposures.put(record, *((asked.served, *rivals) if asked.served else ()))
        self.degradation.record(ranking.cause)
        self.shares.record(ranking)
        self.budgets.record(ranking.rule_prices)
        self.counts.record(record)
        if ranking.degraded is None and asked.served is self.live.served:
            self.shadow.compare(asked)
        return Recommendation(
            asked=asked,
            record=record,
            left_out=left_out(asked, ranking.sale_ids),
            unmet=ranking.unmet,
            read=read_in,
            rank=(began, monotonic() - began),
        )

    def _asked(
        self,
        request: RecommendationRequest,
        state: CustomerState,
        routing: Routing,
        *,
        is_read: bool,
    ) -> RankingRequest:
        """Choose policy and catalogue, and name what is missing before anything is ranked."""
        policy, shared = routing.route.policy, routing.route.interleaving
        served = self.live.served_by(policy.bundle)
        cause = self._of_store(is_read=is_read)
        if policy.bundle is not None and served is None:
            policy = routing.stored.plan.default
            served = self.live.served_by(policy.bundle) or self.live.served
            cause, shared = worse(cause, CAUSES[DegradationLevel.VARIANT]), None
        rival = self._rival(shared)
        if shared is not None and rival is None:
            cause = worse(cause, CAUSES[DegradationLevel.VARIANT])
        if cause is None and served is not None:
            cause = self._of_counts(served, state.now_us)
        policy = self.budgets.applied(policy.exploring(self.origin.exploration))
        policy = self.shares.applied(policy)
        days = self.origin.hide_disliked_days
        if days and state.window.has(DISLIKE):
            policy = policy.behind(disliked_rule(days))
        if request.filter is not None:
            policy = policy.filtered(request.filter)
        return RankingRequest(request, state, served, policy, cause, self.new_id(), rival)

    def _of_store(self, *, is_read: bool) -> Cause | None:
        """Return what was not read of the store, from the worst to the least."""
        if self.live.is_stale or self.live.is_behind:
            return CAUSES[DegradationLevel.SNAPSHOT]
        if self.live.lacking:
            return CAUSES[DegradationLevel.REMEMBERED]
        if self.live.is_late:
            return CATALOGUE_LATE if self.live.unread is None else CATALOGUE_UNREAD
        return None if is_read else CAUSES[DegradationLevel.ANONYMOUS]

    def _of_counts(self, served: CatalogueVersion, now_us: int) -> Cause | None:
        if served.has_stale_counts(now_us):
            return CAUSES[DegradationLevel.STALE_COUNTS]
        return COUNTS_NOT_READ if self.live.uncounted is not None else None

    def _rival(self, shared: Interleaving | None) -> Rival | None:
        served = None if shared is None else self.live.served_by(shared.policy.bundle)
        if shared is None or served is None:
            return None
        return Rival(shared.experiment, shared.first, shared.second, served, shared.policy)


def _require_known_attributes(request: RecommendationRequest, served: CatalogueVersion) -> None:
    known = attribute_names(served.catalogue)
    rules = [rule for row in request.rows for rule in row.own_rules]
    filters = (request.filter, *(row.filter for row in request.rows))
    rules += [request_filter(text) for text in filters if text is not None]
    for rule in rules:
        for one in rule.fields:
            if one.is_attribute and one.scope is FieldScope.SALE and one.name not in known:
                raise UnknownAttributeError(one.name, [*FIELDS, *sorted(known)])
