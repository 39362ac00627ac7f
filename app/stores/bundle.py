"""Store of bundle assignments: the wanted bundles, and the reports of those that workers serve.

Scripts: ``activate_bundle``, ``report_worker``.
"""

from dataclasses import dataclass
from typing import Final, cast

from pydantic import TypeAdapter, ValidationError

from app.stores.connection import Connection, Script
from app.stores.keys import WANTED, WORKERS
from models.domain.units import SECOND_US

ACTIVATE_BUNDLE: Final = Script.named("activate_bundle")
REPORT_WORKER: Final = Script.named("report_worker")

# Workers report once a second: one that missed ten reports is gone.
REPORT_TTL_US: Final = 10 * SECOND_US

# `report_worker.lua` puts the time in front of each report; 16 digits suffice until 2286.
_AT_DIGITS: Final = 16
_READING: Final = "reading which bundle is to answer"


@dataclass(frozen=True, slots=True)
class Wanted:
    """Wanted bundles: those that all workers are to serve; an empty id stands for none.

    Attributes:
        active: Answers; empty before the first activation, when each worker's settings decide.
        previous: Answered before, and is kept ready.
        shadow: Scores without being shown.
    """

    active: str
    previous: str
    shadow: str


@dataclass(frozen=True, slots=True)
class WorkerReport:
    """Report of a worker on the bundles that it serves.

    Attributes:
        worker: Its name: machine and process.
        active: The bundle that answers, empty without.
        previous: The bundle that is kept ready, empty without.
        shadow: The bundle that scores without being shown, empty without.
        failure: Reason for which it does not serve the wanted bundles; None if it does.
        n_unread_pictures: Pictures that another scene model labelled.
    """

    worker: str
    active: str
    previous: str
    shadow: str
    failure: str | None
    n_unread_pictures: int


_REPORT: Final = TypeAdapter(WorkerReport)


class BundleStore:
    """Two hashes in Redis or Valkey: the bundles wanted, and the reports of the workers."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def wanted(self) -> Wanted:
        """Return the bundles that all workers are to serve."""
        return _wanted(await self._connection.execute("HGETALL", WANTED, doing=_READING))

    async def activate(self, bundle_id: str, *, instead_of: str) -> Wanted:
        """Make a bundle the active one; the one before becomes the previous one.

        Where no bundle was wanted so far, the previous one is ``instead_of``, empty for none.
        """
        reply = await self._connection.run(
            ACTIVATE_BUNDLE, [WANTED], bundle_id, instead_of, doing="activating a bundle"
        )
        pairs = cast("list[bytes]", reply)
        return _wanted(dict(zip(pairs[::2], pairs[1::2], strict=True)))

    async def shadow(self, bundle_id: str) -> None:
        """Make a bundle the shadow; an empty id stands for none."""
        await self._connection.execute("HSET", WANTED, "shadow", bundle_id, doing="shadowing")

    async def restore(self, wanted: Wanted) -> None:
        """Write again what an emptied store forgot, where nothing else is wanted by now."""
        fields = ("active", wanted.active), ("previous", wanted.previous), ("shadow", wanted.shadow)
        # HSETNX: several workers restore at once, and an activation meanwhile has to win.
        commands = [("HSETNX", WANTED, name, value) for name, value in fields if value]
        await self._connection.execute_many(commands, doing="restoring which bundle is to answer")

    async def report(self, report: WorkerReport) -> None:
        """Store what a worker serves, for ten seconds."""
        body = _REPORT.dump_json(report)
        await self._connection.run(
            REPORT_WORKER, [WORKERS], report.worker, body, REPORT_TTL_US, doing="reporting"
        )

    async def reports(self) -> list[WorkerReport]:
        """Return the last reports of living workers, by name."""
        reply = await self._connection.execute("HGETALL", WORKERS, doing="reading the workers")
        said = cast("dict[bytes, bytes]", reply)
        return [_report(worker, said[worker]) for worker in sorted(said)]


def _report(worker: bytes, stored: bytes) -> WorkerReport:
    try:
        return _REPORT.validate_json(stored[_AT_DIGITS:])
    except ValidationError:
        failure = "its report is unreadable: it is of another version of this software"
        name = worker.decode(errors="backslashreplace")
        return WorkerReport(name, "", "", "", failure, n_unread_pictures=0)


def _wanted(reply: object) -> Wanted:
    # What is no text names no bundle: the workers refuse it by name.
    pairs = cast("dict[bytes, bytes]", reply).items()
    fields = {k: v.decode(errors="backslashreplace") for k, v in pairs}
    return Wanted(fields.get(b"active", ""), fields.get(b"previous", ""), fields.get(b"shadow", ""))
