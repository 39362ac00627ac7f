import asyncio
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from app.catalogue.catalogue_version import CatalogueVersion, Source
from app.catalogue.snapshot_archive import SnapshotArchive
from app.errors import StoreUnavailableError
from app.observability import Metrics
from app.recommend import exposure_queue
from app.recommend.exposure_queue import BATCH, ExposureQueue
from app.stores.exposure import ExposureLog, PackedExposure
from tests.records import RECORD
from tests.shop import sale, scorer


class ListLog(ExposureLog):
    """A log that refuses the first batches."""

    def __init__(self, n_refusals: int = 0) -> None:
        self.records: list[PackedExposure] = []
        self.sizes: list[int] = []
        self.n_refusals = n_refusals

    async def append(
        self, exposures: Sequence[PackedExposure]
    ) -> list[StoreUnavailableError | None]:
        if self.n_refusals:
            self.n_refusals -= 1
            doing = "logging answers"
            raise StoreUnavailableError(doing, "refused")
        self.records += exposures
        self.sizes.append(len(exposures))
        return [None] * len(exposures)


async def go_on(queue: ExposureQueue) -> None:
    """Log batch after batch, as a supervisor has it."""
    while True:
        with suppress(StoreUnavailableError, TypeError):
            await queue.log_batch()


async def logged(log: ListLog, directory: Path, *, n: int) -> float:
    """Put records, then run the queue dry; return how many were dropped."""
    metrics = Metrics()
    with ThreadPoolExecutor(1) as pool:
        queue = ExposureQueue(log, SnapshotArchive(directory), pool=pool, metrics=metrics)
        for _ in range(n):
            queue.put(RECORD)
        running = asyncio.create_task(go_on(queue))
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
        archive, metrics = SnapshotArchive(tmp_path), Metrics()
        queue = ExposureQueue(log, archive, pool=pool, metrics=metrics)
        running = asyncio.create_task(go_on(queue))
        for _ in range(3):
            await asyncio.sleep(0)
            queue.put(RECORD)
        await queue.drain()
        running.cancel()

    assert log.sizes == [3]


async def test_what_the_store_refuses_is_tried_again(tmp_path: Path) -> None:
    log = ListLog(n_refusals=2)

    n_dropped = await logged(log, tmp_path, n=3)

    assert (len(log.records), n_dropped) == (3, 0.0)


async def test_what_does_not_fit_is_dropped_and_counted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The bound is one of bytes: a long record takes the place of many."""
    log, n_bytes = ListLog(), len(PackedExposure.from_record(RECORD).content)
    monkeypatch.setattr(exposure_queue, "CAPACITY_BYTES", 3 * n_bytes + 1)

    n_dropped = await logged(log, tmp_path, n=8)

    assert (len(log.records), n_dropped) == (3, 5.0)


async def test_what_was_logged_makes_room(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    log, n_bytes = ListLog(), len(PackedExposure.from_record(RECORD).content)
    monkeypatch.setattr(exposure_queue, "CAPACITY_BYTES", n_bytes)
    with ThreadPoolExecutor(1) as pool:
        metrics = Metrics()
        queue = ExposureQueue(log, SnapshotArchive(tmp_path), pool=pool, metrics=metrics)
        running = asyncio.create_task(go_on(queue))
        for _ in range(2):
            queue.put(RECORD)
            await queue.drain()
        running.cancel()

    assert len(log.records) == 2


class BrokenLog(ListLog):
    """A log that cannot write the first batch, and never could."""

    async def append(
        self, exposures: Sequence[PackedExposure]
    ) -> list[StoreUnavailableError | None]:
        if self.n_refusals:
            self.n_refusals -= 1
            msg = "a record has no JSON"
            raise TypeError(msg)
        return await super().append(exposures)


class PartlyAwayLog(ListLog):
    """A log that refuses every second record of the first batches."""

    async def append(
        self, exposures: Sequence[PackedExposure]
    ) -> list[StoreUnavailableError | None]:
        is_away, self.n_refusals = self.n_refusals > 0, max(0, self.n_refusals - 1)
        taken = exposures[1::2] if is_away else exposures
        self.records += taken
        self.sizes.append(len(taken))
        error = StoreUnavailableError("logging answers", "no node serves the slot")
        return [error if is_away and i % 2 == 0 else None for i in range(len(exposures))]


async def test_records_that_the_store_refuses_are_logged_later_and_no_other_twice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(exposure_queue, "RETRY_S", 0.0)
    log = PartlyAwayLog(n_refusals=2)

    dropped = await logged(log, tmp_path, n=10)

    assert (log.sizes, len(log.records), dropped) == ([5, 2, 3], 10, 0.0)


class NodeAwayLog(ListLog):
    """A log of which the part of one customer is away."""

    is_away = True

    async def append(
        self, exposures: Sequence[PackedExposure]
    ) -> list[StoreUnavailableError | None]:
        error = StoreUnavailableError("logging answers", "no node serves the slot")
        errors = [error if self.is_away and one.owner == "away" else None for one in exposures]
        if all(errors):
            raise error
        self.records += [one for one, refused in zip(exposures, errors, strict=True) if not refused]
        return errors


AWAY = replace(RECORD, customer_id="away")


@pytest.fixture
def metrics() -> Metrics:
    return Metrics()


@pytest.fixture
def node() -> NodeAwayLog:
    return NodeAwayLog()


@pytest.fixture
def queue(node: NodeAwayLog, metrics: Metrics, tmp_path: Path) -> Iterator[ExposureQueue]:
    with ThreadPoolExecutor(1) as pool:
        yield ExposureQueue(node, SnapshotArchive(tmp_path), pool=pool, metrics=metrics)


def dropped(metrics: Metrics) -> float | None:
    return metrics.registry.get_sample_value("vitrine_exposures_dropped_total")


async def test_a_batch_of_a_part_that_is_away_lets_other_batches_pass(
    queue: ExposureQueue, node: NodeAwayLog, metrics: Metrics
) -> None:
    for record in [AWAY] * (BATCH + 1) + [RECORD] * 2:
        queue.put(record)
    with pytest.raises(StoreUnavailableError, match="no node serves the slot"):
        await queue.log_batch()

    await queue.log_batch()

    assert [one.owner for one in node.records] == ["c1", "c1"]
    node.is_away = False
    running = asyncio.create_task(go_on(queue))
    await queue.drain()
    running.cancel()
    assert len(node.records) == BATCH + 3
    assert dropped(metrics) == 0.0


async def test_refused_records_take_no_more_than_their_share(
    queue: ExposureQueue, node: NodeAwayLog, metrics: Metrics, monkeypatch: pytest.MonkeyPatch
) -> None:
    n_bytes = len(PackedExposure.from_record(AWAY).content)
    monkeypatch.setattr(exposure_queue, "CAPACITY_BYTES", 10 * n_bytes)
    monkeypatch.setattr(exposure_queue, "REFUSED_BYTES", 3 * n_bytes)
    monkeypatch.setattr(exposure_queue, "RETRY_S", 1e9)

    for _ in range(4):
        for record in [AWAY] * 2 + [RECORD] * 3:
            queue.put(record)
        await queue.log_batch()

    assert [one.owner for one in node.records] == ["c1"] * 12
    assert dropped(metrics) == 8 - 3


async def test_refused_records_that_are_refused_again_are_no_outage(
    queue: ExposureQueue, node: NodeAwayLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(exposure_queue, "RETRY_S", 0.0)
    for record in (AWAY, RECORD):
        queue.put(record)
    await queue.log_batch()
    await queue.log_batch()  # of the refused one alone

    node.is_away = False
    await queue.log_batch()

    assert [one.owner for one in node.records] == ["c1", "away"]


async def test_new_refusals_do_not_put_off_the_next_try(
    queue: ExposureQueue, node: NodeAwayLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    for now_s in (0.0, 0.9):
        monkeypatch.setattr(exposure_queue, "monotonic", lambda now_s=now_s: now_s)
        for record in (AWAY, RECORD):
            queue.put(record)
        await queue.log_batch()
    node.is_away = False
    monkeypatch.setattr(exposure_queue, "monotonic", lambda: 1.0)

    await queue.log_batch()

    assert [one.owner for one in node.records] == ["c1", "c1", "away", "away"]


async def test_a_batch_that_cannot_be_written_is_counted_and_holds_up_none_after_it(
    tmp_path: Path,
) -> None:
    log = BrokenLog(n_refusals=1)

    n_dropped = await logged(log, tmp_path, n=BATCH + 3)

    assert (len(log.records), n_dropped) == (3, float(BATCH))


async def test_snapshots_that_a_full_disk_refuses_are_counted_and_hold_up_no_record(
    tmp_path: Path,
) -> None:
    (tmp_path / "snapshots").touch()  # a file where the directory has to be
    log, metrics = ListLog(), Metrics()
    model = scorer(sale("s1"))
    served = CatalogueVersion.from_content(
        model.snapshot, model.seed_catalogue(), source=Source.STORE, scorer=model
    )
    with ThreadPoolExecutor(1) as pool:
        archive = SnapshotArchive(tmp_path / "snapshots")
        queue = ExposureQueue(log, archive, pool=pool, metrics=metrics)
        with capture_logs() as lines:
            for _ in range(2):
                queue.put(RECORD, served)
                await queue.log_batch()

    n_refused = metrics.registry.get_sample_value(
        "vitrine_files_not_kept_total", {"kind": "snapshot"}
    )
    assert (len(log.records), n_refused, len(lines)) == (2, 2.0, 1)
