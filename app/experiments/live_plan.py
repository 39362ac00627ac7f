"""Live plan: the plan of experiments of a worker, which follows the store and is swapped whole."""

import asyncio

from app.errors import StoreUnavailableError
from app.experiments.plan_file import PlanFile
from app.observability import Metrics, get_logger
from app.stores.plan import PlanChange, PlanStore, StoredPlan
from models.domain.event import from_us

_log = get_logger(__name__)


class LivePlan:
    """Follows the plan in the store; it never changes between two polls."""

    def __init__(
        self, store: PlanStore, first: StoredPlan, *, file: PlanFile, metrics: Metrics
    ) -> None:
        """Use a plan until the store has one."""
        self._metrics = metrics
        self._store = store
        self._file = file
        self._current = first
        self._refused: int | None = None

    @property
    def current(self) -> StoredPlan:
        """The plan in use."""
        return self._current

    async def begin(self) -> None:
        """Use the store's plan; while the store is away, the last one kept on this machine."""
        try:
            await self.poll()
        except StoreUnavailableError as exc:
            remembered = await asyncio.to_thread(self._file.last)
            self._current = remembered or self._current
            _log.warning(
                "the store is away: using the plan of experiments last kept on this machine",
                version=self._current.version,
                reason=str(exc),
            )

    async def poll(self) -> None:
        """Use the store's plan.

        Raises:
            StoreUnavailableError: If the store cannot be read; the plan stays.
        """
        version = await self._store.version()
        if version in {self._current.version, self._refused}:
            return
        if version == 0:
            await self._restore()
            return
        try:
            stored = await self._store.read()
        except ValueError as exc:
            self._refused = version
            _log.error("the plan in the store is unreadable: it is ignored", reason=str(exc))
            return
        if stored is not None:
            await self._adopt(stored)

    async def _adopt(self, stored: StoredPlan) -> None:
        self._current = stored
        _log.info("the plan of experiments changed", version=stored.version)
        try:
            await asyncio.to_thread(self._file.keep, stored)
        except OSError as exc:
            self._metrics.files_not_kept.labels("plan").inc()
            _log.warning("the plan of experiments was not kept on this machine", reason=str(exc))

    async def _restore(self) -> None:
        """Publish the plan again in an emptied store; else all units would change variants."""
        _log.warning("store was emptied; re-publishing the plan of experiments")
        change = PlanChange(
            at=from_us(0),
            who="worker",
            doing="restore what an emptied store forgot",
            before=0,
            after=self._current.version,
            changes=(),
        )
        await self._store.change(self._current.plan, change)
