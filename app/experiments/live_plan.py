"""Live plan: the plan of experiments of a worker, which follows the store and is swapped whole."""

import asyncio
from collections.abc import Awaitable, Callable

from app.errors import StoreUnavailableError
from app.experiments.plan_file import PlanFile
from app.observability import Metrics, get_logger
from app.stores.plan import PlanChange, PlanStore, StoredPlan
from models.domain.event import from_us

_log = get_logger(__name__)


class LivePlan:
    """Follows the plan in the store; it never changes between two polls."""

    def __init__(
        self,
        store: PlanStore,
        first: StoredPlan,
        *,
        file: PlanFile,
        hold: Callable[[frozenset[str]], Awaitable[None]],
        metrics: Metrics,
    ) -> None:
        """Use a plan until the store has one; `hold` loads the bundles that variants name."""
        self._metrics = metrics
        self._store = store
        self._file = file
        self._hold = hold
        self._current = first
        self._refused: int | None = None
        self._polling = asyncio.Lock()

    @property
    def current(self) -> StoredPlan:
        """The plan in use."""
        return self._current

    async def begin(self) -> None:
        """Use the store's plan; while the store is away, the last one kept on this machine.

        The catalogue must be there: the bundles that variants name are loaded for it.
        """
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
        await self._hold(self._current.plan.bundles)

    async def poll(self) -> None:
        """Use the store's plan, once the bundles that its variants name are loaded.

        Raises:
            StoreUnavailableError: If the store cannot be read; the plan stays.
        """
        async with self._polling:
            # The version alone first: a poll reads a few bytes, and the plan when it changed.
            version = await self._store.version()
            if version in {self._current.version, self._refused}:
                return
            if version == 0:
                await self._restore()
                return
            try:
                stored = await self._store.read()
            except ValueError as exc:
                self._refused = version  # logged once, and read again when it changes
                _log.error("the plan in the store is unreadable: it is ignored", reason=str(exc))
                return
            if stored is not None:
                await self._adopt(stored)

    async def _adopt(self, stored: StoredPlan) -> None:
        # Bundles first: customers of a variant whose bundle is missing get the default's sales and
        # count as degraded, and a canary would be stopped for what its beginning took.
        await self._hold(self._current.plan.bundles | stored.plan.bundles)
        self._current = stored
        await self._hold(stored.plan.bundles)  # what is not named any more may go
        _log.info("the plan of experiments changed", version=stored.version)
        try:
            await asyncio.to_thread(self._file.keep, stored)
        except OSError as exc:
            self._metrics.files_not_kept.labels("plan").inc()
            _log.warning("the plan of experiments was not kept on this machine", reason=str(exc))

    async def _restore(self) -> None:
        # Otherwise all units would change variants. The change succeeds for one of the workers: the
        # others find a version other than the 0 that they mean.
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
