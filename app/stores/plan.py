"""The plan of experiments in Redis or Valkey."""

from typing import Final, cast

from pydantic import TypeAdapter, ValidationError

from app.stores.connection import Connection, Script
from app.stores.keys import PLAN, PLAN_AUDIT
from app.stores.plan_port import PlanChange, StoredPlan
from models.experiments.plan.plan import Plan

CHANGE_PLAN: Final = Script.named("change_plan")

AUDIT_ENTRIES: Final = 1_000

_CHANGE: Final = TypeAdapter(PlanChange)
_READING: Final = "reading the plan of experiments"


class RedisPlanStore:
    """A hash with version and plan, and a list of changes; see `PlanStore`."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def version(self) -> int:
        """Return the plan's version; see `PlanStore`."""
        reply = await self._connection.execute("HGET", PLAN, "version", doing=_READING)
        return int(cast("bytes | None", reply) or 0)

    async def read(self) -> StoredPlan | None:
        """Return the plan; see `PlanStore`."""
        reply = await self._connection.execute("HMGET", PLAN, "version", "json", doing=_READING)
        version, content = cast("list[bytes | None]", reply)
        if version is None or content is None:
            return None
        try:
            return StoredPlan(int(version), Plan.model_validate_json(content))
        except ValidationError as exc:
            msg = f"the stored plan, version {int(version)}, is none of this software: {exc}"
            raise ValueError(msg) from exc

    async def change(self, plan: Plan, change: PlanChange) -> bool:
        """Put another plan, in one atomic step; see `PlanStore`."""
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
        """Return the latest changes; see `PlanStore`."""
        reply = await self._connection.execute(
            "LRANGE", PLAN_AUDIT, 0, limit - 1, doing="reading the changes of the plan"
        )
        return [_CHANGE.validate_json(entry) for entry in cast("list[bytes]", reply)]
