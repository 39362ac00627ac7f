"""One answer: read the customer, route him, rank the sales, record what was done."""

from collections.abc import Callable
from dataclasses import dataclass
from time import perf_counter

from app.errors import StoreUnavailableError
from app.experiments.experiment import Experiment, Variant, assign
from app.serving.candidates import LeftOut, left_out
from app.serving.clock import StoreClock
from app.serving.deadline import within
from app.serving.degradation import Degradation
from app.serving.exposure import ExposureRecord, Shown
from app.serving.exposure_queue import Exposure, ExposureQueue
from app.serving.fallback import Rung
from app.serving.live import LiveCatalogue
from app.serving.ports import CustomerState, CustomerStore
from app.serving.question import Question, RecommendationRequest
from app.serving.ranking import Ranking, SlateRanker
from app.serving.shadow import Shadow
from models.customer import Window
from models.experiments.policy import SlatePolicy
from models.profile import Profile


@dataclass(frozen=True, slots=True)
class Origin:
    """What the answers of this process have in common.

    Attributes:
        experiment: Routes customers to variants.
        versions: Versions of the libraries that scores depend on, by name.
    """

    experiment: Experiment
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

    question: Question
    record: ExposureRecord
    left_out: tuple[LeftOut, ...]
    read_s: float
    rank_s: float


@dataclass(frozen=True, slots=True)
class _Routing:
    answer_id: str
    variant: Variant
    is_forced: bool


@dataclass(frozen=True, slots=True)
class Recommender:
    """Answers every request, and names in the answer what it had to do without.

    Attributes:
        customers: Windows and profiles.
        live: The catalogue.
        clock: The store's clock, for when it is away.
        ranker: Orders the sales.
        exposures: Takes the records.
        origin: Experiment and versions.
        degradation: Logs what answers had to do without.
        shadow: Ranks again with a model that nobody sees.
        read_timeout_s: After this a customer is anonymous.
        deadline_s: Time for one answer, the customer's read included.
        new_id: Makes recommendation ids.
    """

    customers: CustomerStore
    live: LiveCatalogue
    clock: StoreClock
    ranker: SlateRanker
    exposures: ExposureQueue
    origin: Origin
    degradation: Degradation
    shadow: Shadow
    read_timeout_s: float
    deadline_s: float
    new_id: Callable[[], str]

    async def recommend(self, request: RecommendationRequest) -> Recommendation:
        """Answer a request and hand the record to the log.

        Raises:
            UnknownVariantError: If the request forces a variant that there is not.
        """
        started = perf_counter()
        routing = self._route(request)
        known = await self._read(request.customer_id)
        read = perf_counter()
        # From here on nothing awaits: one catalogue and one moment make the whole answer.
        state = known or self._nobody()
        question = Question(request, state, self.live.served, routing.answer_id)
        policy = SlatePolicy(order_by=routing.variant.policy)
        ranking = self.ranker.rank(
            question,
            policy,
            rung=self._rung(is_known=known is not None),
            within_s=self.deadline_s - (read - started),
        )
        record = self._record(question, routing, ranking=ranking)
        self.exposures.put(Exposure(record, question.served))
        self.degradation.note(ranking.rung)
        self.shadow.see(question, policy, ranking=ranking)
        return Recommendation(
            question, record, _left_out(question), read - started, perf_counter() - read
        )

    def _route(self, request: RecommendationRequest) -> _Routing:
        answer_id, experiment = self.new_id(), self.origin.experiment
        if request.variant is not None:
            return _Routing(answer_id, experiment.variant(request.variant), is_forced=True)
        # Who has no id keeps his variant for the visit, or else for this answer.
        unit_id = request.customer_id or request.session_id or answer_id
        return _Routing(answer_id, assign(unit_id, experiment), is_forced=False)

    def _nobody(self) -> CustomerState:
        return CustomerState(self.clock.now_us(), Window.empty(), Profile.empty())

    async def _read(self, customer_id: str | None) -> CustomerState | None:
        if customer_id is None:
            return self._nobody()
        try:
            return await within(
                min(self.read_timeout_s, self.deadline_s), self.customers.read(customer_id)
            )
        except (StoreUnavailableError, TimeoutError) as exc:
            self.degradation.blame(exc)
            return None

    def _rung(self, *, is_known: bool) -> Rung | None:
        if self.live.is_stale:
            return Rung.SNAPSHOT
        return None if is_known else Rung.ANONYMOUS

    def _record(self, question: Question, routing: _Routing, *, ranking: Ranking) -> ExposureRecord:
        request, state, choice = question.request, question.state, question.request.choice
        return ExposureRecord(
            recommendation_id=routing.answer_id,
            customer_id=request.customer_id,
            session_id=request.session_id,
            now_us=state.now_us,
            market=request.market,
            device=request.device,
            limit=request.limit,
            exclude=request.exclude,
            candidates=choice.sale_ids if choice else None,
            candidates_ordered=choice is not None and choice.is_ordered,
            window=state.window.pack(),
            profile=state.profile.pack(),
            snapshot_id=question.served.snapshot_id if question.served else "",
            bundle_id=question.served.bundle_id if question.served else "",
            experiment=self.origin.experiment.name,
            variant=routing.variant.name,
            assignment_share_bp=routing.variant.share_bp,
            forced=routing.is_forced,
            degraded=ranking.rung,
            feature_hash=ranking.feature_hash,
            slate=_slate(ranking),
            versions=self.origin.versions,
        )


def _left_out(question: Question) -> tuple[LeftOut, ...]:
    request = question.request
    if request.choice is None:
        return ()
    catalogue = question.served.catalogue if question.served else None
    return left_out(catalogue, question.state.now_us, market=request.market, choice=request.choice)


def _slate(ranking: Ranking) -> tuple[Shown, ...]:
    probabilities = ranking.probabilities or (None,) * len(ranking.sale_ids)
    shown = zip(ranking.sale_ids, ranking.propensities, probabilities, strict=True)
    return tuple(
        Shown(sale_id, rank, propensity, probability)
        for rank, (sale_id, propensity, probability) in enumerate(shown, start=1)
    )
