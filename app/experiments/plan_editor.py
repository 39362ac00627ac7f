"""Changes of the plan of experiments: whole, checked, one at a time, and on record."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from app.bundles.bundle_repository import BundleRepository
from app.errors import (
    BundleRefusedError,
    PlanChangedError,
    PlanRefusedError,
    UnknownBundleError,
    UnknownExperimentError,
)
from app.stores.bundle import BundleStore
from app.stores.plan import PlanChange, PlanStore, StoredPlan
from app.stores.server import StoreServer
from models.domain.event import from_us
from models.experiments.analysis.difference import changes
from models.experiments.plan.experiment import Experiment
from models.experiments.plan.plan import Plan
from models.experiments.plan.plan_edit import (
    ExperimentDraft,
    PlanDraft,
    with_experiment,
    without_experiment,
)
from models.experiments.plan.plan_file import reason_of
from models.ranker.objective import Policy
from models.slate.slate_policy import SlatePolicy

THE_PLAN: Final = "the plan"

ATTEMPTS: Final = 3
"""How often a change is made anew that says nothing of the version and lost a race."""

Edit = Callable[[Plan, datetime], Plan]


@dataclass(frozen=True, slots=True)
class Order:
    """Who wants a change, and of which plan.

    Attributes:
        who: Name of a key, or where the call came from.
        version: The version that he means to change; None for whichever there is.
    """

    who: str
    version: int | None = None


@dataclass(frozen=True, slots=True)
class PlanEditor:
    """Changes the plan in the store; every worker follows it within two seconds.

    Every method may raise `PlanRefusedError` for a plan that contradicts itself or names what
    is not there, and `PlanChangedError` for one that is another by now; nothing changed then.

    Attributes:
        plans: Keeps the plan.
        bundles: Says which bundle answers where a policy names none.
        server: Its clock dates the changes.
        library: The bundles that variants may name.
        first: What applies before the first change.
    """

    plans: PlanStore
    bundles: BundleStore
    server: StoreServer
    library: BundleRepository
    first: StoredPlan

    async def current(self) -> StoredPlan:
        """Return the plan that all workers follow.

        Raises:
            PlanRefusedError: If the store holds something else.
        """
        try:
            return await self.plans.read() or self.first
        except ValueError as exc:
            raise PlanRefusedError(THE_PLAN, reason_of(exc)) from exc

    async def put_plan(self, draft: PlanDraft, order: Order) -> StoredPlan:
        """Replace the whole plan."""
        return await self.change("put the plan", lambda plan, _: draft.dealt(plan), order=order)

    async def put_experiment(self, draft: ExperimentDraft, order: Order) -> StoredPlan:
        """Create an experiment, or change it; see `with_experiment`."""
        doing = f"put experiment {draft.name}"
        return await self.change(doing, lambda plan, _: with_experiment(plan, draft), order=order)

    async def end_experiment(self, name: str, order: Order) -> StoredPlan:
        """End an experiment now; remove one that does not run.

        Raises:
            UnknownExperimentError: If there is none of that name.
        """
        return await self.change(
            f"end experiment {name}", lambda plan, now: _ended(plan, name, now=now), order=order
        )

    async def change(self, doing: str, edit: Edit, *, order: Order) -> StoredPlan:
        """Put what an edit makes of the plan, unless it is the same plan.

        Args:
            doing: What is done, for the audit trail.
            edit: From the plan and the store's clock to another plan; its `ValueError` refuses.
            order: Who wants it.
        """
        for _ in range(ATTEMPTS):
            before = await self.current()
            if order.version not in {None, before.version}:
                break
            now = from_us(await self.server.time_us())
            after = StoredPlan(before.version + 1, await self._checked(before.plan, edit, now=now))
            # What a variant names decides, not what it equals: compare what would be written.
            if before.version and after.plan.to_json() == before.plan.to_json():
                return before
            change = PlanChange(
                at=now,
                who=order.who,
                doing=doing,
                before=before.version,
                after=after.version,
                changes=changes(before.plan, after.plan),
            )
            # Version 0 is in no store: it may be another one elsewhere, and is replaced there.
            if await self.plans.change(after.plan, change):
                return after
        raise PlanChangedError(order.version, (await self.current()).version)

    async def _checked(self, plan: Plan, edit: Edit, *, now: datetime) -> Plan:
        try:
            changed = edit(plan, now)
        except ValueError as exc:
            raise PlanRefusedError(THE_PLAN, reason_of(exc)) from exc
        await self.require_bundles(changed)
        return changed

    async def require_bundles(self, plan: Plan) -> None:
        """Check that this machine has every bundle that a plan names, and what it orders by."""
        active = (await self.bundles.wanted()).active
        await asyncio.to_thread(self._require_bundles, plan, active)

    def _require_bundles(self, plan: Plan, active: str) -> None:
        self._require("the default policy", plan.default, active=active)
        for experiment in plan.experiments:
            for variant, policy in zip(experiment.variants, plan.policies(experiment), strict=True):
                where = f"variant {variant.name} of {experiment.name}"
                self._require(where, policy, active=active)

    def _require(self, where: str, policy: SlatePolicy, *, active: str) -> None:
        if not (policy.bundle or active):
            return
        try:
            manifest = self.library.manifest(policy.bundle or active)
        except (UnknownBundleError, BundleRefusedError) as exc:
            if policy.bundle is None:
                return  # what answers by chance is not the plan's fault
            raise PlanRefusedError(where, str(exc)) from exc
        known = [*(one.value for one in Policy), *manifest.recommenders]
        if policy.order_by not in known:
            msg = (
                f"bundle {policy.bundle or active} orders by none called {policy.order_by!r}:"
                f" it has {', '.join(known)}"
            )
            raise PlanRefusedError(where, msg)


def named(plan: Plan, name: str) -> Experiment:
    """Return an experiment of a plan.

    Raises:
        UnknownExperimentError: If there is none of that name.
    """
    for experiment in plan.experiments:
        if experiment.name == name:
            return experiment
    raise UnknownExperimentError(name)


def _ended(plan: Plan, name: str, *, now: datetime) -> Plan:
    experiment = named(plan, name)
    if not experiment.runs_at(now) or experiment.starts_at == now:
        return without_experiment(plan, name)
    fields = {key: getattr(experiment, key) for key in experiment.model_fields_set}
    ended = Experiment.model_validate({**fields, "ends_at": now})
    experiments = [ended if one.name == name else one for one in plan.experiments]
    whole = {key: getattr(plan, key) for key in plan.model_fields_set}
    return Plan.model_validate({**whole, "experiments": experiments})
