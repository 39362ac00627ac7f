"""Plan and bundles as the stage of a promotion wants them."""

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from app.bundles.active_bundle import ActiveBundle
from app.experiments.live_plan import LivePlan
from app.experiments.plan_editor import Order, PlanEditor
from models.experiments.plan.experiment import Experiment
from models.experiments.plan.plan import Plan
from models.promotion.canary_plan import with_canary
from models.promotion.promotion import Promotion, Stage

_UNSEEN: Final = frozenset({Stage.SHADOW, Stage.ESTIMATE})


@dataclass(frozen=True, slots=True)
class Staging:
    """Tells the store what a stage wants, and sees what somebody took back.

    Attributes:
        holder: Activates and shadows bundles.
        editor: Changes the plan.
        live: The plan as this worker knows it.
    """

    holder: ActiveBundle
    editor: PlanEditor
    live: LivePlan

    async def is_whole(self) -> bool:
        """Tell whether the store knows plan and bundles; emptied, it is told again first."""
        if self.live.current.version and not await self.editor.plans.version():
            return False
        return bool((await self.holder.store.wanted()).active)

    async def set(self, promotion: Promotion, who: str) -> None:
        """Have plan and bundles be what the stage wants; to repeat it changes nothing.

        Raises:
            BundleRefusedError: If the candidate must not be served.
            UnknownBundleError: If this machine lacks it.
            PlanRefusedError: If the plan cannot hold the canary.
            PlanChangedError: If the plan changes all the time: try again.
        """
        if promotion.stage in _UNSEEN:
            await self._shadow(promotion, is_wanted=True)
            return
        order = Order(f"promotion {promotion.number}, {who}")
        if promotion.stage is Stage.CANARY:
            await self._canary(promotion, order)
        else:
            if promotion.stage is Stage.FULL:
                await self.holder.activate(promotion.candidate)
            await self._end_canary(promotion, order)
        # Last, so that the canary's catalogue is there before the shadow's goes.
        await self._shadow(promotion, is_wanted=False)

    async def undone(self, promotion: Promotion, now: datetime) -> str:
        """Say what of the stage somebody took back by hand; empty for nothing."""
        if promotion.stage in _UNSEEN:
            shadow = (await self.holder.store.wanted()).shadow
            return "" if shadow == promotion.candidate else "its shadow was ended by hand"
        experiment = running(await self._plan(), promotion, now=now)
        return "" if experiment else "its experiment was ended by hand"

    async def _plan(self) -> Plan:
        return (await self.editor.current()).plan

    async def _canary(self, promotion: Promotion, order: Order) -> None:
        def edit(plan: Plan, now: datetime) -> Plan:
            return with_canary(plan, promotion, share_bp=promotion.share_bp, now=now)

        doing = f"show bundle {promotion.candidate} to {promotion.share_bp} bp"
        await self.editor.change(doing, edit, order=order)
        await self.live.poll()

    async def _end_canary(self, promotion: Promotion, order: Order) -> None:
        if running(await self._plan(), promotion, now=promotion.since):
            await self.editor.end_experiment(promotion.experiment, order)
            await self.live.poll()

    async def _shadow(self, promotion: Promotion, *, is_wanted: bool) -> None:
        shadow = (await self.holder.store.wanted()).shadow
        if is_wanted is not (shadow == promotion.candidate):
            await self.holder.shadow_by(promotion.candidate if is_wanted else "")


def running(plan: Plan, promotion: Promotion, *, now: datetime) -> Experiment | None:
    """Return the experiment of a promotion's canary, None where it does not run."""
    found = (one for one in plan.experiments if one.name == promotion.experiment)
    return next((one for one in found if one.runs_at(now)), None)
