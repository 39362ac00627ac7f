"""Workers follow the store's plan, over a restart, while it is away, and once it was emptied."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from threading import Event
from typing import Any

import pytest
from structlog.testing import capture_logs

from app.experiments.live_plan import LivePlan
from app.experiments.plan_file import PlanFile
from app.observability import Metrics
from app.stores.keys import PLAN
from app.stores.plan import PlanChange, StoredPlan
from app.stores.store import Stores
from models.experiments.plan.experiment import Unit
from models.experiments.plan.plan import Plan, Visit
from models.experiments.plan.plan_edit import PlanDraft
from tests.plans import LAYER, START, terms
from tests.unit.app.conftest import Power

FIRST = StoredPlan(0, Plan())


def planned(popularity_bp: int, bundle: str | None = None) -> Plan:
    experiment: dict[str, Any] = {"name": "order", **terms(popularity_bp)}
    if bundle is not None:
        experiment["variants"][0]["policy"]["bundle"] = bundle
    draft = PlanDraft.model_validate({"layers": [LAYER], "experiments": [experiment]})
    return draft.to_plan(Plan())


def change(before: int) -> PlanChange:
    return PlanChange(START, "key k1", "put the plan", before=before, after=before + 1, changes=())


def variants(worker: LivePlan) -> list[str]:
    """The variants of some customers, as a worker routes them."""
    visits = [Visit(START + timedelta(days=1), {Unit.CUSTOMER: f"c{n}"}) for n in range(100)]
    plan = worker.current.plan
    return [one.variant for visit in visits for one in plan.route(visit).assignments]


@asynccontextmanager
async def opened(power: Power) -> AsyncGenerator[Stores]:
    stores = Stores.open(power.url, timeout_s=10.0)
    yield stores
    await stores.server.close()


async def no_bundles(bundle_ids: frozenset[str]) -> None:
    assert not bundle_ids


def worker_of(
    stores: Stores, folder: Path, hold: Callable[[frozenset[str]], Awaitable[None]] = no_bundles
) -> LivePlan:
    file = PlanFile(folder / "plan.json")
    return LivePlan(stores.plans, FIRST, file=file, hold=hold, metrics=Metrics())


async def test_a_plan_is_followed_once_the_bundles_of_its_variants_are_loaded(
    power: Power, tmp_path: Path
) -> None:
    followed: list[tuple[int, frozenset[str]]] = []

    async def hold(bundle_ids: frozenset[str]) -> None:
        followed.append((worker.current.version, bundle_ids))

    power.on()
    async with opened(power) as stores:
        worker = worker_of(stores, tmp_path, hold)
        await stores.plans.change(planned(3_000, bundle="b1"), change(0))
        await worker.poll()
        await stores.plans.change(planned(3_000, bundle="b2"), change(1))
        await worker.poll()

    b1, b2 = frozenset({"b1"}), frozenset({"b2"})
    # What is shown now is kept until the new plan is followed, and dropped after that.
    assert followed == [(0, b1), (1, b1), (1, b1 | b2), (2, b2)]


async def test_an_experiment_ends_while_the_bundle_of_its_variant_is_loading(
    power: Power, tmp_path: Path
) -> None:
    """A bundle of gigabytes takes a minute; an operator who thinks better of it does not wait."""
    loaded = asyncio.Event()

    async def hold(bundle_ids: frozenset[str]) -> None:
        if bundle_ids:
            await loaded.wait()

    power.on()
    async with opened(power) as stores:
        worker = worker_of(stores, tmp_path, hold)
        await stores.plans.change(planned(3_000, bundle="b1"), change(0))
        await worker.poll(within_s=0.05)
        meanwhile = worker.current.version
        await stores.plans.change(planned(3_000), change(1))
        await worker.poll(within_s=None)
        ended = worker.current.version
        loaded.set()
        await worker.follow()
        await asyncio.sleep(0)

        assert (meanwhile, ended, worker.current.version) == (0, 2, 2)


async def test_an_adoption_that_fails_after_another_plan_came_is_an_error_in_the_log(
    power: Power, tmp_path: Path
) -> None:
    """No poll waits for it any more."""
    loaded = asyncio.Event()

    async def hold(bundle_ids: frozenset[str]) -> None:
        if bundle_ids:
            await loaded.wait()
            msg = "the disk broke"
            raise RuntimeError(msg)

    power.on()
    async with opened(power) as stores:
        worker = worker_of(stores, tmp_path, hold)
        await stores.plans.change(planned(3_000, bundle="b1"), change(0))
        await worker.poll(within_s=0.05)
        await stores.plans.change(planned(3_000), change(1))
        await worker.poll(within_s=None)
        with capture_logs() as lines:
            loaded.set()
            for _ in range(3):
                await asyncio.sleep(0)

    assert worker.current.version == 2
    [line] = [one for one in lines if one["log_level"] == "error"]
    assert "could not be adopted" in line["event"]
    assert str(line["exc_info"]) == "the disk broke"


async def test_a_plan_whose_bundles_take_long_is_followed_once_they_are_loaded(
    power: Power, tmp_path: Path
) -> None:
    loaded = asyncio.Event()

    async def hold(_bundle_ids: frozenset[str]) -> None:
        await loaded.wait()

    power.on()
    async with opened(power) as stores:
        worker = worker_of(stores, tmp_path, hold)
        await stores.plans.change(planned(3_000, bundle="b1"), change(0))
        await worker.poll(within_s=0.05)
        await worker.poll(within_s=0.05)
        meanwhile = worker.current.version
        loaded.set()
        await worker.poll(within_s=None)

        assert (meanwhile, worker.current.version) == (0, 1)


@dataclass(frozen=True, slots=True)
class SlowFile(PlanFile):
    """A disk that takes its time for the first plan."""

    free: Event = field(default_factory=Event)

    def keep(self, stored: StoredPlan) -> None:
        if stored.version == 1:
            assert self.free.wait(timeout=30.0)
        PlanFile.keep(self, stored)


async def followed(worker: LivePlan, version: int) -> None:
    while worker.current.version != version:  # noqa: ASYNC110 - a worker tells no one
        await asyncio.sleep(0.001)


async def test_a_plan_that_is_written_slowly_does_not_replace_a_later_one(
    power: Power, tmp_path: Path
) -> None:
    power.on()
    async with opened(power) as stores, asyncio.timeout(30.0):
        file = SlowFile(tmp_path / "plan.json")
        worker = LivePlan(stores.plans, FIRST, file=file, hold=no_bundles, metrics=Metrics())
        await stores.plans.change(planned(3_000), change(0))
        first = asyncio.create_task(worker.poll(within_s=None))
        await followed(worker, 1)
        await stores.plans.change(planned(6_000), change(1))
        second = asyncio.create_task(worker.poll(within_s=None))
        await followed(worker, 2)
        file.free.set()
        await asyncio.gather(first, second)

        kept = file.last()
        assert kept is not None
        assert (worker.current.version, kept.version) == (2, 2)


async def test_bundles_that_cannot_be_held_are_an_error_of_the_task_and_tried_again(
    power: Power, tmp_path: Path
) -> None:
    held: list[frozenset[str]] = []

    async def hold(bundle_ids: frozenset[str]) -> None:
        held.append(bundle_ids)
        if len(held) == 1:
            raise MemoryError

    power.on()
    async with opened(power) as stores:
        worker = worker_of(stores, tmp_path, hold)
        await stores.plans.change(planned(3_000, bundle="b1"), change(0))
        with pytest.raises(MemoryError):
            await worker.follow()
        await worker.follow()

        assert worker.current.version == 1


async def test_workers_route_alike_once_they_polled(power: Power, tmp_path: Path) -> None:
    power.on()
    async with opened(power) as stores:
        workers = [worker_of(stores, tmp_path / name) for name in "ab"]
        await stores.plans.change(planned(3_000), change(0))
        for worker in workers:
            await worker.poll()
        first = [variants(worker) for worker in workers]

        await stores.plans.change(planned(6_000), change(1))
        await workers[0].poll()
        meanwhile = [variants(worker) for worker in workers]
        await workers[1].poll()

        assert first[0] == first[1]
        # Until its next poll a worker routes by the plan it knows, as a whole.
        assert meanwhile[1] == first[1] != meanwhile[0]
        assert variants(workers[1]) == meanwhile[0]
        assert [worker.current.version for worker in workers] == [2, 2]


async def test_a_restarted_worker_goes_on_with_the_stores_plan(
    power: Power, tmp_path: Path
) -> None:
    power.on()
    async with opened(power) as stores:
        before = worker_of(stores, tmp_path)
        await stores.plans.change(planned(3_000), change(0))
        await before.poll()

        after = worker_of(stores, tmp_path)
        await after.begin()

        assert (after.current, variants(after)) == (before.current, variants(before))


async def test_while_the_store_is_away_a_worker_starts_with_what_the_machine_remembers(
    power: Power, tmp_path: Path
) -> None:
    power.on()
    async with opened(power) as stores:
        before = worker_of(stores, tmp_path)
        await stores.plans.change(planned(3_000), change(0))
        await before.poll()
    power.off()

    async with opened(power) as stores:
        after, elsewhere = worker_of(stores, tmp_path), worker_of(stores, tmp_path / "new")
        await after.begin()
        await elsewhere.begin()

    assert after.current == before.current
    assert elsewhere.current == FIRST


async def test_an_emptied_store_gets_the_plan_once(power: Power, tmp_path: Path) -> None:
    power.on()
    async with opened(power) as stores:
        workers = [worker_of(stores, tmp_path / name) for name in "ab"]
        await stores.plans.change(planned(3_000), change(0))
        for worker in workers:
            await worker.poll()
        before = [variants(worker) for worker in workers]

        await stores.connection.execute("FLUSHALL", doing="emptying the store")
        for worker in workers:
            await worker.poll()

        assert [variants(worker) for worker in workers] == before
        assert await stores.plans.read() == StoredPlan(1, planned(3_000))
        assert [one.who for one in await stores.plans.audit(10)] == ["worker"]


async def test_what_is_no_plan_leaves_the_one_before(power: Power, tmp_path: Path) -> None:
    power.on()
    async with opened(power) as stores:
        worker = worker_of(stores, tmp_path)
        await stores.plans.change(planned(3_000), change(0))
        await worker.poll()

        await stores.connection.execute(
            "HSET", PLAN, "version", 2, "json", b'{"layers": 1}', doing="planting"
        )
        await worker.poll()

        assert worker.current == StoredPlan(1, planned(3_000))
