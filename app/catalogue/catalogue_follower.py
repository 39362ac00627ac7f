"""The catalogue that answers see: read from the store, rebuilt aside, swapped at once."""

import asyncio
from collections.abc import Callable, Collection
from concurrent.futures import Executor
from contextlib import suppress
from typing import Final, TypeVar

from app.catalogue.catalogue_version import CatalogueVersion, Source
from app.catalogue.clock import StoreClock
from app.catalogue.count_history import NO_COUNTS, CountHistory
from app.catalogue.known_catalogue import CatalogueUpdate, KnownCatalogue, SavedCatalogue
from app.catalogue.model import Model
from app.catalogue.model_catalogue import ModelCatalogue, seed
from app.catalogue.pulse import Pulse
from app.catalogue.snapshot_archive import STATE_ADVICE, SnapshotArchive
from app.errors import StoreUnavailableError
from app.observability import Metrics, get_logger
from app.stores.store import Stores
from models.catalogue.event_counts import GRID_US, HOUR_US, grid_floor
from models.domain.event import SECOND_US
from models.domain.sale import Sale

STALE_AFTER_US: Final = 60 * SECOND_US

CATCH_UP_S: Final = 1.0
"""Longer than a read of a customer may take: the catalogue may have to be built."""

T = TypeVar("T")

_log = get_logger(__name__)


class CatalogueFollower:
    """Follows the store; between two reads nothing changes."""

    def __init__(
        self,
        stores: Stores,
        model: Model,
        *,
        archive: SnapshotArchive,
        clock: StoreClock,
        pool: Executor,
        metrics: Metrics,
    ) -> None:
        """Begin with a model, and without a catalogue."""
        self._stores = stores
        self._view = ModelCatalogue(model)
        self._shadow: ModelCatalogue | None = None
        self._beside: dict[str, ModelCatalogue] = {}
        self._archive = archive
        self._clock = clock
        self._pool = pool
        self._metrics = metrics
        self._history = CountHistory(stores.counts)
        self._counts = NO_COUNTS
        self._known = KnownCatalogue(stores.sales, self._saved)
        self._changed = True
        self._grid_us: int | None = None
        self._new_sales_us = 0
        self._confirmed_us: int | None = None
        self._is_refused = False
        self.unsaved: str | None = None
        """Why this machine does not have the catalogue in its state directory; None if it has."""
        self._pulse = Pulse(clock.elapsed_us)
        self._tried_us = clock.elapsed_us()
        self._catching_up: asyncio.Task[None] | None = None
        # Two builds at once would swap in the order in which they end.
        self._building = asyncio.Lock()

    @property
    def model(self) -> Model:
        """The model that answers; `served` always fits it."""
        return self._view.model

    @property
    def served(self) -> CatalogueVersion | None:
        """The catalogue that answers see, with its scorer; None before there is any."""
        return self._view.served

    @property
    def shadow(self) -> CatalogueVersion | None:
        """The same sales with the scorer that nobody sees; None without one."""
        return self._shadow.served if self._shadow else None

    @property
    def beside(self) -> frozenset[str]:
        """Ids of the bundles that answer some variants beside the one that answers."""
        return frozenset(self._beside)

    def served_by(self, bundle_id: str | None) -> CatalogueVersion | None:
        """The catalogue with the scorer of a bundle, with None of the one that answers.

        None if that bundle is not held.
        """
        if bundle_id is None or bundle_id == self.model.bundle_id:
            return self.served
        view = self._beside.get(bundle_id)
        return view.served if view else None

    @property
    def n_unread(self) -> int:
        """Pictures in the store that the model does not understand."""
        return self._view.n_unread

    @property
    def is_stale(self) -> bool:
        """Whether the store has not confirmed the catalogue within the last minute."""
        confirmed = self._confirmed_us
        return confirmed is None or self._clock.elapsed_us() - confirmed > STALE_AFTER_US

    @property
    def is_behind(self) -> bool:
        """Whether this process was paused, and has not tried to read the store since."""
        return self._tried_us < self._pulse.resumed_us

    @property
    def lacking(self) -> str | None:
        """What the store lost of the catalogue that answers; None if nothing."""
        return self._known.lacking

    def is_outdated(self, sale_id: str, stored: Sale | None) -> bool:
        """Tell whether what the store holds of a sale is older than what answers see."""
        return self._known.is_outdated(sale_id, stored)

    async def follow(self) -> None:
        """Refresh once, as a background task; a catalogue that cannot be built is logged once.

        Raises:
            StoreUnavailableError: See `refresh`.
        """
        try:
            await self.refresh()
        except StoreUnavailableError:
            self._metrics.refreshes_failed.inc()
            raise
        except ValueError as exc:
            self._metrics.refreshes_failed.inc()
            if not self._is_refused:
                _log.error("the catalogue is not refreshed", reason=str(exc))
            self._is_refused = True
        else:
            self._is_refused = False

    async def refresh(self) -> None:
        """Bring the catalogue to what the store holds now.

        Raises:
            StoreUnavailableError: If the store cannot be read; the old catalogue stays.
        """
        async with self._building:
            began_us = self._clock.elapsed_us()
            try:
                await self._refresh()
            finally:
                self._tried_us = began_us

    async def beat(self) -> None:
        """Note that this process runs, as a background task."""
        self._pulse.beat()

    async def catch_up(self) -> None:
        """Refresh before an answer where this process was paused since the last attempt.

        All answers wait for the same attempt, `CATCH_UP_S` at most: a store that is away is an
        outage, in which nothing waits.
        """
        self._pulse.beat()
        if not self.is_behind:
            return
        if self._catching_up is None or self._catching_up.done():
            self._catching_up = asyncio.create_task(self._try_to_follow())
        await asyncio.wait({self._catching_up}, timeout=CATCH_UP_S)

    async def serve(self, model: Model) -> None:
        """Answer with another model, from one moment on, with a catalogue built for it aside.

        Raises:
            ValueError: If none can be built for it; the model before answers on.
        """
        async with self._building:
            self._view = await self._viewed_by(model)
            if self._grid_us is not None:
                await self._in_pool(self._save)

    async def shadow_by(self, model: Model | None) -> None:
        """Keep a catalogue for a model that nobody sees as well; with None, no longer.

        Raises:
            ValueError: If none can be built for it; all stays as it was.
        """
        async with self._building:
            self._shadow = await self._viewed_by(model) if model else None

    async def serve_beside(self, model: Model) -> None:
        """Keep a catalogue for a model that some variants are answered with as well.

        Raises:
            ValueError: If none can be built for it; all stays as it was.
        """
        async with self._building:
            view = await self._viewed_by(model)
            self._beside = {**self._beside, model.bundle_id: view}

    async def keep_beside(self, bundle_ids: Collection[str]) -> None:
        """Hold of the models beside the one that answers only these."""
        async with self._building:
            kept = {one: view for one, view in self._beside.items() if one in bundle_ids}
            self._beside = kept

    async def rehearse(self, model: Model) -> None:
        """Build the catalogue for a model and keep nothing of it.

        Raises:
            ValueError: If none can be built for it.
        """
        async with self._building:
            _ = await self._viewed_by(model)

    async def _try_to_follow(self) -> None:
        with suppress(StoreUnavailableError):
            await self.follow()

    async def _refresh(self) -> None:
        now_us = await self._stores.server.time_us()
        self._clock.set(now_us)
        grid_us = grid_floor(now_us)
        if self._take(await self._known.update(now_us)):
            self._new_sales_us = grid_us
        await self._known.report()
        is_next = grid_us != self._grid_us
        is_due = grid_us % HOUR_US == 0 or self.unsaved is not None
        is_worth_saving = self._changed or (is_next and is_due)
        if self._changed or is_next:
            # A data set brings its counts of the past with its sales. A store that lost sales lost
            # its counts too: those that are known stay until it is whole.
            if grid_us <= self._new_sales_us + GRID_US and self.lacking is None:
                self._history.forget()
            self._counts = await self._history.until(grid_us)
            for view in self._views():
                await self._in_pool(lambda view=view: self._build(view, grid_us))
            self._changed, self._grid_us = False, grid_us
        # Not by the store's clock: a store that another one replaced may have jumped.
        self._confirmed_us = self._clock.elapsed_us()
        if is_worth_saving:
            await self._in_pool(self._save)

    async def fall_back(self) -> None:
        """Serve what this machine saved, or else the bundle's seed, until the store answers."""
        async with self._building:
            self._view.served = await self._in_pool(lambda: self._saved_or_seed(self._view.model))

    def _views(self) -> tuple[ModelCatalogue, ...]:
        others = (self._shadow, *self._beside.values())
        return (self._view, *(view for view in others if view is not None))

    async def _viewed_by(self, model: Model) -> ModelCatalogue:
        view = ModelCatalogue(model)
        view.see(self._known.pictures.values())
        if self._grid_us is None:
            view.served = await self._in_pool(lambda: self._saved_or_seed(model))
        else:
            grid_us = self._grid_us
            await self._in_pool(lambda: self._rebuild(view, grid_us))
        return view

    def _take(self, update: CatalogueUpdate) -> bool:
        """Show an update to the views; return whether it has sales that were not known."""
        changes = update.changes
        if update.is_replaced:
            for view in self._views():
                view.forget_all()
        self._changed = self._changed or not update.is_empty
        for view in self._views():
            view.see(changes.pictures)
            view.forget(changes.unpictured)
        return update.has_new

    def _build(self, view: ModelCatalogue, grid_us: int) -> None:
        if self._changed or view.served is None:
            self._rebuild(view, grid_us)
        else:
            view.count(self._counts, grid_us=grid_us)

    def _rebuild(self, view: ModelCatalogue, grid_us: int) -> None:
        if self._known.is_blank and view.model.scorer is not None:
            view.serve_seed()
        else:
            view.build(self._known.sales, self._counts, grid_us=grid_us)

    def _saved_or_seed(self, model: Model) -> CatalogueVersion | None:
        try:
            saved = self._archive.latest(model.scorer)
        except (OSError, ValueError) as exc:
            _log.warning("the saved snapshot is unreadable", reason=str(exc))
            saved = None
        return saved or (seed(model.scorer) if model.scorer else None)

    def _save(self) -> None:
        """Write the catalogue down for workers of this machine that begin later."""
        served = self.served
        if served is None or served.source is not Source.STORE or not self._known.generation:
            return
        try:
            self._archive.remember(
                served, generation=self._known.generation, version=self._known.version
            )
        except OSError as exc:
            self._metrics.files_not_kept.labels("catalogue").inc()
            if self.unsaved is None:
                _log.warning(
                    f"the catalogue is not saved on this machine: {STATE_ADVICE}", reason=str(exc)
                )
            self.unsaved = str(exc)
        else:
            self.unsaved = None

    async def _saved(self) -> SavedCatalogue | None:
        try:
            return await self._in_pool(self._archive.saved)
        except (OSError, ValueError) as exc:
            _log.warning("the saved snapshot is unreadable", reason=str(exc))
            return None

    async def _in_pool(self, build: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._pool, build)
