"""Leads the promotion that runs from stage to stage; one worker at a time decides."""

from dataclasses import dataclass
from datetime import datetime
from secrets import token_hex
from typing import Final

from app.errors import (
    BundleRefusedError,
    PlanChangedError,
    PlanRefusedError,
    UnknownBundleError,
)
from app.experiments.exported_results import ExportedResults
from app.observability import Metrics, get_logger
from app.promotion.promotion_tally import PromotionTally
from app.promotion.staging import Staging, running
from app.stores.promotion import CountBatch, PromotionStore, StoredPromotion
from app.stores.server import StoreServer
from models.dataset.faults import DatasetError
from models.domain.event import from_us
from models.experiments.analysis.results import Results
from models.experiments.exposure import ExposureError
from models.promotion.check import Finding
from models.promotion.promotion import Evidence, Promotion, Stage

LEASE_S: Final = 5.0

_log = get_logger(__name__)


@dataclass(slots=True)
class Promoter:
    """Follows the store; counts for it; and where this worker holds the lease, decides.

    Attributes:
        name: Of this worker.
        store: Keeps the promotion.
        staging: Makes plan and bundles what a stage wants.
        tally: What this worker counted.
        results: What came of the canary. A worker without exports leads no promotion.
        server: Its clock dates the decisions.
        metrics: Count the decisions.
    """

    name: str
    store: PromotionStore
    staging: Staging
    tally: PromotionTally
    results: ExportedResults | None
    server: StoreServer
    metrics: Metrics
    _current: StoredPromotion | None = None
    _refused: int | None = None
    _unsaid: CountBatch | None = None

    async def follow(self) -> None:
        """Poll once, as a background task; a plan that does not follow yet is logged.

        Raises:
            StoreUnavailableError: See `poll`.
        """
        try:
            await self.poll()
        except (PlanChangedError, PlanRefusedError) as exc:
            _log.warning("the plan does not follow the promotion yet", reason=str(exc))

    async def poll(self) -> None:
        """Follow the store, tell it what was counted, and take a step where one is due.

        Raises:
            StoreUnavailableError: If the store cannot be read; the next poll goes on.
            PlanChangedError: If the plan changes all the time; the next poll goes on.
            PlanRefusedError: If a plan without the canary is refused.
        """
        await self._follow()
        await self._tell()
        stored = self._current
        if stored is None or (stored.promotion.is_over and stored.promotion.is_settled):
            return
        if self.results is None or not await self.store.lease(self.name, ttl_s=LEASE_S):
            return
        if not await self.staging.is_whole():
            return
        if stored.promotion.is_settled:
            await self._decide(stored)
        else:
            await self._settle(stored)

    async def findings(self, promotion: Promotion) -> tuple[Finding, ...]:
        """Hold a promotion against its rules as this worker sees it now."""
        if promotion.is_over:
            return ()
        now = await self._now()
        return promotion.findings(await self._evidence(promotion, now), now)

    async def _follow(self) -> None:
        version = await self.store.version()
        known = self._current.version if self._current else 0
        if version in {known, self._refused}:
            return
        if version == 0 and self._current is not None:
            await self._restore(self._current)
            return
        try:
            self._current = await self.store.read()
        except ValueError as exc:
            self._refused = version
            _log.error("the promotion is not followed", reason=str(exc))
            return
        self.tally.follow(self._current.promotion if self._current else None)

    async def _restore(self, known: StoredPromotion) -> None:
        """Tell an emptied store; what was counted is lost, and counting begins anew."""
        _log.warning("the store was emptied; it is told the promotion again")
        promotion = known.promotion if known.promotion.is_over else known.promotion.unsettled()
        again = StoredPromotion(known.version, promotion)
        if await self.store.change(again, before=0):
            self._current = again

    async def _tell(self) -> None:
        if self._unsaid is None:
            taken = self.tally.take()
            if taken is None:
                return
            self._unsaid = CountBatch(*taken, worker=self.name, batch_id=token_hex(8))
        await self.store.count(self._unsaid)
        self._unsaid = None

    async def _settle(self, stored: StoredPromotion) -> None:
        promotion = stored.promotion
        try:
            await self.staging.set(promotion, self.name)
        except (BundleRefusedError, UnknownBundleError, PlanRefusedError) as exc:
            if promotion.stage is Stage.STOPPED:
                raise
            stopped = promotion.stopped(str(exc), at=await self._now(), who=self.name)
            await self._put(stored, stopped)
        else:
            await self._put(stored, promotion.settled())

    async def _decide(self, stored: StoredPromotion) -> None:
        now = await self._now()
        evidence = await self._evidence(stored.promotion, now)
        step = stored.promotion.stepped(evidence, now=now, who=self.name)
        if step is not None:
            await self._put(stored, step)

    async def _put(self, before: StoredPromotion, promotion: Promotion) -> None:
        after = StoredPromotion(before.version + 1, promotion)
        if not await self.store.change(after, before=before.version, promoter=self.name):
            return  # somebody else was quicker: it is followed at the next poll
        self._current = after
        self.tally.follow(promotion)
        if promotion.is_settled:
            return
        last = promotion.decisions[-1]
        self.metrics.promotions.labels(promotion.stage).inc()
        _log.warning(
            "a promotion moves",
            promotion=promotion.number,
            bundle=promotion.candidate,
            stage=last.stage,
            share_bp=last.share_bp,
            reason=last.reason,
        )
        await self._settle(after)

    async def _evidence(self, promotion: Promotion, now: datetime) -> Evidence:
        wanted = await self.staging.holder.store.wanted()
        reports = await self.staging.holder.store.reports()
        results, why_none = None, ""
        if promotion.stage is Stage.CANARY:
            results, why_none = await self._results(promotion, now)
        return Evidence(
            serving=wanted.active,
            counts=await self.store.counts(promotion.number),
            n_without=sum(report.shadow != promotion.candidate for report in reports),
            explores=self.staging.live.current.plan.default.exploration is not None,
            undone=await self.staging.undone(promotion, now) if promotion.is_settled else "",
            results=results,
            why_none=why_none,
        )

    async def _results(self, promotion: Promotion, now: datetime) -> tuple[Results | None, str]:
        plan = (await self.staging.editor.current()).plan
        experiment = running(plan, promotion, now=now)
        if self.results is None or experiment is None:
            return None, "this worker has no exports, or the experiment does not run"
        unit = next(layer.unit for layer in plan.layers if layer.name == experiment.layer)
        rules = promotion.rules.canary.results
        try:
            return await self.results.of(experiment, unit, rules=rules), ""
        except (DatasetError, ExposureError) as exc:
            return None, str(exc)

    async def _now(self) -> datetime:
        return from_us(await self.server.time_us())
