"""Composition root: opens all resources of a worker at start, and closes them at its end."""

import asyncio
import os
import time
from collections.abc import AsyncGenerator
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from dataclasses import dataclass, field, replace
from importlib.metadata import version
from secrets import token_hex
from socket import gethostname
from typing import Final

from app import __version__
from app.bundles.active_bundle import ActiveBundle
from app.bundles.bundle_repository import BundleRepository
from app.catalogue.bulk_writer import BulkWriter
from app.catalogue.catalogue_follower import CatalogueFollower
from app.catalogue.clock import StoreClock
from app.catalogue.model import Model
from app.catalogue.picture_labeller import PictureLabeller
from app.catalogue.sale_details import SaleDetails
from app.catalogue.sale_writer import SaleWriter
from app.catalogue.snapshot_archive import SnapshotArchive, SnapshotPruning
from app.errors import StoreUnavailableError
from app.experiments.exported_results import ExportedResults
from app.experiments.live_plan import LivePlan
from app.experiments.plan_editor import PlanEditor
from app.experiments.plan_file import PlanFile, first_plan
from app.health.background_tasks import Supervisor, TaskHealth, running
from app.health.outages import Outages
from app.health.readiness import Drain, Readiness
from app.health.store_monitor import StoreMonitor
from app.health.worker_tasks import worker_tasks
from app.observability import Metrics, get_logger
from app.promotion.answer_counter import AnswerCounter
from app.promotion.controller import PromotionController
from app.promotion.promotion_editor import PromotionEditor
from app.recommend.answer_counts import AnswerCounts
from app.recommend.degraded_log import Degradation
from app.recommend.drift import Drift
from app.recommend.explanation import Explainer
from app.recommend.exposure_queue import ExposureQueue
from app.recommend.impression_shares import ImpressionShares
from app.recommend.pipeline import Origin, RecommendationPipeline
from app.recommend.ranking import BY_POPULARITY, SlateRanker
from app.recommend.request import RankingRequest, RecommendationRequest
from app.recommend.rule_budgets import RuleBudgets
from app.recommend.shadow import Shadow
from app.security.key_ring import KeyRing
from app.settings import Settings
from app.stores.customer import CustomerStore
from app.stores.customer_state import CustomerState
from app.stores.loop_errors import LoopErrors
from app.stores.merge import MergeStore
from app.stores.store import Stores
from app.tracing import Tracer
from models.domain.customer import Window
from models.domain.profile import Profile
from models.domain.units import MS_PER_S
from models.rules.field import attribute_names
from models.slate.slate_policy import SlatePolicy, usual_exploration

SCORING_LIBRARIES: Final = ("numpy", "lightgbm")
SNAPSHOTS: Final = "snapshots"
# Chosen: a bundle may load while results of experiments are computed.
POOL_THREADS: Final = 2
ABSENT_CUSTOMER: Final = "nobody"
NS_PER_US: Final = 1_000

_log = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Worker:
    """Metrics and state of a worker process.

    Attributes:
        metrics_dir: Where the workers of this machine share their values; None for one worker.
        keys: The API keys that it accepts; None for a service without keys.
        tracer: Sends traces; None for none.
    """

    metrics: Metrics = field(default_factory=Metrics)
    metrics_dir: str | None = None
    drain: Drain = field(default_factory=Drain)
    tasks: TaskHealth = field(default_factory=TaskHealth)
    keys: KeyRing | None = None
    tracer: Tracer | None = None


@dataclass(frozen=True, slots=True)
class Resources:
    """The parts of a worker that routes use."""

    pipeline: RecommendationPipeline
    explainer: Explainer
    customers: CustomerStore
    merges: MergeStore
    live: CatalogueFollower
    sale_writer: SaleWriter
    sale_details: SaleDetails
    active_bundle: ActiveBundle
    promotion_controller: PromotionController
    readiness: Readiness
    metrics: Metrics
    metrics_dir: str | None
    write_timeout_s: float

    @property
    def plan(self) -> LivePlan:
        """The plan of experiments that answers follow."""
        return self.promotion_controller.plan

    @property
    def plan_editor(self) -> PlanEditor:
        """Changes the plan."""
        return self.promotion_controller.editor

    @property
    def results(self) -> ExportedResults | None:
        """Results of experiments; None where the settings name no exports."""
        return self.promotion_controller.results

    @property
    def promotion_editor(self) -> PromotionEditor:
        """Changes of promotions by hand."""
        return PromotionEditor(
            self.promotion_controller.store, self.plan_editor, has_exports=self.results is not None
        )

    @property
    def bulk_writer(self) -> BulkWriter:
        """Writes many sales at once."""
        return BulkWriter(self.sale_writer.sales, self.sale_writer.server, self.live)


@asynccontextmanager
async def open_resources(settings: Settings, worker: Worker) -> AsyncGenerator[Resources]:
    """Open everything for one worker; what is missing is reported, not fatal.

    Raises:
        ValueError: If the settings name no store.
    """
    if settings.redis_url is None:
        msg = "a worker needs the URL of a store; `python -m app serve` starts the embedded one"
        raise ValueError(msg)
    asyncio.get_running_loop().set_exception_handler(LoopErrors().handle)
    stores = Stores.open(
        str(settings.redis_url),
        timeout_s=settings.write_timeout_ms / MS_PER_S,
        stream_bytes=settings.stream_bytes,
    )
    try:
        wanted = ""
        try:
            wanted = (await stores.bundles.wanted()).active
        except StoreUnavailableError as exc:
            _log.warning("the settings decide which bundle answers", reason=str(exc))
        repository = BundleRepository.from_settings(settings)
        model = await asyncio.to_thread(repository.load_first, wanted)
        async with resources_over(stores, model, settings=settings, worker=worker) as resources:
            yield resources
    finally:
        await stores.server.close()


@asynccontextmanager
async def resources_over(
    stores: Stores, model: Model, *, settings: Settings, worker: Worker
) -> AsyncGenerator[Resources]:
    """Serve a model from the given stores; see `open_resources`."""
    with (
        ThreadPoolExecutor(POOL_THREADS, thread_name_prefix="aside") as pool,
        # Of its own: bundles and results take minutes, and a sold-out sale must go within seconds.
        ThreadPoolExecutor(1, thread_name_prefix="catalogue") as catalogue_pool,
        # One thread each: a second would take the processor from the answers.
        ThreadPoolExecutor(1, thread_name_prefix="labelling") as labelling_pool,
        ThreadPoolExecutor(1, thread_name_prefix="explaining") as explaining_pool,
    ):
        metrics, clock = worker.metrics, StoreClock(_machine_us)
        archive = SnapshotArchive(settings.state_dir / SNAPSHOTS)
        live = CatalogueFollower(
            stores, model, archive=archive, clock=clock, pool=catalogue_pool, metrics=metrics
        )
        promotions = _promotion_controller(stores, settings, live=live, pool=pool, metrics=metrics)
        pipeline = _pipeline(
            stores, settings, live=live, clock=clock, archive=archive, promotions=promotions
        )
        await _begin(pipeline, promotions)
        labeller = PictureLabeller(lambda: live.model, pool=labelling_pool, metrics=metrics)
        monitor = StoreMonitor(stores.server, metrics, _machine_us)
        recent = pipeline.degradation.recent
        readiness = Readiness(live, recent, worker.drain, worker.tasks, monitor, metrics)
        async with _background(pipeline, promotions, readiness, archive=archive, worker=worker):
            yield Resources(
                pipeline=pipeline,
                explainer=Explainer(explaining_pool, metrics.explanations),
                customers=stores.customers,
                merges=stores.merges,
                live=live,
                sale_writer=SaleWriter(stores.sales, stores.server, live, labeller),
                active_bundle=promotions.active,
                promotion_controller=promotions,
                sale_details=SaleDetails(stores.sales, live, clock),
                readiness=readiness,
                metrics=metrics,
                metrics_dir=worker.metrics_dir,
                write_timeout_s=settings.write_timeout_ms / MS_PER_S,
            )


def _machine_us() -> int:
    return time.time_ns() // NS_PER_US


def _promotion_controller(
    stores: Stores,
    settings: Settings,
    *,
    live: CatalogueFollower,
    pool: Executor,
    metrics: Metrics,
) -> PromotionController:
    """Open what a promotion leads: bundles, the plan of experiments, and its results."""
    active = ActiveBundle(
        name=f"{gethostname()}-{os.getpid()}",
        store=stores.bundles,
        repository=BundleRepository.from_settings(settings),
        live=live,
        pool=pool,
        metrics=metrics,
        monotonic_s=time.monotonic,
    )
    first, file = first_plan(settings.plan), PlanFile(settings.state_dir / "plan.json")
    exports = settings.exports
    return PromotionController(
        store=stores.promotions,
        active=active,
        editor=PlanEditor(
            stores.plans,
            stores.bundles,
            stores.server,
            active.repository,
            first,
            attributes=lambda: _attributes(live),
        ),
        plan=LivePlan(stores.plans, first, file=file, hold=active.hold, metrics=metrics),
        counter=AnswerCounter(),
        results=ExportedResults(exports, pool=pool) if exports else None,
        metrics=metrics,
        usual=usual_exploration(settings.explored_share),
    )


def _attributes(live: CatalogueFollower) -> frozenset[str] | None:
    return attribute_names(live.served.catalogue) if live.served else None


def _pipeline(
    stores: Stores,
    settings: Settings,
    *,
    live: CatalogueFollower,
    clock: StoreClock,
    archive: SnapshotArchive,
    promotions: PromotionController,
) -> RecommendationPipeline:
    pool, metrics, counter = promotions.active.pool, promotions.metrics, promotions.counter
    return RecommendationPipeline(
        customers=stores.customers,
        live=live,
        clock=clock,
        ranker=SlateRanker(metrics, drift=Drift(metrics.drift)),
        exposures=ExposureQueue(stores.exposures, archive, pool=pool, metrics=metrics),
        origin=Origin(
            promotions.plan,
            scoring_versions(),
            promotions.usual,
            hide_disliked_days=settings.hide_disliked_days,
        ),
        degradation=Degradation(time.monotonic),
        shadow=Shadow(live, pool=pool, metrics=metrics.shadow, counter=counter),
        counts=AnswerCounts(metrics, counter),
        budgets=RuleBudgets(
            stores.spending,
            worker=promotions.active.name,
            rules=lambda: promotions.plan.current.plan.rules,
        ),
        shares=ImpressionShares(metrics.rules),
        deadline_s=settings.deadline_ms / MS_PER_S,
        read_timeout_s=settings.read_timeout_ms / MS_PER_S,
        new_id=lambda: token_hex(16),
    )


async def _begin(pipeline: RecommendationPipeline, promotions: PromotionController) -> None:
    """Read catalogue, plan and bundles before the first answer, and compute one."""
    live = pipeline.live
    try:
        await live.refresh()
    except (StoreUnavailableError, ValueError) as exc:
        await live.fall_back()
        _log.error(
            "no catalogue from the store: not ready, and answers come from the last one saved here;"
            " start the store or correct VITRINE_REDIS_URL, it is tried again all the time",
            reason=str(exc),
        )
    # Before the first answer: a variant whose bundle is not loaded yet would be answered by
    # the default, and a starting worker would count against the canary that it joins.
    await promotions.plan.begin()
    with suppress(StoreUnavailableError):
        await promotions.active.poll()
        # A store that restarted then knows the script before the first request.
        _ = await pipeline.customers.read(ABSENT_CUSTOMER)
    # An anonymous visitor pays for what libraries initialise at their first use, and no customer.
    now_us, ranker = pipeline.clock.now_us(), replace(pipeline.ranker, drift=None)
    anonymous = CustomerState(now_us, Window.empty(), Profile.empty())
    for policy in (SlatePolicy(), BY_POPULARITY):
        ranker.rank(RankingRequest(RecommendationRequest(), anonymous, live.served, policy))


def _background(
    pipeline: RecommendationPipeline,
    promotions: PromotionController,
    readiness: Readiness,
    *,
    archive: SnapshotArchive,
    worker: Worker,
) -> AbstractAsyncContextManager[None]:
    tasks = worker_tasks(
        live=pipeline.live,
        promotions=promotions,
        readiness=readiness,
        exposures=pipeline.exposures,
        budgets=pipeline.budgets,
        pruning=SnapshotPruning(archive, _machine_us),
        keys=worker.keys,
        tracer=worker.tracer,
    )
    metrics = worker.metrics
    supervisor = Supervisor(worker.tasks, Outages(metrics), metrics, worker.drain.fail)
    return running(tasks, supervisor, drain=pipeline.exposures.drain)


def scoring_versions() -> tuple[tuple[str, str], ...]:
    """Return the versions of this software and of the libraries that scores depend on."""
    libraries = tuple((name, version(name)) for name in SCORING_LIBRARIES)
    return (("vitrine", __version__), *libraries)
