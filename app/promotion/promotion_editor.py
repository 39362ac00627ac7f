"""Promotion editor: manual changes, which begin or stop a promotion or submit an estimate.

The store takes each change by compare-and-set of its version; `PromotionController` acts on it.
"""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from app.catalogue.model import Model
from app.errors import (
    BundleRefusedError,
    NoResultsError,
    PlanRefusedError,
    PromotionRefusedError,
    PromotionSparedError,
    UnknownBundleError,
    UnknownPromotionError,
)
from app.experiments.plan_editor import THE_PLAN, PlanEditor
from app.stores.promotion import KEPT_PROMOTIONS, PromotionStore, StoredPromotion
from models.domain.errors import reason_for
from models.promotion.canary_plan import with_canary
from models.promotion.estimate import OffPolicyEstimate
from models.promotion.promotion import Promotion, Stage
from models.promotion.rule import PromotionRules
from models.ranker.objective import TrainingObjective
from models.scoring.bundle import BundleError

CLICK: Final = TrainingObjective.CLICK
ATTEMPTS: Final = 3  # lost races before a change is given up; chosen, not measured

# The night takes the bundle of most answers of the last hour for the one that serves.
KNOWN_AFTER: Final = timedelta(hours=1)

NO_EXPORTS: Final = (
    "a canary is judged by what was sold: set VITRINE_EXPORTS to the folder that"
    " `python -m app export-events` writes on this machine"
)


@dataclass(frozen=True, slots=True)
class PromotionEditor:
    """Writes changes into the store; the deciding worker acts on them within two seconds."""

    store: PromotionStore
    editor: PlanEditor
    has_exports: bool

    async def begin(self, bundle_id: str, rules: PromotionRules, *, who: str) -> Promotion:
        """Begin a promotion, in shadow, once its bundle is loaded and verified here.

        Raises:
            UnknownBundleError: If this machine has no such bundle.
            BundleRefusedError: If the bundle fails verification.
            NoResultsError: If this machine has no exports to judge the canary by.
            PlanRefusedError: If the plan has no room for the canary.
            PromotionRefusedError: If another promotion runs, the bundle is active already, or its
                probabilities are of clicks and those of the serving one are not, or the reverse.
        """
        if not self.has_exports:
            raise NoResultsError(NO_EXPORTS)
        before = await self._read()
        if before is not None and _runs(before.promotion):
            reason = f"promotion {before.promotion.number} is not over: stop it first"
            raise _refused(bundle_id, reason)
        candidate = await asyncio.to_thread(self.editor.repository.load, bundle_id)
        serving = await self._serving(bundle_id)
        await self._require_alike(candidate, serving)
        promotion = Promotion.begun(
            before.promotion.number + 1 if before else 1,
            bundle_id,
            serving=serving,
            rules=rules,
            at=await self.editor.server.now(),
            who=who,
        )
        # Room for its canary now: later it would stop a promotion that went well.
        plan, now = (await self.editor.current()).plan, await self.editor.server.now()
        try:
            with_canary(plan, promotion, share_bp=rules.canary.shares_bp[-1], now=now)
        except ValueError as exc:
            raise PlanRefusedError(THE_PLAN, reason_for(exc)) from exc
        # Where the settings chose it, too: a worker that starts must not choose another one.
        await self.editor.bundles.activate(serving, instead_of=serving)
        version = before.version if before else 0
        after = StoredPromotion(version + 1, promotion)
        if not await self.store.change(after, before=version, begins=True):
            raise _refused(bundle_id, "another promotion began a moment ago")
        return promotion

    async def _require_alike(self, candidate: Model, serving: str) -> None:
        """Require probabilities of one outcome, which the rules of a shadow compare."""
        with suppress(UnknownBundleError, BundleRefusedError):
            other = (await asyncio.to_thread(self.editor.repository.load, serving)).scorer
            own = candidate.scorer
            if own and other and (own.objective is CLICK) is not (other.objective is CLICK):
                reason = (
                    f"it was trained for {own.objective.value}, and {serving}, which serves, for "
                    f"{other.objective.value}: compare them by an experiment"
                )
                raise _refused(candidate.bundle_id, reason)

    async def require_spared(self, bundle_id: str) -> None:
        """Require that activating a bundle stops no promotion, and undoes no success of one.

        Raises:
            PromotionSparedError: If a promotion runs, or ended with its bundle active for all since
                the night began that made this one.
            UnknownBundleError: If this machine has no such bundle.
            BundleRefusedError: If its manifest cannot be read.
        """
        latest = await self._read()
        if latest is None:
            return
        promotion = latest.promotion
        if _runs(promotion):
            reason = f"promotion {promotion.number} runs, and would be stopped"
            raise PromotionSparedError(bundle_id, reason)
        manifest = await asyncio.to_thread(self.editor.repository.manifest, bundle_id)
        if promotion.stage is not Stage.FULL or not manifest.created_at:
            return
        if promotion.since > datetime.fromisoformat(manifest.created_at) - KNOWN_AFTER:
            reason = f"promotion {promotion.number} has ended since it was made"
            raise PromotionSparedError(bundle_id, reason)

    async def stop(self, number: int, why: str, *, who: str) -> Promotion:
        """Stop a promotion, which returns all customers to the serving bundle.

        Raises:
            UnknownPromotionError: If no promotion has that number.
            PromotionRefusedError: If it is over.
        """
        now = await self.editor.server.now()
        return await self._edit(number, lambda one: one.stopped(why, at=now, who=who))

    async def set_estimate(self, number: int, estimate: OffPolicyEstimate) -> Promotion:
        """Set the off-policy estimate of a promotion's candidate.

        Raises:
            UnknownPromotionError: If no promotion has that number.
            PromotionRefusedError: If it is over, or the estimate is of another bundle.
        """
        candidate = (await self.get(number)).candidate
        if estimate.bundle != candidate:
            what = f"an estimate of bundle {estimate.bundle}"
            raise PromotionRefusedError(what, f"promotion {number} is of {candidate}")
        return await self._edit(number, lambda one: one.with_estimate(estimate))

    async def get(self, number: int) -> Promotion:
        """Return a promotion.

        Raises:
            UnknownPromotionError: If no promotion has that number.
        """
        for promotion in await self.recent():
            if promotion.number == number:
                return promotion
        raise UnknownPromotionError(number)

    async def recent(self) -> list[Promotion]:
        """Return the last promotions, the latest first."""
        latest = await self._read()
        earlier = await self.store.earlier(KEPT_PROMOTIONS)
        return [*([latest.promotion] if latest else []), *earlier]

    async def _edit(self, number: int, edit: Callable[[Promotion], Promotion]) -> Promotion:
        what = f"a change of promotion {number}"
        for _ in range(ATTEMPTS):
            before = await self._read()
            if before is None or before.promotion.number != number:
                await self.get(number)  # raises for an unknown number
                raise PromotionRefusedError(what, "it is over")
            if before.promotion.is_over:
                raise PromotionRefusedError(what, "it is over")
            after = StoredPromotion(before.version + 1, edit(before.promotion))
            if await self.store.change(after, before=before.version):
                return after.promotion
        raise PromotionRefusedError(what, "it changed meanwhile: try again")

    async def _read(self) -> StoredPromotion | None:
        try:
            return await self.store.read()
        except ValueError as exc:
            what = "the promotion in the store"
            raise PromotionRefusedError(what, reason_for(exc)) from exc

    async def _serving(self, bundle_id: str) -> str:
        wanted = await self.editor.bundles.wanted()
        try:
            serving = wanted.active or await self._first(bundle_id)
        except BundleError as exc:
            raise _refused(bundle_id, str(exc)) from exc
        if serving == bundle_id:
            raise _refused(bundle_id, "it is the active bundle already")
        if wanted.shadow not in {"", bundle_id}:
            reason = f"bundle {wanted.shadow} is in shadow: end that first"
            raise _refused(bundle_id, reason)
        return serving

    async def _first(self, bundle_id: str) -> str:
        """Return the bundle that workers serve before any was activated.

        The settings alone do not say it: a bundle that was copied to this machine since the
        workers started is the newest here, and is served by none of them.
        """
        reports = await self.editor.bundles.reports()
        served = sorted({report.active for report in reports if report.active})
        if len(served) > 1:
            reason = f"workers serve {', '.join(served)}: activate one of these first"
            raise _refused(bundle_id, reason)
        if served:
            return served[0]
        return await asyncio.to_thread(self.editor.repository.first_id)


def _runs(promotion: Promotion) -> bool:
    return not (promotion.is_over and promotion.is_settled)


def _refused(bundle_id: str, reason: str) -> PromotionRefusedError:
    return PromotionRefusedError(f"the promotion of bundle {bundle_id}", reason)
