"""The catalogue that answers see: read from the store, rebuilt aside, swapped at once."""

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from typing import Final, TypeVar

from app.errors import StoreUnavailableError
from app.observability import Metrics, get_logger
from app.serving.archive import SnapshotArchive
from app.serving.clock import StoreClock
from app.serving.history import CountHistory, by_row
from app.serving.ports import EventCounts, SaleChanges, Stores
from app.serving.served import ServedCatalogue, Source
from models.counters import GRID_US, HOUR_US, grid_floor
from models.events import SECOND_US
from models.sale import PictureScores, Sale
from models.scoring import Scorer
from models.snapshot import Snapshot
from models.topics import Topics

POLL_S: Final = 0.25
STALE_AFTER_US: Final = 60 * SECOND_US

T = TypeVar("T")

_log = get_logger(__name__)


class LiveCatalogue:
    """Follows the store; between two reads nothing changes.

    Attributes:
        served: The catalogue that answers see; None before there is any.
    """

    def __init__(
        self,
        stores: Stores,
        scorer: Scorer | None,
        *,
        archive: SnapshotArchive,
        clock: StoreClock,
        pool: Executor,
        metrics: Metrics,
    ) -> None:
        self.served: ServedCatalogue | None = None
        self._stores = stores
        self._scorer = scorer
        self._archive = archive
        self._clock = clock
        self._pool = pool
        self._metrics = metrics
        self._history = CountHistory(stores.counts)
        self._sales: dict[str, Sale] = {}
        self._topics = scorer.topics if scorer else Topics.none()
        self._pictures = self._known_pictures()
        self._version = 0
        self._changed = True
        self._grid_us: int | None = None
        self._new_sales_us = 0
        self._confirmed_us: int | None = None

    @property
    def is_stale(self) -> bool:
        """Whether the store has not confirmed the catalogue within the last minute."""
        confirmed = self._confirmed_us
        return confirmed is None or self._clock.now_us() - confirmed > STALE_AFTER_US

    async def run(self) -> None:
        """Refresh for ever; what the store cannot say now, it says later."""
        reachable = True
        while True:
            try:
                await self.refresh()
                if not reachable:
                    _log.info("the store answers again")
                reachable = True
            except (StoreUnavailableError, ValueError) as exc:
                # A catalogue that cannot be built is as useless as one that cannot be read.
                self._metrics.refreshes_failed.inc()
                if reachable:
                    _log.warning("the catalogue is not refreshed", reason=str(exc))
                reachable = False
            await asyncio.sleep(POLL_S)

    async def refresh(self) -> None:
        """Bring the catalogue to what the store holds now.

        Raises:
            StoreUnavailableError: If the store cannot be read; the old catalogue stays.
        """
        now_us = await self._stores.server.time_us()
        self._clock.set(now_us)
        grid_us = grid_floor(now_us)
        if self._apply(await self._changes()):
            self._new_sales_us = grid_us
        if self._changed or grid_us != self._grid_us:
            # A data set is loaded sales first: its counts of the past may come a little later.
            if grid_us <= self._new_sales_us + GRID_US:
                self._history.forget()
            counts = await self._history.until(grid_us)
            self.served = await self._in_pool(lambda: self._build(counts, grid_us))
            if self._grid_us is None or grid_us % HOUR_US == 0:
                await self._in_pool(lambda: self._archive.prune(now_us))
            self._changed, self._grid_us = False, grid_us
        self._confirmed_us = now_us

    async def fall_back(self) -> None:
        """Serve what this machine saved, or else the bundle's seed, until the store answers."""
        self.served = await self._in_pool(self._saved_or_seed)

    async def _changes(self) -> SaleChanges:
        changes = await self._stores.sales.changes(self._version)
        if changes.version >= self._version:
            return changes
        _log.warning("the store was emptied; everything is read again")
        self._version, self._changed = 0, True
        self._sales.clear()
        self._pictures = self._known_pictures()
        self._history.forget()
        return await self._stores.sales.changes(0)

    def _apply(self, changes: SaleChanges) -> bool:
        """Take over what changed; return whether there are sales that were not known."""
        if changes.version == self._version:
            return False
        self._changed = True
        self._version = changes.version
        has_new = any(sale.sale_id not in self._sales for sale in changes.sales)
        self._sales.update((sale.sale_id, sale) for sale in changes.sales)
        for picture in changes.pictures:
            if self._scorer and picture.scene_model == self._scorer.scene_model:
                self._pictures[picture.sale_id] = picture.scores
        for sale_id in changes.deleted:
            self._sales.pop(sale_id, None)
        self._forget_pictures(changes.unpictured)
        return has_new

    def _known_pictures(self) -> dict[str, PictureScores]:
        return dict(self._scorer.pictures) if self._scorer else {}

    def _forget_pictures(self, sale_ids: Sequence[str]) -> None:
        # What a worker that starts now would know of them.
        known = self._known_pictures()
        for sale_id in sale_ids:
            self._pictures.pop(sale_id, None)
            if sale_id in known:
                self._pictures[sale_id] = known[sale_id]

    def _build(self, counts: EventCounts, grid_us: int) -> ServedCatalogue:
        if not self._changed and self.served is not None:
            if self.served.source is Source.SEED:
                return self.served
            catalogue = self.served.catalogue
            return self.served.with_counts(by_row(counts, catalogue, grid_us=grid_us))
        if self._version == 0 and self._scorer is not None:
            return _seed(self._scorer)
        content = Snapshot.of(self._sales, self._pictures)
        catalogue = content.catalogue(self._topics)
        catalogue = catalogue.with_counts(by_row(counts, catalogue, grid_us=grid_us))
        return ServedCatalogue.of(content, catalogue, source=Source.STORE)

    def _saved_or_seed(self) -> ServedCatalogue | None:
        try:
            saved = self._archive.latest(self._topics)
        except (OSError, ValueError) as exc:
            _log.warning("the saved snapshot is unreadable", reason=str(exc))
            saved = None
        return saved or (_seed(self._scorer) if self._scorer else None)

    async def _in_pool(self, build: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._pool, build)


def _seed(scorer: Scorer) -> ServedCatalogue:
    return ServedCatalogue.of(scorer.snapshot, scorer.seed_catalogue(), source=Source.SEED)
