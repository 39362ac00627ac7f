"""Catalogue follower: polls the store, rebuilds the catalogue in a thread, and swaps it whole."""

import asyncio
from collections.abc import Callable, Collection, Mapping
from concurrent.futures import Executor
from contextlib import suppress
from typing import Final, TypeVar

from app.catalogue.catalogue_version import CatalogueVersion, Source
from app.catalogue.clock import StoreClock
from app.catalogue.count_history import NO_COUNTS, CountHistory
from app.catalogue.known_catalogue import CatalogueUpdate, KnownCatalogue
from app.catalogue.model import Model
from app.catalogue.model_catalogue import ModelCatalogue, seed
from app.catalogue.pause_detector import PauseDetector
from app.catalogue.snapshot_archive import STATE_ADVICE, SnapshotArchive
from app.errors import StoreUnavailableError
from app.observability import Metrics, get_logger
from app.stores.count import LOADED
from app.stores.sale import Place
from app.stores.store import Stores
from models.catalogue.event_counts import GRID_US, grid_floor
from models.domain.sale import Sale
from models.domain.units import HOUR_US, SECOND_US

# Chosen: failovers end within seconds (docs/store.md), and the model ranks through them; a
# catalogue of a minute ago lacks few sales.
STALE_AFTER_US: Final = 60 * SECOND_US

# Promised in docs/dataset.md: while the store answers, a change shows within a second.
LATE_AFTER_US: Final = SECOND_US

# Chosen: longer than the timeout of a customer's read, as the catalogue may have to be built.
CATCH_UP_S: Final = 1.0

# Chosen: within the seconds of docs/store.md, and seldom enough to cost little while it lasts.
COUNT_AGAIN_US: Final = 2 * SECOND_US

T = TypeVar("T")

_log = get_logger(__name__)


class CatalogueFollower:
    """Follows the sales of the store; the catalogue never changes between two reads.

    Besides the catalogue of the model that answers it holds one for the shadow, and one for each
    bundle that variants of experiments name.
    """

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
        self._counted_us = 0
        self._known = KnownCatalogue(
            stores.sales, lambda: self._in_pool(lambda: self._read_saved(archive.last_sales))
        )
        self._changed = True
        self._grid_us: int | None = None
        self._new_sales_us = 0
        self._confirmed_us: int | None = None
        self._read_us: int | None = None
        self.unread: str | None = None
        """Why the last reading of the store failed; None if it did not."""
        self.unbuilt: str | None = None
        """Why no catalogue can be built of what the store holds; None if it can."""
        self.unsaved: str | None = None
        """Why this machine does not have the catalogue in its state directory; None if it has."""
        self.refused: str | None = None
        """Why another bundle answers than the active one; None if the active one does."""
        self._pauses = PauseDetector(clock.elapsed_us)
        self._tried_us = clock.elapsed_us()
        self._catching_up: asyncio.Task[None] | None = None
        # Of two builds at once the slower one would win, though it read the store first.
        self._building = asyncio.Lock()

    @property
    def model(self) -> Model:
        """The model that answers; `served` is always built for it."""
        return self._view.model

    @property
    def served(self) -> CatalogueVersion | None:
        """The catalogue that answers are made from, with its scorer; None before the first."""
        return self._view.served

    @property
    def shadow(self) -> CatalogueVersion | None:
        """The same sales with the scorer of the shadow; None without one."""
        return self._shadow.served if self._shadow else None

    @property
    def beside(self) -> frozenset[str]:
        """Ids of the bundles that only variants of experiments are answered with."""
        return frozenset(self._beside)

    def served_by(self, bundle_id: str | None) -> CatalogueVersion | None:
        """Return the catalogue with the scorer of a bundle, None for the one that answers.

        Returns:
            The catalogue; None if the bundle is not loaded.
        """
        if bundle_id is None or bundle_id == self.model.bundle_id:
            return self.served
        view = self._beside.get(bundle_id)
        return view.served if view else None

    @property
    def n_other_scene_model(self) -> int:
        """Number of the store's pictures that another scene model labelled."""
        return self._view.n_other_scene_model

    @property
    def is_stale(self) -> bool:
        """Whether the store has not confirmed the catalogue within the last minute."""
        confirmed = self._confirmed_us
        return confirmed is None or self._clock.elapsed_us() - confirmed > STALE_AFTER_US

    @property
    def has_stale_counts(self) -> bool:
        """Whether counts are too old to rank by; see `CatalogueVersion.has_stale_counts`."""
        return self.served is not None and self.served.has_stale_counts(self._clock.now_us())

    @property
    def uncounted(self) -> str | None:
        """Why some counts are only the last known ones; None if all are those of the store."""
        unread = self._counts.unread
        if not unread:
            return None
        first = next(iter(unread.values()))
        return f"{len(unread)} of {LOADED + 1} parts of the counts are the last known ones: {first}"

    @property
    def is_behind(self) -> bool:
        """Whether this process was paused, and has not tried to read the store since."""
        return self._tried_us < self._pauses.resumed_us

    @property
    def is_late(self) -> bool:
        """Whether the catalogue may lack a change of more than a second ago.

        It has all changes up to the beginning of its last complete reading. False before the first.
        """
        read_us = self._read_us
        return read_us is not None and self._clock.elapsed_us() - read_us > LATE_AFTER_US

    @property
    def lacking(self) -> str | None:
        """What the store lost of the sales known here; None if nothing."""
        return self._known.lacking

    @property
    def unreadable(self) -> Mapping[str, str]:
        """Why stored sales cannot be read, by id: the catalogue is built without them."""
        return self._known.unreadable

    @property
    def unreadable_pictures(self) -> Mapping[Place, str]:
        """Why stored pictures cannot be read, by sale id and number; as `unreadable`."""
        return self._known.unreadable_pictures

    def is_outdated(self, sale_id: str, stored: Sale | None) -> bool:
        """Tell whether the store's state of a sale is older than the served one."""
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
            if self.unbuilt is None:
                _log.error("the catalogue cannot be built: the last one stays", reason=str(exc))
            self.unbuilt = str(exc)
        else:
            self.unbuilt = None

    async def refresh(self) -> None:
        """Read the store and rebuild the catalogue where it changed.

        Raises:
            StoreUnavailableError: If the store cannot be read; the old catalogue stays.
        """
        async with self._building:
            began_us = self._clock.elapsed_us()
            try:
                await self._refresh(began_us)
            except StoreUnavailableError as exc:
                self.unread = str(exc)
                raise
            finally:
                self._tried_us = began_us

    async def beat(self) -> None:
        """Record that this process runs, as a background task."""
        self._pauses.beat()

    async def catch_up(self) -> None:
        """Refresh before an answer if this process was paused since the last attempt.

        All answers wait for one attempt, `CATCH_UP_S` at most: in an outage answers never wait
        for the store.
        """
        self._pauses.beat()
        if not self.is_behind:
            return
        if self._catching_up is None or self._catching_up.done():
            self._catching_up = asyncio.create_task(self._try_to_follow())
        await asyncio.wait({self._catching_up}, timeout=CATCH_UP_S)

    async def serve(self, model: Model) -> None:
        """Answer with another model, once a catalogue is built for it.

        Raises:
            ValueError: If no catalogue can be built for it; the model before stays.
        """
        async with self._building:
            self._view = await self._viewed_by(model)
            if self._grid_us is not None:
                await self._in_pool(self._save)

    async def shadow_by(self, model: Model | None) -> None:
        """Hold a catalogue for the model of the shadow too; None ends it.

        Raises:
            ValueError: If no catalogue can be built for it; nothing changed.
        """
        async with self._building:
            self._shadow = await self._viewed_by(model) if model else None

    async def serve_beside(self, model: Model) -> None:
        """Hold a catalogue for a model that some variants are answered with too.

        Raises:
            ValueError: If no catalogue can be built for it; nothing changed.
        """
        async with self._building:
            view = await self._viewed_by(model)
            self._beside = {**self._beside, model.bundle_id: view}

    async def keep_beside(self, bundle_ids: Collection[str]) -> None:
        """Drop the models of variants that are not among these bundles."""
        async with self._building:
            kept = {one: view for one, view in self._beside.items() if one in bundle_ids}
            self._beside = kept

    async def rehearse(self, model: Model) -> None:
        """Build a catalogue for a model and discard it.

        Raises:
            ValueError: If no catalogue can be built for it.
        """
        async with self._building:
            _ = await self._viewed_by(model)

    async def _try_to_follow(self) -> None:
        with suppress(StoreUnavailableError):
            await self.follow()

    async def _refresh(self, began_us: int) -> None:
        now_us = await self._stores.server.time_us()
        self._clock.set(now_us)
        grid_us = grid_floor(now_us)
        update = await self._known.update(now_us)
        self.unread = None
        if update.has_new:
            self._new_sales_us = grid_us
        # Stays set if the build below fails: the next refresh builds again.
        self._changed = self._changed or not update.is_empty
        self._take_pictures(update)
        if not self._changed:
            self._read_us = began_us
        await self._known.report()
        is_next = grid_us != self._grid_us
        # Changed sales are saved at once, mere counts by the hour: each save writes a file.
        is_due = grid_us % HOUR_US == 0 or self.unsaved is not None
        is_worth_saving = self._changed or (is_next and is_due)
        if self._changed or is_next or self._is_due_again():
            # `load` puts counts of the past with its sales: read them all again. A store that lost
            # sales lost its counts too: keep the known ones until it is whole.
            if grid_us <= self._new_sales_us + GRID_US and self.lacking is None:
                self._history.forget()
            self._counts = await self._history.until(grid_us)
            for view in self._views():
                await self._in_pool(lambda view=view: self._build(view, grid_us))
            self._changed, self._grid_us = False, grid_us
            self._read_us = began_us
            self._counted_us = self._clock.elapsed_us()
        # Not by the store's clock: that of a store that replaced another one may differ.
        self._confirmed_us = self._clock.elapsed_us()
        if is_worth_saving:
            await self._in_pool(self._save)

    def _take_pictures(self, update: CatalogueUpdate) -> None:
        for view in self._views():
            if update.is_replaced:
                view.forget_all()
            view.add_pictures(update.changes.pictures)
            view.forget_pictures(update.changes.unpictured)
            view.forget_pictures(update.changes.unreadable_pictures)

    async def fall_back(self) -> None:
        """Serve the catalogue saved here, or else that of the bundle, in an outage of the store."""
        async with self._building:
            self._view.served = await self._in_pool(lambda: self._saved_or_seed(self._view.model))

    def _is_due_again(self) -> bool:
        """Tell whether to look if parts of the counts that were away are back."""
        elapsed_us = self._clock.elapsed_us() - self._counted_us
        return bool(self._counts.unread) and elapsed_us >= COUNT_AGAIN_US

    def _views(self) -> tuple[ModelCatalogue, ...]:
        others = (self._shadow, *self._beside.values())
        return (self._view, *(view for view in others if view is not None))

    async def _viewed_by(self, model: Model) -> ModelCatalogue:
        view = ModelCatalogue(model)
        view.add_pictures(self._known.pictures.values())
        if self._grid_us is None:
            view.served = await self._in_pool(lambda: self._saved_or_seed(model))
        else:
            grid_us = self._grid_us
            await self._in_pool(lambda: self._build(view, grid_us))
        return view

    def _build(self, view: ModelCatalogue, grid_us: int) -> None:
        scorer = view.model.scorer
        if view.served is not None and not self._changed:
            view.set_counts(self._counts, grid_us=grid_us)
        elif self._known.is_blank and scorer is not None:
            view.served = seed(scorer)
        else:
            view.build(self._known.sales, self._counts, grid_us=grid_us)

    def _saved_or_seed(self, model: Model) -> CatalogueVersion | None:
        saved = self._read_saved(lambda: self._archive.last_version(model.scorer))
        return saved or (seed(model.scorer) if model.scorer else None)

    def _read_saved(self, read: Callable[[], T | None]) -> T | None:
        try:
            return read()
        except (OSError, ValueError) as exc:
            _log.warning("the saved snapshot is unreadable", reason=str(exc))
            return None

    def _save(self) -> None:
        """Save the catalogue for workers of this machine that start in an outage of the store."""
        served = self.served
        if served is None or served.source is not Source.STORE or not self._known.generation:
            return
        try:
            self._archive.remember(
                served,
                generation=self._known.generation,
                version=self._known.version,
                deleted=self._known.deleted,
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

    async def _in_pool(self, build: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._pool, build)
