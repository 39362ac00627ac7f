"""One answer: read the customer, route him, rank the sales, record what was done."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from time import perf_counter
from typing import Final

from app.errors import StoreUnavailableError
from app.experiments.experiment import Experiment, Variant, assign
from app.observability import get_logger
from app.serving.clock import StoreClock
from app.serving.exposure import ExposureRecord, Shown
from app.serving.exposure_queue import Exposure, ExposureQueue
from app.serving.fallback import Rung
from app.serving.live import LiveCatalogue
from app.serving.ports import CustomerState, CustomerStore
from app.serving.question import Question, RecommendationRequest
from app.serving.ranking import Ranking, SlateRanker
from models.customer import Window
from models.profile import Profile

DETERMINISTIC: Final = 1.0
"""Propensity of a sale at a rank that no chance decided."""

_log = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Origin:
    """What the answers of this process have in common.

    Attributes:
        bundle_id: The bundle that scores, empty without.
        experiment: Routes customers to variants.
        versions: Versions of the libraries that scores depend on, by name.
    """

    bundle_id: str
    experiment: Experiment
    versions: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Recommendation:
    """An answer.

    Attributes:
        record: What is logged, the slate included.
        read_s: Seconds spent on the customer's read.
        rank_s: Seconds spent on candidates, scores and selection.
    """

    record: ExposureRecord
    read_s: float
    rank_s: float


@dataclass(frozen=True, slots=True)
class Recommender:
    """Answers every request, and names in the answer what it had to do without.

    Attributes:
        customers: Windows and profiles.
        live: The catalogue.
        clock: The store's clock, for when it is away.
        ranker: Orders the sales.
        exposures: Takes the records.
        origin: Bundle, experiment and versions.
        read_timeout_s: After this a customer is anonymous.
        new_id: Makes recommendation ids.
    """

    customers: CustomerStore
    live: LiveCatalogue
    clock: StoreClock
    ranker: SlateRanker
    exposures: ExposureQueue
    origin: Origin
    read_timeout_s: float
    new_id: Callable[[], str]

    async def recommend(self, request: RecommendationRequest) -> Recommendation:
        """Answer a request and hand the record to the log."""
        started = perf_counter()
        known = await self._read(request.customer_id)
        read = perf_counter()
        # From here on nothing awaits: one catalogue and one moment make the whole answer.
        state = known or CustomerState(self.clock.now_us(), Window.empty(), Profile.empty())
        question = Question(request, state, self.live.served)
        variant = assign(request.customer_id, self.origin.experiment)
        ranking = self.ranker.rank(
            question, variant.policy, rung=self._rung(is_known=known is not None)
        )
        record = self._record(question, variant, ranking=ranking)
        self.exposures.put(Exposure(record, question.served))
        return Recommendation(record, read - started, perf_counter() - read)

    async def _read(self, customer_id: str) -> CustomerState | None:
        try:
            async with asyncio.timeout(self.read_timeout_s):
                return await self.customers.read(customer_id)
        except (StoreUnavailableError, TimeoutError) as exc:
            _log.debug("a customer's window is unavailable", reason=str(exc))
            return None

    def _rung(self, *, is_known: bool) -> Rung | None:
        if self.live.is_stale:
            return Rung.SNAPSHOT
        return None if is_known else Rung.ANONYMOUS

    def _record(self, question: Question, variant: Variant, *, ranking: Ranking) -> ExposureRecord:
        request, state = question.request, question.state
        return ExposureRecord(
            recommendation_id=self.new_id(),
            customer_id=request.customer_id,
            session_id=request.session_id,
            now_us=state.now_us,
            market=request.market,
            device=request.device,
            limit=request.limit,
            exclude=request.exclude,
            window=state.window.pack(),
            profile=state.profile.pack(),
            snapshot_id=question.served.snapshot_id if question.served else "",
            bundle_id=self.origin.bundle_id,
            experiment=self.origin.experiment.name,
            variant=variant.name,
            assignment_share_bp=variant.share_bp,
            degraded=ranking.rung,
            feature_hash=ranking.feature_hash,
            slate=_slate(ranking),
            versions=self.origin.versions,
        )


def _slate(ranking: Ranking) -> tuple[Shown, ...]:
    probabilities = ranking.probabilities or (None,) * len(ranking.sale_ids)
    shown = zip(ranking.sale_ids, probabilities, strict=True)
    return tuple(
        Shown(sale_id, rank, DETERMINISTIC, probability)
        for rank, (sale_id, probability) in enumerate(shown, start=1)
    )
