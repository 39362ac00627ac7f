"""Promotion controller: leads a candidate from shadow through its experiments to all customers.

Every worker watches the store and counts answers. The one worker that holds the lease decides by
the rules of the stage, and acts: it sets plan and bundles to what the stage requires.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from app.bundles.active_bundle import ActiveBundle
from app.errors import (
    BundleRefusedError,
    PlanChangedError,
    PlanRefusedError,
    UnknownBundleError,
)
from app.experiments.exported_results import ExportedResults
from app.experiments.live_plan import LivePlan
from app.experiments.plan_editor import ChangeAuthor, PlanEditor
from app.observability import Metrics, get_logger
from app.promotion.answer_counter import AnswerCounter
from app.stores.promotion import CountBatch, PromotionStore, StoredPromotion
from models.dataset.faults import DatasetError
from models.experiments.analysis.interleaving import InterleavingResults
from models.experiments.analysis.results import Results
from models.experiments.exposure import ExposureError
from models.experiments.plan.experiment import Experiment, Kind, Unit
from models.experiments.plan.plan import Plan
from models.promotion.canary_plan import with_canary, with_ends, with_interleaving
from models.promotion.check import Finding
from models.promotion.promotion import Evidence, Promotion, Stage
from models.slate.slate_policy import PlackettLuce

# Ten polls; chosen, not measured. A deciding worker that dies is replaced after this time.
LEASE_S: Final = 5.0
# Chosen, not measured: a worker that takes longer for a step hangs, and another one decides.
LONGEST_STEP_S: Final = 300.0

_UNSEEN: Final = frozenset({Stage.SHADOW, Stage.ESTIMATE})

_log = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class _StageResults:
    canary: Results | None = None
    interleaved: InterleavingResults | None = None
    why_none: str = "this worker has no exports, or the experiment does not run"


@dataclass(slots=True)
class PromotionController:
    """Follows the latest promotion, and leads it while this worker holds the lease."""

    store: PromotionStore
    active: ActiveBundle
    editor: PlanEditor
    plan: LivePlan
    counter: AnswerCounter
    results: ExportedResults | None  # a worker without exports never takes the lease
    metrics: Metrics
    usual: PlackettLuce | None  # exploration of policies that do not say theirs
    _current: StoredPromotion | None = None
    _unreadable: int | None = None
    _unsent: CountBatch | None = None

    async def follow(self) -> None:
        """Poll once, as a background task; a plan that could not be changed is logged.

        Raises:
            StoreUnavailableError: See `poll`.
        """
        try:
            await self.poll()
        except (PlanChangedError, PlanRefusedError) as exc:
            _log.warning("the plan was not changed for the promotion, retrying", reason=str(exc))

    async def poll(self) -> None:
        """Watch the store and report counts; with the lease, decide or act.

        Raises:
            StoreUnavailableError: If the store cannot be read; the next poll continues.
            PlanChangedError: If others keep changing the plan; the next poll continues.
            PlanRefusedError: If a plan without the canary is refused.
        """
        await self._watch()
        # An unacknowledged batch goes again under its own id: the store adds it once.
        self._unsent = self._unsent or self.counter.take(self.active.name)
        if self._unsent is not None:
            await self.store.count(self._unsent)
            self._unsent = None
        stored = self._current
        if stored is None or (stored.promotion.is_over and stored.promotion.is_settled):
            return
        if self.results is None:
            return
        # Held while the results are computed, which may take longer than a lease.
        async with self.store.leading(
            self.active.name, ttl_s=LEASE_S, longest_s=LONGEST_STEP_S
        ) as is_leading:
            if is_leading:
                await self._lead(stored)

    async def _lead(self, stored: StoredPromotion) -> None:
        # Other tasks publish plan and bundles again in an emptied store: wait for them.
        is_plan_lost = self.plan.current.version and not await self.editor.plans.version()
        if is_plan_lost or not (await self.active.store.wanted()).active:
            return
        if not stored.promotion.is_settled:
            await self._act(stored)
            return
        now = await self.editor.server.now()
        evidence = await self._evidence(stored.promotion, now)
        step = stored.promotion.stepped(evidence, now=now, who=self.active.name)
        if step is not None:
            await self._put(stored, step)

    async def findings(self, promotion: Promotion) -> tuple[Finding, ...]:
        """Check a promotion against the rules of its stage, with this worker's evidence."""
        if promotion.is_over:
            return ()
        now = await self.editor.server.now()
        return promotion.findings(await self._evidence(promotion, now), now)

    # Watch: every worker, at every poll.

    async def _watch(self) -> None:
        version = await self.store.version()
        if version in {self._current.version if self._current else 0, self._unreadable}:
            return
        if version == 0 and self._current is not None:
            # An emptied store. The counts of the promotion are lost and start at 0.
            _log.warning("store was emptied; re-publishing the promotion")
            known = self._current
            promotion = known.promotion if known.promotion.is_over else known.promotion.unsettled()
            again = StoredPromotion(known.version, promotion)
            # Compare-and-set against the absent version: one worker publishes it.
            if await self.store.change(again, before=0):
                self._current = again
            return
        try:
            self._current = await self.store.read()
        except ValueError as exc:
            self._unreadable = version
            _log.error("the promotion in the store is ignored: unreadable", reason=str(exc))
            return
        self.counter.follow(self._current.promotion if self._current else None)

    # Decide: the worker with the lease, while plan and bundles are as the stage requires.

    async def _evidence(self, promotion: Promotion, now: datetime) -> Evidence:
        """Collect what the rules of a running promotion judge."""
        wanted = await self.active.store.wanted()
        reports = await self.active.store.reports()
        default, known = self.plan.current.plan.default, _StageResults()
        unloaded = ""
        if promotion.stage in _UNSEEN:
            # Another machine may hold the bundle that this one lacks.
            if all(report.shadow != promotion.candidate for report in reports):
                unloaded = self.active.refusal(promotion.candidate)
            undone = "" if wanted.shadow == promotion.candidate else "its shadow was ended by hand"
        else:
            plan = (await self.editor.current()).plan
            running = _running(plan, promotion.stage_experiment, at=now)
            undone = "" if running else "its experiment was ended by hand"
            if running is not None:
                unit = next(layer.unit for layer in plan.layers if layer.name == running.layer)
                known = await self._results(running, unit)
        return Evidence(
            serving=wanted.active,
            counts=await self.store.counts(promotion.number),
            n_without=sum(report.shadow != promotion.candidate for report in reports),
            drawn_share=default.exploring(self.usual).drawn_share,
            undone=undone if promotion.is_settled else "",
            unloaded=unloaded,
            results=known.canary,
            interleaved=known.interleaved,
            why_none=known.why_none,
        )

    async def _results(self, running: Experiment, unit: Unit) -> _StageResults:
        if self.results is None:
            return _StageResults()
        try:
            if running.kind is Kind.INTERLEAVING:
                found = await self.results.for_interleaving(running, unit)
                return _StageResults(interleaved=found)
            return _StageResults(canary=await self.results.for_experiment(running, unit))
        except (DatasetError, ExposureError) as exc:
            return _StageResults(why_none=str(exc))

    # Act: the worker with the lease. Each action may be repeated and then changes nothing, so that
    # another worker can finish what a dead one began; `is_settled` records that all is done.

    async def _act(self, stored: StoredPromotion) -> None:
        promotion = stored.promotion
        try:
            await self._set_stage(promotion)
        except (BundleRefusedError, UnknownBundleError, PlanRefusedError) as exc:
            if promotion.stage is Stage.STOPPED:
                raise  # it cannot be stopped again: the next poll goes on
            has_no_room = promotion.stage is Stage.INTERLEAVING and isinstance(
                exc, PlanRefusedError
            )
            # The canary can judge alone, and stops a plan that has no room for it either.
            follow = promotion.without_interleaving if has_no_room else promotion.stopped
            now = await self.editor.server.now()
            await self._put(stored, follow(str(exc), at=now, who=self.active.name))
        else:
            await self._put(stored, promotion.settled())

    async def _put(self, before: StoredPromotion, promotion: Promotion) -> None:
        """Replace the stored promotion by compare-and-set of its version, and act on a step."""
        after = StoredPromotion(before.version + 1, promotion)
        if not await self.store.change(after, before=before.version, promoter=self.active.name):
            return  # another worker changed it first: the next poll reads it
        self._current = after
        self.counter.follow(promotion)
        if promotion.is_settled:
            return
        last = promotion.decisions[-1]
        self.metrics.promotions.labels(promotion.stage).inc()
        _log.warning(
            "promotion changed its stage",
            promotion=promotion.number,
            bundle=promotion.candidate,
            stage=last.stage,
            share_bp=last.share_bp,
            reason=last.reason,
        )
        await self._act(after)

    async def _set_stage(self, promotion: Promotion) -> None:
        if promotion.stage in _UNSEEN:
            await self._set_shadow(promotion, is_wanted=True)
            return
        author = ChangeAuthor(f"promotion {promotion.number}, {self.active.name}")
        if promotion.stage is Stage.INTERLEAVING:
            doing = f"share slates of {promotion.share_bp} bp with bundle {promotion.candidate}"
            await self.editor.change(
                doing, lambda plan, now: with_interleaving(plan, promotion, now=now), author=author
            )
            await self.plan.poll()
        elif promotion.stage is Stage.CANARY:
            doing = f"show bundle {promotion.candidate} to {promotion.share_bp} bp"
            await self.editor.change(
                doing,
                lambda plan, now: with_canary(
                    plan, promotion, share_bp=promotion.share_bp, now=now
                ),
                author=author,
            )
            await self.plan.poll()
        else:
            if promotion.stage is Stage.FULL:
                await self.active.activate(promotion.candidate)
            now, plan = await self.editor.server.now(), (await self.editor.current()).plan
            if any(_running(plan, name, at=now) for name in promotion.experiments):
                doing = f"end the experiments of promotion {promotion.number}"
                await self.editor.change(
                    doing, lambda plan, now: with_ends(plan, promotion, now=now), author=author
                )
                await self.plan.poll()
        # Last, so that the canary's catalogue is there before the shadow's goes.
        await self._set_shadow(promotion, is_wanted=False)

    async def _set_shadow(self, promotion: Promotion, *, is_wanted: bool) -> None:
        shadow = (await self.active.store.wanted()).shadow
        if is_wanted is not (shadow == promotion.candidate):
            await self.active.shadow_by(promotion.candidate if is_wanted else "")


def _running(plan: Plan, name: str | None, *, at: datetime) -> Experiment | None:
    """Return an experiment of a promotion, None if it does not run at a time."""
    found = (one for one in plan.experiments if one.name == name)
    return next((one for one in found if one.runs_at(at)), None)
