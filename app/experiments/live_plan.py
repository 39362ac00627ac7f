"""The plan of experiments that answers see: read from the store, swapped at once."""

import asyncio

from app.errors import StoreUnavailableError
from app.experiments.plan_file import PlanFile
from app.observability import Metrics, get_logger
from app.stores.plan import PlanChange, PlanStore, StoredPlan
from models.domain.event import from_us

_log = get_logger(__name__)


class LivePlan:
    """Follows the store; between two reads nothing changes."""

    def __init__(
        self, store: PlanStore, first: StoredPlan, *, file: PlanFile, metrics: Metrics
    ) -> None:
        """Begin with a plan, until the store has one."""
        self._metrics = metrics
        self._store = store
        self._file = file
        self._current = first
        self._refused: int | None = None

    @property
    def current(self) -> StoredPlan:
        """The plan that decides now."""
        return self._current

    async def begin(self) -> None:
        """Take the store's plan, or what this machine remembers of it while it is away."""
        try:
            await self.poll()
        except StoreUnavailableError as exc:
            remembered = await asyncio.to_thread(self._file.last)
            self._current = remembered or self._current
            _log.warning(
                "the plan of experiments is the last one known here",
                version=self._current.version,
                reason=str(exc),
            )

    async def poll(self) -> None:
        """Bring this worker to the store's plan.

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
            _log.error("the plan of experiments stays as it was", reason=str(exc))
            return
        if stored is not None:
            await self._adopt(stored)

    async def _adopt(self, stored: StoredPlan) -> None:
        self._current = stored
        _log.info("another plan of experiments decides", version=stored.version)
        try:
            await asyncio.to_thread(self._file.keep, stored)
        except OSError as exc:
            self._metrics.files_not_kept.labels("plan").inc()
            _log.warning("the plan of experiments is not remembered here", reason=str(exc))

    async def _restore(self) -> None:
        """Tell an emptied store the plan again; else all units would change their variants."""
        _log.warning("the store was emptied; it is told the plan of experiments again")
        change = PlanChange(
            at=from_us(0),
            who="worker",
            doing="restore what an emptied store forgot",
            before=0,
            after=self._current.version,
            changes=(),
        )
        await self._store.change(self._current.plan, change)
