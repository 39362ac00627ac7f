"""Live plan: the plan of experiments of a worker, which follows the store and is swapped whole."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final

from app.errors import StoreUnavailableError
from app.experiments.plan_file import PlanFile
from app.observability import Metrics, get_logger
from app.stores.plan import PlanChange, PlanStore, StoredPlan
from models.domain.event import from_us

# Chosen: most bundles load in less, and who changes a plan waits for it.
FOLLOW_WITHIN_S: Final = 5.0

# Chosen: a worker that loads a bundle for one plan follows the next within two seconds.
LOOK_WITHIN_S: Final = 1.0

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
        self._keeping = asyncio.Lock()
        self._adopting: tuple[int, asyncio.Task[None]] | None = None
        self._superseded = set[asyncio.Task[None]]()

    @property
    def current(self) -> StoredPlan:
        """The plan in use."""
        return self._current

    async def begin(self) -> None:
        """Use the store's plan; while the store is unreachable, the last one kept on this machine.

        The catalogue must be there: the bundles that variants name are loaded for it.
        """
        try:
            await self.poll(within_s=None)
        except StoreUnavailableError as exc:
            remembered = await asyncio.to_thread(self._file.last)
            self._current = remembered or self._current
            _log.warning(
                "the store is unreachable: using the plan of experiments last kept on this machine",
                version=self._current.version,
                reason=str(exc),
            )
        await self._hold(self._current.plan.bundles)

    async def follow(self) -> None:
        """Poll once, as a background task.

        Raises:
            StoreUnavailableError: See `poll`.
        """
        await self.poll(within_s=LOOK_WITHIN_S)

    async def poll(self, within_s: float | None = FOLLOW_WITHIN_S) -> None:
        """Use the store's plan, once the bundles that its variants name are loaded.

        Args:
            within_s: Wait no longer for these bundles; they go on loading, and unless the plan
                changes again it is used after that. None waits until they are loaded.

        Raises:
            StoreUnavailableError: If the store cannot be read; the plan stays.
        """
        async with self._polling:
            stored = await self._next()
            if stored is None:
                return
            # In a task of its own: a later plan, which may end an experiment, must not wait for
            # the bundles of this one.
            if self._adopting is None or self._adopting[0] != stored.version:
                if self._adopting is not None:
                    # It ends by itself: no poll waits for it any more.
                    self._superseded.add(self._adopting[1])
                    self._adopting[1].add_done_callback(self._end_superseded)
                self._adopting = stored.version, asyncio.create_task(self._adopt(stored))
            adopting = self._adopting
        await asyncio.wait({adopting[1]}, timeout=within_s)
        if adopting[1].done():
            if self._adopting is adopting:
                self._adopting = None
            adopting[1].result()

    async def _next(self) -> StoredPlan | None:
        """Return the store's plan, None if there is no other to follow."""
        # The version alone first: a poll reads a few bytes, and the plan when it changed.
        version = await self._store.version()
        if version in {self._current.version, self._refused}:
            return None
        if version == 0:
            # Otherwise all units would change variants. The change succeeds for one of the workers:
            # the others find a version other than the 0 that they mean.
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
            return None
        try:
            return await self._store.read()
        except ValueError as exc:
            self._refused = version  # logged once, and read again when it changes
            _log.error("the plan in the store is unreadable: it is ignored", reason=str(exc))
            return None

    async def _adopt(self, stored: StoredPlan) -> None:
        # Bundles first: customers of a variant whose bundle is missing get the default's sales and
        # count as degraded, and a canary would be stopped for what its beginning took.
        await self._hold(self._current.plan.bundles | stored.plan.bundles)
        if self._adopting is None or self._adopting[0] != stored.version:
            return  # another plan came meanwhile
        self._current = stored
        await self._hold(stored.plan.bundles)  # what is not named any more may go
        _log.info("the plan of experiments changed", version=stored.version)
        try:
            # One after the other: an earlier plan, written slowly, would replace a later one.
            async with self._keeping:
                await asyncio.to_thread(self._file.keep, self._current)
        except OSError as exc:
            self._metrics.files_not_kept.labels("plan").inc()
            _log.warning("the plan of experiments was not kept on this machine", reason=str(exc))

    def _end_superseded(self, task: asyncio.Task[None]) -> None:
        self._superseded.discard(task)
        if not task.cancelled() and (exc := task.exception()) is not None:
            _log.error(
                "a plan of experiments could not be adopted before the next one came", exc_info=exc
            )
