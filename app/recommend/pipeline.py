"""One answer: read the customer, route him, rank the sales, record what was done."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from time import monotonic
from typing import Final

from app.catalogue.catalogue_follower import CatalogueFollower
from app.catalogue.catalogue_version import CatalogueVersion
from app.catalogue.clock import StoreClock
from app.errors import StoreUnavailableError, UnknownMarketError
from app.experiments.live_plan import LivePlan
from app.recommend.answer_counts import AnswerCounts
from app.recommend.candidates import LeftOut, left_out
from app.recommend.deadline import within
from app.recommend.degradation import Degradation
from app.recommend.exposure_queue import ExposureQueue
from app.recommend.fallback import OF_CATALOGUE, DegradationLevel
from app.recommend.ranking import Ranking, SlateRanker
from app.recommend.request import RankingRequest, RecommendationRequest
from app.recommend.routing import Routing, routed
from app.recommend.shadow import Shadow
from app.stores.customer import CustomerState, CustomerStore
from app.stores.exposure_record import ExposureRecord, ShownItem
from models.domain.customer import Window
from models.domain.event import SECOND_US
from models.domain.profile import Profile
from models.slate.slate_policy import SlatePolicy

ROUNDS_BETWEEN: Final = 2
"""Rounds of the event loop between two rankings.

A new connection needs four until it is answered. With a ranking in each of them `/health/live` took
63 ms beside 512 callers (the longest of 2 s, median of eight), with two rounds between 38 ms, and a
third as many rankings were too late for their model; full answers were as many (2026-11-29).
"""


@dataclass(frozen=True, slots=True)
class Origin:
    """What the answers of this process have in common.

    Attributes:
        plan: Routes visits to variants.
        versions: Versions of the libraries that scores depend on, by name.
    """

    plan: LivePlan
    versions: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Recommendation:
    """An answer.

    Attributes:
        question: What was answered.
        record: What is logged, the slate included.
        left_out: The caller's own candidates that may not be shown, each with why.
        read_s: Seconds spent on the customer's read.
        rank_s: Seconds spent on candidates, scores and selection.
    """

    question: RankingRequest
    record: ExposureRecord
    left_out: tuple[LeftOut, ...]
    read_s: float
    rank_s: float


@dataclass(frozen=True, slots=True, eq=False)
class _Way:
    """How an answer is made: by whose catalogue, and without what."""

    policy: SlatePolicy
    served: CatalogueVersion | None
    rung: DegradationLevel | None


@dataclass(frozen=True, slots=True)
class Recommender:
    """Answers every request, and names in the answer what it had to do without.

    Attributes:
        customers: Windows and profiles.
        live: The catalogue.
        clock: The store's clock, for when it is away.
        ranker: Orders the sales.
        exposures: Takes the records.
        origin: Plan of experiments and versions.
        degradation: Logs what answers had to do without.
        shadow: Ranks again with a model that nobody sees.
        tally: Counts answers by variant.
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
    tally: AnswerCounts
    read_timeout_s: float
    deadline_s: float
    new_id: Callable[[], str]
    turn: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def recommend(self, request: RecommendationRequest, *, ends_s: float) -> Recommendation:
        """Answer a request and hand the record to the log.

        Args:
            request: What the caller asks for.
            ends_s: When the answer is due, in seconds of `time.monotonic`. Where that is past,
                the store is not read and no model asked: it is answered by popularity.

        Raises:
            UnknownVariantError: If the request forces a variant that there is not.
            ExclusiveVariantsError: If it forces two that exclude each other.
            UnknownMarketError: If no sale names its market, and none is for all markets.
        """
        started = monotonic()
        if started >= ends_s:
            await self.live.catch_up()
            return self._answer(request, None, started=started, read_s=0.0, within_s=None)
        known = await self._read(request.customer_id, within_s=ends_s - started)
        read_s = monotonic() - started
        async with self.turn:
            for _ in range(ROUNDS_BETWEEN):
                await asyncio.sleep(0)
            await self.live.catch_up()
            within_s = ends_s - monotonic()
            return self._answer(request, known, started=started, read_s=read_s, within_s=within_s)

    def _answer(
        self,
        request: RecommendationRequest,
        known: CustomerState | None,
        *,
        started: float,
        read_s: float,
        within_s: float | None,
    ) -> Recommendation:
        """Make an answer of one catalogue, plan and moment: nothing in here awaits."""
        began = monotonic()
        state = known or self._nobody()
        routing = routed(self.origin.plan.current, request, known=known, now_us=state.now_us)
        way = self._way(routing, is_known=known is not None)
        self._look_at_market(request, way.served, now_us=state.now_us)
        question = RankingRequest(request, state, way.served, self.new_id())
        ranking = self.ranker.rank(question, way.policy, rung=way.rung, within_s=within_s)
        record = self._record(question, routing, way.policy, ranking=ranking, started=started)
        self.exposures.put(record, question.served)
        self.degradation.note(ranking.rung, ranking.cause)
        self.tally.note(record)
        if way.served is self.live.served:
            self.shadow.see(question, way.policy, ranking=ranking)
        return Recommendation(question, record, _left_out(question), read_s, monotonic() - began)

    async def assign(self, request: RecommendationRequest) -> Routing:
        """Route a visit as `recommend` would, and log nothing.

        Raises:
            UnknownVariantError: If the request forces a variant that there is not.
            ExclusiveVariantsError: If it forces two that exclude each other.
        """
        plan = self.origin.plan.current
        known: CustomerState | None = self._nobody()
        if plan.plan.asks_for_visitors:
            known = await self._read(request.customer_id, within_s=self.deadline_s)
        return routed(plan, request, known=known, now_us=self.clock.now_us())

    def _way(self, routing: Routing, *, is_known: bool) -> _Way:
        policy = routing.route.policy
        served, rung = self.live.served_by(policy.bundle), self._rung(is_known=is_known)
        if policy.bundle is not None and served is None:
            policy = routing.stored.plan.default
            served = self.live.served_by(policy.bundle) or self.live.served
            rung = rung if rung in OF_CATALOGUE else DegradationLevel.VARIANT
        return _Way(policy, served, rung)

    def _look_at_market(
        self, request: RecommendationRequest, served: CatalogueVersion | None, *, now_us: int
    ) -> None:
        """Count a market that no sale names, and refuse it rather than to show an empty page."""
        known = served.catalogue.markets.names if served else ()
        if served is None or not known or request.market is None or request.market in known:
            return
        self.tally.note_unknown_market()
        if request.choice is None and not len(served.offers.at(request.market, now_us).rows):
            raise UnknownMarketError(request.market, known)

    def _nobody(self) -> CustomerState:
        return CustomerState(self.clock.now_us(), Window.empty(), Profile.empty())

    async def _read(self, customer_id: str | None, *, within_s: float) -> CustomerState | None:
        if customer_id is None:
            return self._nobody()
        try:
            return await within(
                min(self.read_timeout_s, within_s), self.customers.read(customer_id)
            )
        except (StoreUnavailableError, TimeoutError) as exc:
            self.degradation.blame(exc)
            return None

    def _rung(self, *, is_known: bool) -> DegradationLevel | None:
        if self.live.is_stale or self.live.is_behind:
            return DegradationLevel.SNAPSHOT
        if self.live.lacking:
            return DegradationLevel.REMEMBERED
        return None if is_known else DegradationLevel.ANONYMOUS

    def _record(
        self,
        question: RankingRequest,
        routing: Routing,
        policy: SlatePolicy,
        *,
        ranking: Ranking,
        started: float,
    ) -> ExposureRecord:
        request, state, choice = question.request, question.state, question.request.choice
        exclude = _known(request.exclude, question.served)
        candidates = _known(choice.sale_ids if choice else (), question.served)
        return ExposureRecord(
            recommendation_id=question.recommendation_id,
            customer_id=request.customer_id,
            session_id=request.session_id,
            device_id=request.device_id,
            now_us=state.now_us,
            market=request.market,
            device=request.device,
            limit=request.limit,
            exclude=exclude,
            excluded_unknown=len(set(request.exclude)) - len(exclude),
            candidates=candidates if choice else None,
            candidates_unknown=len(choice.sale_ids) - len(candidates) if choice else 0,
            candidates_ordered=choice is not None and choice.is_ordered,
            window=state.window.pack(),
            profile=state.profile.pack(),
            snapshot_id=question.served.snapshot_id if question.served else "",
            bundle_id=question.served.bundle_id if question.served else "",
            plan_version=routing.stored.version,
            assignments=routing.route.assignments,
            order_by=policy.order_by,
            diversity=policy.diversity,
            exploration=policy.exploration.model_dump_json() if policy.exploration else None,
            degraded=ranking.rung,
            feature_hash=ranking.feature_hash,
            took_us=round((monotonic() - started) * SECOND_US),
            slate=_slate(ranking),
            versions=self.origin.versions,
        )


def _left_out(question: RankingRequest) -> tuple[LeftOut, ...]:
    request = question.request
    if request.choice is None:
        return ()
    served, now_us = question.served, question.state.now_us
    offer = served.offers.at(request.market, now_us) if served else None
    return left_out(offer, now_us, choice=request.choice)


def _known(sale_ids: Sequence[str], served: CatalogueVersion | None) -> tuple[str, ...]:
    """Return those that the catalogue knows, in their order, each once."""
    if served is None:
        return ()
    row_of = served.catalogue.row_of
    return tuple(each for each in dict.fromkeys(sale_ids) if row_of(each) is not None)


def _slate(ranking: Ranking) -> tuple[ShownItem, ...]:
    probabilities = ranking.probabilities or (None,) * len(ranking.sale_ids)
    shown = zip(ranking.sale_ids, ranking.propensities, probabilities, strict=True)
    return tuple(
        ShownItem(sale_id, rank, propensity, probability)
        for rank, (sale_id, propensity, probability) in enumerate(shown, start=1)
    )
