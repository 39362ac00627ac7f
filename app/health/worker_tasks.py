"""The background tasks of a worker: names, rounds, and pauses between them."""

from typing import Final

from app.catalogue.catalogue_follower import CatalogueFollower
from app.catalogue.pause_detector import BEAT_EVERY_S
from app.catalogue.snapshot_archive import SnapshotPruning
from app.health.background_tasks import BackgroundTask
from app.health.readiness import Readiness
from app.promotion.controller import PromotionController
from app.recommend.exposure_queue import ExposureQueue
from app.recommend.rule_budgets import RuleBudgets
from app.security.key_ring import LOOK_EVERY_S, KeyRing
from app.tracing import Tracer

# A quarter of the second within which a changed sale is recommended.
CATALOGUE_EVERY_S: Final = 0.25

# Chosen: ten minutes to load bundles and recompute their golden rows, or to read exports.
LOADING_WITHIN_S: Final = 600.0


def worker_tasks(
    *,
    live: CatalogueFollower,
    promotions: PromotionController,
    readiness: Readiness,
    exposures: ExposureQueue,
    budgets: RuleBudgets,
    pruning: SnapshotPruning,
    keys: KeyRing | None,
    tracer: Tracer | None,
) -> tuple[BackgroundTask, ...]:
    """Return the background tasks; docs/metrics.md lists the same names."""
    of_keys = () if keys is None else (BackgroundTask("keys", keys.follow, every_s=LOOK_EVERY_S),)
    of_traces = () if tracer is None else (BackgroundTask("traces", tracer.send, every_s=1.0),)
    return (
        *of_keys,
        *of_traces,
        BackgroundTask("pulse", live.beat, every_s=BEAT_EVERY_S),
        BackgroundTask("catalogue", live.follow, every_s=CATALOGUE_EVERY_S),
        BackgroundTask("plan", promotions.plan.follow, every_s=0.5),
        BackgroundTask(
            "model_holder", promotions.active.follow, every_s=0.25, within_s=LOADING_WITHIN_S
        ),
        BackgroundTask("promoter", promotions.follow, every_s=0.5, within_s=LOADING_WITHIN_S),
        BackgroundTask("store_monitor", readiness.monitor.check, every_s=10.0),
        BackgroundTask("readiness", readiness.measure, every_s=1.0),
        BackgroundTask("exposure_queue", exposures.log_batch, every_s=0.0),
        BackgroundTask("rule_budgets", budgets.follow, every_s=1.0),
        BackgroundTask("pruning", pruning.prune, every_s=3_600.0),
    )
