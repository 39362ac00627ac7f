"""What serving needs from a store of the plan of experiments; see `app.stores.ports`."""

from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from models.experiments.plan.plan import Plan


@dataclass(frozen=True, slots=True)
class StoredPlan:
    """The plan of experiments, and which one it is.

    Attributes:
        version: Rises by 1 with each change; 0 for the plan of the settings, which is in no store.
        plan: The plan.
    """

    version: int
    plan: Plan


@dataclass(frozen=True, slots=True)
class PlanChange:
    """An entry of the plan's audit trail.

    Attributes:
        at: When, by the store's clock.
        who: Name of the key that was used, or where the call came from.
        doing: What was asked for.
        before: Version of the plan that was changed.
        after: Version of the plan from then on.
        changes: What differs, see `models.experiments.analysis.difference.changes`.
    """

    at: datetime
    who: str
    doing: str
    before: int
    after: int
    changes: tuple[str, ...]


class PlanStore(Protocol):
    """Tells all workers the plan of experiments, and remembers who changed it."""

    async def version(self) -> int:
        """Return the version of the plan, 0 where there is none."""
        ...

    async def read(self) -> StoredPlan | None:
        """Return the plan, None where there is none.

        Raises:
            ValueError: If what is there is no plan of this software.
        """
        ...

    async def change(self, plan: Plan, change: PlanChange) -> bool:
        """Put a plan and its audit entry, unless the plan is not that of `before` any more.

        Return whether it was put.
        """
        ...

    async def audit(self, limit: int) -> list[PlanChange]:
        """Return so many of the last 1,000 changes, the latest first."""
        ...
