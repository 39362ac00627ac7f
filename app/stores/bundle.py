"""Which bundles shall answer, and which do, in Redis or Valkey."""

from typing import Final, cast

from pydantic import TypeAdapter

from app.stores.connection import Connection, Script
from app.stores.keys import WANTED, WORKERS
from app.stores.ports import Wanted, WorkerReport
from models.domain.event import SECOND_US

ACTIVATE_BUNDLE: Final = Script.named("activate_bundle")
REPORT_WORKER: Final = Script.named("report_worker")

REPORT_TTL_US: Final = 10 * SECOND_US

_AT_DIGITS: Final = 16
_REPORT: Final = TypeAdapter(WorkerReport)
_READING: Final = "reading which bundle shall answer"


class RedisBundleStore:
    """Two hashes, of what is wanted and of what the workers say; see `BundleStore`."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def wanted(self) -> Wanted:
        """Return what shall answer; see `BundleStore`."""
        return _wanted(await self._connection.execute("HGETALL", WANTED, doing=_READING))

    async def activate(self, bundle_id: str, *, instead_of: str) -> Wanted:
        """Want another bundle, in one atomic step; see `BundleStore`."""
        reply = await self._connection.run(
            ACTIVATE_BUNDLE, [WANTED], bundle_id, instead_of, doing="activating a bundle"
        )
        pairs = cast("list[bytes]", reply)
        return _wanted(dict(zip(pairs[::2], pairs[1::2], strict=True)))

    async def shadow(self, bundle_id: str) -> None:
        """Want a shadow, or with an empty id none; see `BundleStore`."""
        await self._connection.execute("HSET", WANTED, "shadow", bundle_id, doing="shadowing")

    async def restore(self, wanted: Wanted) -> None:
        """Want again what an emptied store forgot; see `BundleStore`."""
        fields = ("active", wanted.active), ("previous", wanted.previous), ("shadow", wanted.shadow)
        commands = [("HSETNX", WANTED, name, value) for name, value in fields if value]
        await self._connection.execute_many(commands, doing="restoring which bundle shall answer")

    async def report(self, report: WorkerReport) -> None:
        """Say what this worker does; see `BundleStore`."""
        body = _REPORT.dump_json(report)
        await self._connection.run(
            REPORT_WORKER, [WORKERS], report.worker, body, REPORT_TTL_US, doing="reporting"
        )

    async def reports(self) -> list[WorkerReport]:
        """Return what living workers said last; see `BundleStore`."""
        reply = await self._connection.execute("HGETALL", WORKERS, doing="reading the workers")
        said = cast("dict[bytes, bytes]", reply)
        return [_REPORT.validate_json(said[worker][_AT_DIGITS:]) for worker in sorted(said)]


def _wanted(reply: object) -> Wanted:
    fields = {k.decode(): v.decode() for k, v in cast("dict[bytes, bytes]", reply).items()}
    return Wanted(fields.get("active", ""), fields.get("previous", ""), fields.get("shadow", ""))
