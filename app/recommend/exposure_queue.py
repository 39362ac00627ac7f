"""Exposure queue: buffers exposure records, so that answers never wait for the store."""

import asyncio
from collections import deque
from collections.abc import Sequence
from concurrent.futures import Executor
from time import monotonic
from typing import Final

from app.bounded_log import BoundedLog
from app.catalogue.catalogue_version import CatalogueVersion
from app.catalogue.snapshot_archive import SnapshotArchive
from app.errors import StoreUnavailableError
from app.observability import Metrics, get_logger
from app.stores.exposure import ExposureLog, PackedExposure
from models.experiments.exposure_record import ExposureRecord

# Of packed records: five thousand of customers with full windows, see docs/store.md.
CAPACITY_BYTES: Final = 16 * 1024 * 1024

# Of it at most, records that the store refused while it took others: a part of it may be away for
# hours, and the rest goes on. Chosen.
REFUSED_BYTES: Final = CAPACITY_BYTES // 2

# Between two tries of refused records, as after an outage. Chosen.
RETRY_S: Final = 1.0

# Records in one round trip at most; chosen, not measured.
BATCH: Final = 256

# The first of a batch waits for others: a round trip costs more than a record. Chosen.
LINGER_S: Final = 0.05

# A round without answers ends after this: a task that stays silent counts as hung.
IDLE_S: Final = 1.0

_log = get_logger(__name__)

Waiting = tuple[PackedExposure, tuple[CatalogueVersion, ...]]
"""A record, and the snapshots that must be on disk before the record is in the log."""


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
        self._is_retry = False
        self._refused: deque[Waiting] = deque()
        self._retry_at_s = 0.0
        self._refusals = BoundedLog(__name__)
        self._is_disk_away = False

    def put(self, record: ExposureRecord, *served: CatalogueVersion) -> None:
        """Take the record of an answer and its catalogues, or drop it where the queue is full."""
        packed = PackedExposure.from_record(record)
        if self._n_bytes + len(packed.content) > CAPACITY_BYTES:
            self._metrics.exposures_dropped.inc()
            return
        self._count(len(packed.content))
        self._queue.put_nowait((packed, served))

    async def log_batch(self) -> None:
        """Log the next batch, as a background task, or return where there is nothing to log.

        Records that the store refuses while it takes others wait apart, within `REFUSED_BYTES`,
        and are tried again each `RETRY_S`; those beyond are dropped and counted. A batch that
        fails otherwise is dropped and counted, as it would fail again.

        Raises:
            StoreUnavailableError: If the store takes no record of a new batch, which goes to the
                end of the queue.
        """
        if not self._batch:
            await self._fill_batch()
        if not self._batch:
            return
        try:
            # First the snapshots: a record in the log can then always be replayed.
            await self._keep_snapshots()
            errors = await self._log.append([packed for packed, _ in self._batch])
        except StoreUnavailableError as exc:
            if not self._is_retry:
                # Behind all others: they may be of a part of the store that answers.
                for waiting in self._batch:
                    self._queue.put_nowait(waiting)
                    self._queue.task_done()
                self._batch = []
                raise
            errors = [exc] * len(self._batch)
        except Exception:
            self._drop(self._batch)
            self._batch = []
            raise
        self._forget([one for one, error in zip(self._batch, errors, strict=True) if not error])
        refused = [one for one, error in zip(self._batch, errors, strict=True) if error]
        self._batch = []
        if refused:
            self._refusals.warning(
                "a part of the store refuses records of answers: they are tried again",
                reason=str(next(filter(None, errors))),
            )
            self._set_aside(refused)

    def _count(self, n_bytes: int) -> None:
        self._n_bytes += n_bytes
        self._metrics.store.exposures.set(self._n_bytes)

    async def drain(self) -> None:
        """Return when everything taken so far is logged."""
        await self._queue.join()

    async def _fill_batch(self) -> None:
        """Take the refused records whose time has come, or else those of the next answers."""
        until_retry_s = self._retry_at_s - monotonic() if self._refused else IDLE_S
        self._is_retry = until_retry_s <= 0
        if self._is_retry:
            n = min(BATCH, len(self._refused))
            self._batch = [self._refused.popleft() for _ in range(n)]
            return
        try:
            first = await asyncio.wait_for(self._queue.get(), min(IDLE_S, until_retry_s))
        except TimeoutError:
            return
        self._batch.append(first)
        await asyncio.sleep(LINGER_S)
        while len(self._batch) < BATCH and not self._queue.empty():
            self._batch.append(self._queue.get_nowait())

    def _set_aside(self, refused: Sequence[Waiting]) -> None:
        # Refusals of new records do not put off the next try of earlier ones.
        if self._is_retry or not self._refused:
            self._retry_at_s = monotonic() + RETRY_S
        n_bytes = sum(len(packed.content) for packed, _ in self._refused)
        for waiting in refused:
            n_bytes += len(waiting[0].content)
            if n_bytes <= REFUSED_BYTES:
                self._refused.append(waiting)
            else:
                self._drop([waiting])

    def _drop(self, lost: Sequence[Waiting]) -> None:
        self._metrics.exposures_dropped.inc(len(lost))
        self._forget(lost)

    def _forget(self, done: Sequence[Waiting]) -> None:
        for packed, _ in done:
            self._count(-len(packed.content))
            self._queue.task_done()

    async def _keep_snapshots(self) -> None:
        loop = asyncio.get_running_loop()
        snapshots = {one.snapshot_id: one for _, served in self._batch for one in served}
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
