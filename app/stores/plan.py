"""Store of the plan of experiments, and of its audit trail.

Script: ``change_plan``.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from pydantic import TypeAdapter

from app.stores.connection import Connection, Script
from app.stores.keys import PLAN, PLAN_AUDIT
from app.stores.versioned import VersionedDocument, readable_entries
from models.experiments.plan.plan import Plan

CHANGE_PLAN: Final = Script.named("change_plan")

# Chosen, not measured; docs/store.md promises them.
AUDIT_ENTRIES: Final = 1_000


@dataclass(frozen=True, slots=True)
class StoredPlan:
    """The plan of experiments and its version.

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
        changes: What differs, see `models.experiments.plan.difference.changes`.
    """

    at: datetime
    who: str
    doing: str
    before: int
    after: int
    changes: tuple[str, ...]


_CHANGE: Final = TypeAdapter(PlanChange)


class PlanStore:
    """A hash in Redis or Valkey with version and plan, and a list of changes."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._stored = VersionedDocument(connection, PLAN, Plan, "plan of experiments")

    async def version(self) -> int:
        """Return the version of the plan, 0 where there is none."""
        return await self._stored.version()

    async def read(self) -> StoredPlan | None:
        """Return the plan, None where there is none.

        Raises:
            ValueError: If what is stored is no plan of this software.
        """
        found = await self._stored.read()
        return found and StoredPlan(*found)

    async def change(self, plan: Plan, change: PlanChange) -> bool:
        """Put a plan and its audit entry, if the stored version is still that of ``before``.

        Return whether it was put.
        """
        reply = await self._connection.run(
            CHANGE_PLAN,
            [PLAN, PLAN_AUDIT],
            change.before,
            change.after,
            plan.to_json(),
            _CHANGE.dump_json(change),
            AUDIT_ENTRIES,
            doing="changing the plan of experiments",
        )
        return bool(reply)

    async def audit(self, limit: int) -> list[PlanChange]:
        """Return up to so many of the last 1,000 changes, the latest first.

        Entries that cannot be read, as of another version, are left out and logged.
        """
        return await readable_entries(
            self._connection,
            PLAN_AUDIT,
            parse=_CHANGE.validate_json,
            limit=limit,
            name="change of the plan",
        )
