"""Plan editor: validated changes of the plan of experiments, by compare-and-set, with an audit."""

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
    UnknownAttributeError,
    UnknownBundleError,
    UnknownExperimentError,
)
from app.stores.bundle import BundleStore
from app.stores.plan import PlanChange, PlanStore, StoredPlan
from app.stores.server import StoreServer
from models.domain.errors import reason_for
from models.experiments.plan.difference import changes
from models.experiments.plan.experiment import Experiment
from models.experiments.plan.plan import Plan
from models.experiments.plan.plan_edit import (
    ExperimentDraft,
    PlanDraft,
    require_answerable,
    with_end,
    with_experiment,
    with_rules,
    without_experiment,
)
from models.ranker.objective import Policy
from models.rules.field import FIELDS, FieldScope
from models.rules.rule import SlateRules
from models.slate.slate_policy import SlatePolicy

THE_PLAN: Final = "the plan"

# Lost races before a change without a version is given up. Chosen, not measured.
ATTEMPTS: Final = 3

Edit = Callable[[Plan, datetime], Plan]


@dataclass(frozen=True, slots=True)
class ChangeAuthor:
    """Author of a change, and the version that it is meant for; None for the current one."""

    who: str
    version: int | None = None


@dataclass(frozen=True, slots=True)
class PlanEditor:
    """Changes the plan in the store; see `LivePlan` for when workers follow.

    Every method may raise `PlanRefusedError` for a plan that contradicts itself or names an
    unknown bundle or order, and `PlanChangedError` if the version is another by now; the plan is
    then unchanged.
    """

    plans: PlanStore
    bundles: BundleStore  # the active one is that of policies that name none
    server: StoreServer  # its clock dates the changes
    repository: BundleRepository
    first: StoredPlan  # before the first change
    attributes: Callable[[], frozenset[str] | None] = lambda: None  # of the sales, if known

    async def current(self) -> StoredPlan:
        """Return the plan that all workers follow.

        Raises:
            PlanRefusedError: If the stored plan is unreadable.
        """
        try:
            return await self.plans.read() or self.first
        except ValueError as exc:
            raise PlanRefusedError(THE_PLAN, reason_for(exc)) from exc

    async def put_plan(self, draft: PlanDraft, author: ChangeAuthor) -> StoredPlan:
        """Replace the whole plan."""
        return await self.change("put the plan", _replaced_by(draft), author=author)

    async def preview(self, draft: PlanDraft, plan: Plan) -> Plan:
        """Return the plan that a draft would make of a plan, and change nothing."""
        now = await self.server.now()
        return await self._checked(plan, _replaced_by(draft), now=now)

    async def put_experiment(self, draft: ExperimentDraft, author: ChangeAuthor) -> StoredPlan:
        """Create an experiment, or change it; see `with_experiment`."""

        def edit(plan: Plan, now: datetime) -> Plan:
            require_answerable(plan, draft, now=now)
            return with_experiment(plan, draft)

        return await self.change(f"put experiment {draft.name}", edit, author=author)

    async def put_rules(self, rules: SlateRules, author: ChangeAuthor) -> StoredPlan:
        """Replace the rules of the default policy."""
        return await self.change(
            "put the rules", lambda plan, _: with_rules(plan, rules), author=author
        )

    async def end_experiment(self, name: str, author: ChangeAuthor) -> StoredPlan:
        """End an experiment now; remove one that does not run.

        Raises:
            UnknownExperimentError: If the plan has no experiment of that name.
        """

        def edit(plan: Plan, now: datetime) -> Plan:
            experiment = find_experiment(plan, name)
            # One that has not begun has no results to keep.
            if not experiment.runs_at(now) or experiment.starts_at == now:
                return without_experiment(plan, name)
            return with_end(plan, name, now=now)

        return await self.change(f"end experiment {name}", edit, author=author)

    async def change(self, doing: str, edit: Edit, *, author: ChangeAuthor) -> StoredPlan:
        """Edit the plan in the store; an edit that changes nothing writes nothing.

        `edit` makes a plan of a plan and the store's clock; its `ValueError` refuses the change.
        """
        # Compare-and-set: read a version, edit, and write only if the store still has that version.
        for _ in range(ATTEMPTS):
            before = await self.current()
            if author.version not in {None, before.version}:
                break
            now = await self.server.now()
            after = StoredPlan(before.version + 1, await self._checked(before.plan, edit, now=now))
            # Models with equal values may differ in which fields are set: compare the JSON.
            if before.version and after.plan.to_json() == before.plan.to_json():
                return before
            change = PlanChange(
                at=now,
                who=author.who,
                doing=doing,
                before=before.version,
                after=after.version,
                changes=changes(before.plan, after.plan),
            )
            # Version 0 is the plan of this machine's settings, and in no store: workers with other
            # settings replace theirs, too.
            if await self.plans.change(after.plan, change):
                return after
        raise PlanChangedError(author.version, (await self.current()).version)

    async def _checked(self, plan: Plan, edit: Edit, *, now: datetime) -> Plan:
        try:
            changed = edit(plan, now)
        except ValueError as exc:
            raise PlanRefusedError(THE_PLAN, reason_for(exc)) from exc
        self._require_attributes(plan, changed)
        active = (await self.bundles.wanted()).active
        await asyncio.to_thread(self._require_bundles, plan, changed, now=now, active=active)
        return changed

    def _require_attributes(self, before: Plan, plan: Plan) -> None:
        """Check that any sale has the attributes that changed rules read."""
        known = self.attributes()
        if known is None:
            return
        old = [rule for rules in before.rules for rule in rules.root]
        for rule in (one for rules in plan.rules for one in rules.root if one not in old):
            read = {one for one in rule.fields if one.is_attribute and one.scope is FieldScope.SALE}
            unknown = sorted(one.name for one in read if one.name not in known)
            if unknown:
                where = f"rule {rule.name}"
                refusal = UnknownAttributeError(unknown[0], [*FIELDS, *sorted(known)])
                raise PlanRefusedError(where, str(refusal))

    def _require_bundles(self, before: Plan, plan: Plan, *, now: datetime, active: str) -> None:
        """Check that this machine has the bundles of a change whole, with the orders it names.

        What the change leaves as it is, or ends, is not checked: a bundle that was removed since
        must not keep another experiment from being ended.
        """
        if plan.default != before.default:
            self._require("the default policy", plan.default, active=active)
        known = {one.name: (one, tuple(before.policies(one))) for one in before.experiments}
        for experiment in plan.experiments:
            policies = tuple(plan.policies(experiment))
            is_over = experiment.ends_at is not None and experiment.ends_at <= now
            if is_over or known.get(experiment.name) == (experiment, policies):
                continue
            for variant, policy in zip(experiment.variants, policies, strict=True):
                where = f"variant {variant.name} of {experiment.name}"
                self._require(where, policy, active=active)

    def _require(self, where: str, policy: SlatePolicy, *, active: str) -> None:
        if not (policy.bundle or active):
            return
        try:
            find = self.repository.whole if policy.bundle else self.repository.manifest
            manifest = find(policy.bundle or active)
        except (UnknownBundleError, BundleRefusedError) as exc:
            if policy.bundle is None:
                return  # the active bundle is not the plan's choice
            raise PlanRefusedError(where, str(exc)) from exc
        known = [*(one.value for one in Policy), *manifest.recommenders]
        if policy.order_by not in known:
            msg = (
                f"bundle {policy.bundle or active} orders by none called {policy.order_by!r}:"
                f" it has {', '.join(known)}"
            )
            raise PlanRefusedError(where, msg)


def _replaced_by(draft: PlanDraft) -> Edit:
    def edit(plan: Plan, now: datetime) -> Plan:
        for one in draft.experiments:
            # A file may hold experiments that ended, for their results.
            if one.ends_at is None or one.ends_at > now:
                require_answerable(plan, one, now=now)
        return draft.to_plan(plan)

    return edit


def find_experiment(plan: Plan, name: str) -> Experiment:
    """Return an experiment of a plan.

    Raises:
        UnknownExperimentError: If there is none of that name.
    """
    for experiment in plan.experiments:
        if experiment.name == name:
            return experiment
    raise UnknownExperimentError(name)
