"""Exposure queue: buffers exposure records, so that answers never wait for the store."""

import asyncio
from concurrent.futures import Executor
from typing import Final

from app.catalogue.catalogue_version import CatalogueVersion
from app.catalogue.snapshot_archive import SnapshotArchive
from app.errors import StoreUnavailableError
from app.observability import Metrics, get_logger
from app.stores.exposure import ExposureLog, PackedExposure
from models.experiments.exposure_record import ExposureRecord

# Of packed records: five thousand of customers with full windows, see docs/store.md.
CAPACITY_BYTES: Final = 16 * 1024 * 1024

# Records in one round trip at most; chosen, not measured.
BATCH: Final = 256

# The first of a batch waits for others: a round trip costs more than a record. Chosen.
LINGER_S: Final = 0.05

# A round without answers ends after this: a task that stays silent counts as hung.
IDLE_S: Final = 1.0

_log = get_logger(__name__)

Waiting = tuple[PackedExposure, CatalogueVersion | None]
"""A record, and the snapshot that must be on disk before the record is in the log."""


class ExposureQueue:
    """Bounded queue of exposure records; records that do not fit are dropped and counted."""

    def __init__(
        self, log: ExposureLog, archive: SnapshotArchive, *, pool: Executor, metrics: Metrics
    ) -> None:
        self._log = log
        self._archive = archive
        self._pool = pool
        self._metrics = metrics
        self._queue: asyncio.Queue[Waiting] = asyncio.Queue()
        self._n_bytes = 0
        self._batch: list[Waiting] = []
        self._is_disk_away = False

    def put(self, record: ExposureRecord, served: CatalogueVersion | None) -> None:
        """Take the record of an answer and its catalogue, or drop it where the queue is full."""
        packed = PackedExposure.from_record(record)
        if self._n_bytes + len(packed.content) > CAPACITY_BYTES:
            self._metrics.exposures_dropped.inc()
            return
        self._n_bytes += len(packed.content)
        self._queue.put_nowait((packed, served))

    async def log_batch(self) -> None:
        """Log the next batch, as a background task, or return where there is nothing to log.

        A batch that the store refuses is kept for the next call, and records that it refuses go
        to the end of the queue; a batch that fails otherwise is dropped and counted, as it would
        fail again.

        Raises:
            StoreUnavailableError: If the store takes no batch, or not all of it.
        """
        if not self._batch:
            try:
                self._batch.append(await asyncio.wait_for(self._queue.get(), IDLE_S))
            except TimeoutError:
                return
            await asyncio.sleep(LINGER_S)
            while len(self._batch) < BATCH and not self._queue.empty():
                self._batch.append(self._queue.get_nowait())
        try:
            # First the snapshots: a record in the log can then always be replayed.
            await self._keep_snapshots()
            errors = await self._log.append([packed for packed, _ in self._batch])
        except StoreUnavailableError:
            raise
        except Exception:
            self._metrics.exposures_dropped.inc(len(self._batch))
            self._forget_batch()
            raise
        refused = [one for one, error in zip(self._batch, errors, strict=True) if error]
        # Before the batch is forgotten: `drain` waits for them too.
        for waiting in refused:
            self._queue.put_nowait(waiting)
        self._n_bytes += sum(len(packed.content) for packed, _ in refused)
        self._forget_batch()
        if refused:
            raise next(filter(None, errors))

    async def drain(self) -> None:
        """Return when everything taken so far is logged."""
        await self._queue.join()

    def _forget_batch(self) -> None:
        for packed, _ in self._batch:
            self._n_bytes -= len(packed.content)
            self._queue.task_done()
        self._batch = []

    async def _keep_snapshots(self) -> None:
        loop = asyncio.get_running_loop()
        snapshots = {served.snapshot_id: served for _, served in self._batch if served}
        for served in snapshots.values():
            try:
                await loop.run_in_executor(self._pool, self._archive.keep, served)
            except OSError as exc:
                self._metrics.files_not_kept.labels("snapshot").inc()
                if not self._is_disk_away:
                    _log.warning(
                        "a snapshot is not kept: its answers cannot be replayed", reason=str(exc)
                    )
                self._is_disk_away = True
            else:
                self._is_disk_away = False
