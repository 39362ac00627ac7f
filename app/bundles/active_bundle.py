"""Loaded models of a worker: the active bundle, the previous one, the shadow, and variants."""

import asyncio
from collections.abc import Awaitable, Callable
from concurrent.futures import Executor
from dataclasses import dataclass, field
from typing import Final

from app.bundles.bundle_repository import BundleRepository
from app.catalogue.catalogue_follower import CatalogueFollower
from app.catalogue.model import Model
from app.errors import (
    BundleRefusedError,
    NoPreviousBundleError,
    UnknownBundleError,
)
from app.observability import Metrics, get_logger
from app.stores.bundle import BundleStore, Wanted, WorkerReport

REPORT_EVERY_S: Final = 1.0
# Between looks at whether a refused bundle changed, and until it is tried again though it did not:
# each try reads the whole bundle, and a disk may have failed. Chosen, not measured.
RETRY_S: Final = 5.0
RETRY_UNCHANGED_S: Final = 300.0

NOTHING: Final = Wanted("", "", "")

_Use = Callable[[Model], Awaitable[None]]

_log = get_logger(__name__)


@dataclass(slots=True)
class _Refusal:
    reason: str
    cause: object  # as `_cause` returned it before the bundle was tried
    look_at_s: float
    retry_at_s: float


@dataclass(slots=True)
class ActiveBundle:
    """Active bundle of a worker: follows the store; a loaded bundle is switched to at once."""

    name: str  # of this worker
    store: BundleStore
    repository: BundleRepository
    live: CatalogueFollower
    pool: Executor
    metrics: Metrics
    monotonic_s: Callable[[], float]
    _loaded: dict[str, Model] = field(default_factory=dict[str, Model])
    _refused: dict[str, _Refusal] = field(default_factory=dict[str, _Refusal])
    _wanted: Wanted = NOTHING
    _named: frozenset[str] = frozenset()
    _shadow_id: str = ""
    _report_at_s: float = 0.0
    # Held across loading and switching: two changes at once could each end with half of the other.
    _lock: asyncio.Lock = field(default_factory=asyncio.Lock)

    def __post_init__(self) -> None:
        """Keep the model that the process began with."""
        if self.live.model.scorer is not None:
            self._loaded[self.live.model.bundle_id] = self.live.model

    async def activate(self, bundle_id: str) -> Wanted:
        """Make a bundle the active one of all workers, once this one has loaded and verified it.

        Raises:
            UnknownBundleError: If this machine has no such bundle.
            BundleRefusedError: If it fails verification; nothing changed.
            StoreUnavailableError: If the store does not take it; nothing changed.
        """
        # Also if it is loaded: its files may have changed since, and workers that start read them.
        loop = asyncio.get_running_loop()
        try:
            _ = await loop.run_in_executor(self.pool, self.repository.whole, bundle_id)
        except (BundleRefusedError, UnknownBundleError):
            self.metrics.bundles.labels("refused").inc()
            raise
        return await self._activate(bundle_id)

    async def roll_back(self) -> Wanted:
        """Make the previous bundle the active one of all workers; a second time undoes the first.

        Raises:
            NoPreviousBundleError: If there was no activation.
        """
        previous = (await self.store.wanted()).previous
        if not previous:
            raise NoPreviousBundleError
        return await self._activate(previous)

    async def shadow_by(self, bundle_id: str) -> Wanted:
        """Make a bundle the shadow of all workers, which no customer sees; an empty id ends it.

        Raises:
            UnknownBundleError: If this machine has no such bundle.
            BundleRefusedError: If it fails verification; nothing changed.
        """
        async with self._lock:
            if bundle_id:
                await self._prove(bundle_id)
            await self.store.shadow(bundle_id)
            wanted = await self.store.wanted()
            await self._follow(wanted)
            return wanted

    async def follow(self) -> None:
        """Poll once, as a background task, and once a second report this worker's bundles.

        Raises:
            StoreUnavailableError: If the store cannot be read, or takes no report.
        """
        await self.poll()
        now_s = self.monotonic_s()
        if now_s >= self._report_at_s:
            await self.store.report(self.report())
            self._report_at_s = now_s + REPORT_EVERY_S

    async def poll(self) -> None:
        """Serve the bundles that the store wants now.

        Raises:
            StoreUnavailableError: If the store cannot be read; everything stays.
        """
        async with self._lock:
            wanted = await self.store.wanted()
            if wanted == NOTHING and self._wanted != NOTHING:
                _log.warning("store was emptied; re-publishing the active bundle")
                await self.store.restore(self._wanted)
                wanted = self._wanted
            await self._follow(wanted)

    async def hold(self, bundle_ids: frozenset[str]) -> None:
        """Return once each bundle that variants are answered with is held, or refused.

        Others that were held for variants are dropped by `poll`, which also tries refused ones
        again. Where nothing is to be loaded this waits for nothing: an experiment can be ended
        also while a bundle is being loaded.
        """
        self._named = bundle_ids
        if bundle_ids - {*self.live.beside, self.live.model.bundle_id, *self._refused}:
            async with self._lock:
                await self._follow_plan()

    def report(self) -> WorkerReport:
        """Return the bundles that this worker serves, and why it does not serve wanted ones."""
        named = sorted(self._named)
        wanted = (self._wanted.active, self._wanted.previous, self._wanted.shadow, *named)
        refused = [self._refused[one].reason for one in wanted if one in self._refused]
        return WorkerReport(
            worker=self.name,
            active=self.live.model.bundle_id,
            previous=self._wanted.previous if self._wanted.previous in self._loaded else "",
            shadow=self._shadow_id,
            failure="; ".join(refused) or self.live.model.failure,
            n_unread_pictures=self.live.n_other_scene_model,
        )

    def refusal(self, bundle_id: str) -> str:
        """Return why this worker cannot use a wanted bundle; empty if it does, or never tried."""
        refused = self._refused.get(bundle_id)
        return "" if refused is None else refused.reason

    async def _follow(self, wanted: Wanted) -> None:
        self._wanted = wanted
        if (
            wanted.active
            and wanted.active != self.live.model.bundle_id
            and await self._switch(wanted.active, self.live.serve)
        ):
            _log.info("the active bundle changed", bundle=wanted.active)
        refusal = self._refused.get(wanted.active)
        self.live.refused = refusal and f"{self.live.model.bundle_id} answers: {refusal.reason}"
        if wanted.shadow != self._shadow_id:
            if not wanted.shadow:
                await self.live.shadow_by(None)
                self._shadow_id = ""
            elif await self._switch(wanted.shadow, self.live.shadow_by):
                self._shadow_id = wanted.shadow
        if wanted.previous:
            _ = await self._switch(wanted.previous, None)  # kept ready
        await self._follow_plan()
        # The previous bundle stays loaded and verified: a roll-back switches at once.
        kept = {
            *(self.live.model.bundle_id, wanted.active, wanted.previous),
            *(wanted.shadow, self._shadow_id),
            *self._named,
        }
        self._loaded = {one: model for one, model in self._loaded.items() if one in kept}
        # One that is wanted again later may have been mended: `hold` waits until it is tried.
        self._refused = {one: why for one, why in self._refused.items() if one in kept}

    async def _follow_plan(self) -> None:
        """Hold the bundles that variants name, except the active one, and drop all others."""
        named = self._named - {self.live.model.bundle_id}
        if self.live.beside - named:
            await self.live.keep_beside(named)
        for bundle_id in sorted(named - self.live.beside):
            _ = await self._switch(bundle_id, self.live.serve_beside)

    async def _activate(self, bundle_id: str) -> Wanted:
        async with self._lock:
            await self._prove(bundle_id)
            wanted = await self.store.activate(bundle_id, instead_of=self.live.model.bundle_id)
            await self._follow(wanted)
            return wanted

    async def _prove(self, bundle_id: str) -> None:
        """Load a bundle and build a catalogue for it, before any worker is to serve it."""
        await self._used(bundle_id, self.live.rehearse)
        self._refused.pop(bundle_id, None)

    async def _switch(self, bundle_id: str, use: _Use | None) -> bool:
        """Use a wanted bundle, or record why it cannot be used; return whether it is used."""
        refusal, now_s = self._refused.get(bundle_id), self.monotonic_s()
        if refusal is not None and now_s < refusal.look_at_s:
            return False
        cause = await self._cause(bundle_id)
        if refusal is not None and refusal.cause == cause and now_s < refusal.retry_at_s:
            refusal.look_at_s = now_s + RETRY_S
            return False
        try:
            await self._used(bundle_id, use)
        except (BundleRefusedError, UnknownBundleError) as exc:
            if refusal is None:
                _log.error("the store wants a bundle that fails", bundle=bundle_id, reason=str(exc))
            # It may be copied to this machine a little later, or the sales may change.
            now_s = self.monotonic_s()
            self._refused[bundle_id] = _Refusal(
                str(exc), cause, now_s + RETRY_S, now_s + RETRY_UNCHANGED_S
            )
            return False
        self._refused.pop(bundle_id, None)
        return True

    async def _cause(self, bundle_id: str) -> object:
        """Return what a refusal depends on: the sales of a loaded bundle, or else its files."""
        if bundle_id in self._loaded:
            return self.live.served and self.live.served.content.id
        return await asyncio.get_running_loop().run_in_executor(
            self.pool, self.repository.cause, bundle_id
        )

    async def _used(self, bundle_id: str, use: _Use | None) -> None:
        try:
            if bundle_id not in self._loaded:
                self._loaded[bundle_id] = await asyncio.get_running_loop().run_in_executor(
                    self.pool, self.repository.load, bundle_id
                )
                self.metrics.bundles.labels("loaded").inc()
            if use is not None:
                await use(self._loaded[bundle_id])
        except ValueError as exc:
            self.metrics.bundles.labels("refused").inc()
            raise BundleRefusedError(bundle_id, str(exc)) from exc
        except (BundleRefusedError, UnknownBundleError):
            self.metrics.bundles.labels("refused").inc()
            raise
