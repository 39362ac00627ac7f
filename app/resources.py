"""Composition root: opens all resources of a worker at start, and closes them at its end."""

import asyncio
import os
import time
from collections.abc import AsyncGenerator, Generator
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass, field, replace
from importlib.metadata import version
from socket import gethostname
from typing import Final
from uuid import uuid4

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
from app.recommend.degradation import Degradation
from app.recommend.drift import Drift
from app.recommend.explanation import Explainer
from app.recommend.exposure_queue import ExposureQueue
from app.recommend.pipeline import Origin, Recommender
from app.recommend.ranking import BY_POPULARITY, SlateRanker
from app.recommend.request import RankingRequest, RecommendationRequest
from app.recommend.shadow import Shadow
from app.settings import Settings
from app.stores.customer import CustomerState, CustomerStore
from app.stores.store import Stores
from models.domain.customer import Window
from models.domain.profile import Profile
from models.experiments.analysis.attribution import Rules
from models.slate.slate_policy import SlatePolicy

SCORING_LIBRARIES: Final = ("numpy", "lightgbm")
SNAPSHOTS: Final = "snapshots"
POOL_THREADS: Final = 2
MS_PER_S: Final = 1_000
ABSENT_CUSTOMER: Final = "nobody"
"""Read at start: a store that restarted then knows the script before the first request."""
NS_PER_US: Final = 1_000

_log = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Worker:
    """Metrics and state of a worker process.

    Attributes:
        metrics: Its metrics.
        metrics_dir: Where the workers of this machine share their values; None for one worker.
        drain: Set when it is about to stop.
        tasks: Health of its background tasks.
    """

    metrics: Metrics = field(default_factory=Metrics.create)
    metrics_dir: str | None = None
    drain: Drain = field(default_factory=Drain)
    tasks: TaskHealth = field(default_factory=TaskHealth)


@dataclass(frozen=True, slots=True)
class Resources:
    """The parts of a worker that routes use.

    Attributes:
        recommender: Makes the slates.
        explainer: Explains them.
        customers: Stores events and erases customers.
        live: Follows the catalogue.
        sale_writer: Writes sales and pictures.
        sale_details: Reads them.
        active_bundle: Loads and activates bundles.
        promotion_controller: Leads promotions.
        readiness: Reports what is missing.
        metrics: Of this worker.
        metrics_dir: See `Worker`.
        write_timeout_s: After this a batch of events is given up.
    """

    recommender: Recommender
    explainer: Explainer
    customers: CustomerStore
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
        return BulkWriter(self.sale_writer.sales, self.sale_writer.server)


@asynccontextmanager
async def open_resources(settings: Settings, worker: Worker) -> AsyncGenerator[Resources]:
    """Open everything for one worker; what is missing is reported, not fatal.

    Raises:
        ValueError: If the settings name no store.
    """
    if settings.redis_url is None:
        msg = "a worker needs the URL of a store; `python -m app serve` starts the embedded one"
        raise ValueError(msg)
    stores = Stores.open(
        str(settings.redis_url),
        timeout_s=settings.write_timeout_ms / MS_PER_S,
        stream_bytes=settings.stream_bytes,
    )
    try:
        model = await _first_model(stores, settings)
        async with resources_over(stores, model, settings=settings, worker=worker) as resources:
            yield resources
    finally:
        await stores.server.close()


@asynccontextmanager
async def resources_over(
    stores: Stores, model: Model, *, settings: Settings, worker: Worker
) -> AsyncGenerator[Resources]:
    """Serve a model from the given stores; see `open_resources`."""
    with _pools() as (pool, labelling_pool, explaining_pool):
        metrics = worker.metrics
        clock = StoreClock(_machine_us)
        archive = SnapshotArchive(settings.state_dir / SNAPSHOTS)
        live = CatalogueFollower(
            stores, model, archive=archive, clock=clock, pool=pool, metrics=metrics
        )
        active = _active_bundle(stores, live, settings=settings, pool=pool, metrics=metrics)
        plan, editor = _plan(stores, active, settings, metrics)
        results = _results(settings, pool)
        promotions = _promotions(stores, active, plan, editor=editor, results=results)
        recommender = _recommender(
            stores,
            settings,
            live=live,
            clock=clock,
            ranker=SlateRanker(metrics, drift=Drift(metrics.drift)),
            exposures=ExposureQueue(stores.exposures, archive, pool=pool, metrics=metrics),
            origin=Origin(plan, scoring_versions()),
            shadow=Shadow(live, pool=pool, metrics=metrics.shadow, counter=promotions.counter),
            counts=AnswerCounts(metrics, promotions.counter),
        )
        await _begin(plan, live, active, stores.customers, recommender=recommender)
        readiness = _readiness(stores, recommender, worker)
        async with _background(recommender, promotions, readiness, archive=archive, worker=worker):
            yield Resources(
                recommender=recommender,
                explainer=Explainer(explaining_pool, metrics.explanations),
                customers=stores.customers,
                live=live,
                sale_writer=_sale_writer(stores, live, pool=labelling_pool, metrics=metrics),
                active_bundle=active,
                promotion_controller=promotions,
                sale_details=SaleDetails(stores.sales, live, clock),
                readiness=readiness,
                metrics=metrics,
                metrics_dir=worker.metrics_dir,
                write_timeout_s=settings.write_timeout_ms / MS_PER_S,
            )


def _readiness(stores: Stores, recommender: Recommender, worker: Worker) -> Readiness:
    monitor = StoreMonitor(stores.server, worker.metrics, _machine_us)
    live, recent = recommender.live, recommender.degradation.recent
    return Readiness(live, recent, worker.drain, worker.tasks, monitor, worker.metrics)


def _background(
    recommender: Recommender,
    promotions: PromotionController,
    readiness: Readiness,
    *,
    archive: SnapshotArchive,
    worker: Worker,
) -> AbstractAsyncContextManager[None]:
    metrics = worker.metrics
    tasks = worker_tasks(
        live=recommender.live,
        promotions=promotions,
        readiness=readiness,
        exposures=recommender.exposures,
        pruning=SnapshotPruning(archive, _machine_us),
    )
    supervisor = Supervisor(worker.tasks, Outages(metrics), metrics, worker.drain.fail)
    return running(tasks, supervisor, drain=recommender.exposures.drain)


def _machine_us() -> int:
    return time.time_ns() // NS_PER_US


@contextmanager
def _pools() -> Generator[tuple[Executor, Executor, Executor]]:
    """Open one pool for background work, and a thread each to label and to explain."""
    with (
        ThreadPoolExecutor(POOL_THREADS, thread_name_prefix="aside") as aside,
        ThreadPoolExecutor(1, thread_name_prefix="labelling") as labelling,
        ThreadPoolExecutor(1, thread_name_prefix="explaining") as explaining,
    ):
        yield aside, labelling, explaining


def _plan(
    stores: Stores, active: ActiveBundle, settings: Settings, metrics: Metrics
) -> tuple[LivePlan, PlanEditor]:
    first, file = first_plan(settings.plan), PlanFile(settings.state_dir / "plan.json")
    live = LivePlan(stores.plans, first, file=file, hold=active.hold, metrics=metrics)
    repository = _repository(settings)
    return live, PlanEditor(stores.plans, stores.bundles, stores.server, repository, first)


def _promotions(
    stores: Stores,
    active: ActiveBundle,
    plan: LivePlan,
    *,
    editor: PlanEditor,
    results: ExportedResults | None,
) -> PromotionController:
    return PromotionController(
        store=stores.promotions,
        active=active,
        editor=editor,
        plan=plan,
        counter=AnswerCounter(),
        results=results,
        metrics=active.metrics,
    )


def _results(settings: Settings, pool: Executor) -> ExportedResults | None:
    if settings.exports is None:
        return None
    return ExportedResults(settings.exports, rules=Rules(), pool=pool)


def _recommender(
    stores: Stores,
    settings: Settings,
    *,
    live: CatalogueFollower,
    clock: StoreClock,
    ranker: SlateRanker,
    exposures: ExposureQueue,
    origin: Origin,
    shadow: Shadow,
    counts: AnswerCounts,
) -> Recommender:
    return Recommender(
        customers=stores.customers,
        live=live,
        clock=clock,
        ranker=ranker,
        exposures=exposures,
        origin=origin,
        degradation=Degradation(time.monotonic),
        shadow=shadow,
        counts=counts,
        deadline_s=settings.deadline_ms / MS_PER_S,
        read_timeout_s=settings.read_timeout_ms / MS_PER_S,
        new_id=lambda: uuid4().hex,
    )


def _sale_writer(
    stores: Stores, live: CatalogueFollower, *, pool: Executor, metrics: Metrics
) -> SaleWriter:
    labeller = PictureLabeller(lambda: live.model, pool=pool, metrics=metrics)
    return SaleWriter(stores.sales, stores.server, live, labeller)


def _active_bundle(
    stores: Stores,
    live: CatalogueFollower,
    *,
    settings: Settings,
    pool: Executor,
    metrics: Metrics,
) -> ActiveBundle:
    return ActiveBundle(
        name=f"{gethostname()}-{os.getpid()}",
        store=stores.bundles,
        repository=_repository(settings),
        live=live,
        pool=pool,
        metrics=metrics,
        monotonic_s=time.monotonic,
    )


async def _first_model(stores: Stores, settings: Settings) -> Model:
    try:
        wanted = (await stores.bundles.wanted()).active
    except StoreUnavailableError as exc:
        _log.warning("the settings decide which bundle answers", reason=str(exc))
        wanted = ""
    return await asyncio.to_thread(_repository(settings).load_first, wanted)


def _repository(settings: Settings) -> BundleRepository:
    return BundleRepository(settings.bundles, settings.bundle)


def _warm_up(ranker: SlateRanker, live: CatalogueFollower, now_us: int) -> None:
    """Rank for an anonymous visitor, so that no customer waits for lazy initialisation."""
    ranker = replace(ranker, drift=None)
    anonymous = CustomerState(now_us, Window.empty(), Profile.empty())
    for policy in (SlatePolicy(), BY_POPULARITY):
        ranker.rank(RankingRequest(RecommendationRequest(), anonymous, live.served, policy))


async def _begin(
    plan: LivePlan,
    live: CatalogueFollower,
    active: ActiveBundle,
    customers: CustomerStore,
    *,
    recommender: Recommender,
) -> None:
    await _first_catalogue(live)
    # Before the first answer: a variant whose bundle is not loaded yet would be answered by
    # the default, and a starting worker would count against the canary that it joins.
    await plan.begin()
    with suppress(StoreUnavailableError):
        await active.poll()
        _ = await customers.read(ABSENT_CUSTOMER)
    _warm_up(recommender.ranker, live, recommender.clock.now_us())


async def _first_catalogue(live: CatalogueFollower) -> None:
    try:
        await live.refresh()
    except (StoreUnavailableError, ValueError) as exc:
        await live.fall_back()
        _log.error(
            "no catalogue from the store: not ready, and answers come from the last one saved here;"
            " start the store or correct VITRINE_REDIS_URL, it is tried again all the time",
            reason=str(exc),
        )


def scoring_versions() -> tuple[tuple[str, str], ...]:
    """Return the versions of this software and of the libraries that scores depend on."""
    libraries = tuple((name, version(name)) for name in SCORING_LIBRARIES)
    return (("vitrine", __version__), *libraries)
