"""Exposure records on their way to the log: answers never wait for them."""

import asyncio
from concurrent.futures import Executor
from dataclasses import dataclass
from typing import Final

from app.errors import StoreUnavailableError
from app.observability import Metrics, get_logger
from app.serving.archive import SnapshotArchive
from app.serving.exposure import ExposureRecord
from app.serving.ports import ExposureLog
from app.serving.served import ServedCatalogue

CAPACITY: Final = 10_000
BATCH: Final = 256
LINGER_S: Final = 0.05
"""How long the first of a batch waits for others: a round trip costs more than a record."""

RETRY_S: Final = 1.0

_log = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Exposure:
    """A record, and the snapshot that must be on disk before the record is in the log."""

    record: ExposureRecord
    served: ServedCatalogue | None


class ExposureQueue:
    """Holds what the log has not taken yet; what does not fit is dropped and counted."""

    def __init__(
        self, log: ExposureLog, archive: SnapshotArchive, *, pool: Executor, metrics: Metrics
    ) -> None:
        self._log = log
        self._archive = archive
        self._pool = pool
        self._metrics = metrics
        self._queue: asyncio.Queue[Exposure] = asyncio.Queue(CAPACITY)

    def put(self, exposure: Exposure) -> None:
        """Take a record, or drop it where the queue is full."""
        try:
            self._queue.put_nowait(exposure)
        except asyncio.QueueFull:
            self._metrics.exposures_dropped.inc()

    async def run(self) -> None:
        """Log for ever, in batches; a batch that the store refuses is tried again."""
        while True:
            batch = [await self._queue.get()]
            await asyncio.sleep(LINGER_S)
            while len(batch) < BATCH and not self._queue.empty():
                batch.append(self._queue.get_nowait())
            await self._append(batch)
            for _ in batch:
                self._queue.task_done()

    async def drain(self) -> None:
        """Return when everything taken so far is logged."""
        await self._queue.join()

    async def _append(self, batch: list[Exposure]) -> None:
        await self._keep_snapshots(batch)
        while True:
            try:
                await self._log.append([exposure.record for exposure in batch])
            except StoreUnavailableError:
                await asyncio.sleep(RETRY_S)
            else:
                return

    async def _keep_snapshots(self, batch: list[Exposure]) -> None:
        loop = asyncio.get_running_loop()
        snapshots = {
            exposure.served.snapshot_id: exposure.served for exposure in batch if exposure.served
        }
        for served in snapshots.values():
            try:
                await loop.run_in_executor(self._pool, self._archive.keep, served)
            except OSError as exc:
                _log.warning(
                    "a snapshot is not kept: its answers cannot be replayed", reason=str(exc)
                )
