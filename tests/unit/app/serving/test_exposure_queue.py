import asyncio
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from app.errors import StoreUnavailableError
from app.observability import Metrics
from app.serving import exposure_queue
from app.serving.archive import SnapshotArchive
from app.serving.exposure import ExposureRecord
from app.serving.exposure_queue import CAPACITY, Exposure, ExposureQueue
from tests.contract.test_exposure_log import RECORD


class ListLog:
    """A log that refuses the first batches."""

    def __init__(self, n_refusals: int = 0) -> None:
        self.records: list[ExposureRecord] = []
        self.sizes: list[int] = []
        self.n_refusals = n_refusals

    async def append(self, records: Sequence[ExposureRecord]) -> None:
        if self.n_refusals:
            self.n_refusals -= 1
            doing = "logging answers"
            raise StoreUnavailableError(doing, "refused")
        self.records += records
        self.sizes.append(len(records))


async def logged(log: ListLog, directory: Path, *, n: int) -> float:
    """Put records, then run the queue dry; return how many were dropped."""
    metrics = Metrics.create()
    with ThreadPoolExecutor(1) as pool:
        queue = ExposureQueue(log, SnapshotArchive(directory), pool=pool, metrics=metrics)
        for _ in range(n):
            queue.put(Exposure(RECORD, None))
        running = asyncio.create_task(queue.run())
        await queue.drain()
        running.cancel()
    return metrics.registry.get_sample_value("vitrine_exposures_dropped_total") or 0.0


async def test_everything_is_logged_once(tmp_path: Path) -> None:
    log = ListLog()

    n_dropped = await logged(log, tmp_path, n=1_000)

    assert (len(log.records), n_dropped) == (1_000, 0.0)


async def test_answers_that_follow_each_other_share_a_round_trip(tmp_path: Path) -> None:
    log = ListLog()
    with ThreadPoolExecutor(1) as pool:
        archive, metrics = SnapshotArchive(tmp_path), Metrics.create()
        queue = ExposureQueue(log, archive, pool=pool, metrics=metrics)
        running = asyncio.create_task(queue.run())
        for _ in range(3):
            await asyncio.sleep(0)
            queue.put(Exposure(RECORD, None))
        await queue.drain()
        running.cancel()

    assert log.sizes == [3]


async def test_what_the_store_refuses_is_tried_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(exposure_queue, "RETRY_S", 0.0)
    log = ListLog(n_refusals=2)

    n_dropped = await logged(log, tmp_path, n=3)

    assert (len(log.records), n_dropped) == (3, 0.0)


async def test_what_does_not_fit_is_dropped_and_counted(tmp_path: Path) -> None:
    log = ListLog()

    n_dropped = await logged(log, tmp_path, n=CAPACITY + 5)

    assert (len(log.records), n_dropped) == (CAPACITY, 5.0)
