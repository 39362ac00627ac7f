import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field

import pytest
from structlog.testing import capture_logs

from app.errors import StoreUnavailableError
from app.health import background_tasks
from app.health.background_tasks import BackgroundTask, Supervisor, TaskHealth, running
from app.health.outages import Outages
from app.observability import Metrics


@dataclass
class Rounds:
    """A task whose rounds fail as a test wants, one failure a round, and then go well."""

    failures: list[BaseException] = field(default_factory=list[BaseException])
    n_rounds: int = 0
    went_well: asyncio.Event = field(default_factory=asyncio.Event)

    async def step(self) -> None:
        self.n_rounds += 1
        if self.failures:
            raise self.failures.pop(0)
        self.went_well.set()


@dataclass
class Worker:
    """Background tasks that are supervised, and whether the worker was ended for them."""

    metrics: Metrics = field(default_factory=Metrics)
    health: TaskHealth = field(default_factory=TaskHealth)
    ended: asyncio.Event = field(default_factory=asyncio.Event)

    def n_restarts(self, task: str) -> float | None:
        labels = {"task": task}
        return self.metrics.registry.get_sample_value("vitrine_task_restarts_total", labels)

    @asynccontextmanager
    async def runs(self, *tasks: BackgroundTask) -> AsyncGenerator[None]:
        supervisor = Supervisor(self.health, Outages(self.metrics), self.metrics, self.ended.set)
        async with asyncio.timeout(30.0), running(tasks, supervisor, drain=nothing):
            yield


async def nothing() -> None:
    """What has nothing to log at the end."""


def store_away() -> StoreUnavailableError:
    doing = "reading"
    return StoreUnavailableError(doing, "refused")


async def until(holds: Callable[[], bool]) -> None:
    while True:
        if holds():
            return
        await asyncio.sleep(0.01)


@pytest.fixture(autouse=True)
def no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(background_tasks, "BACK_OFF_S", (0.0,) * 7)
    monkeypatch.setattr(background_tasks, "TICK_S", 0.01)
    monkeypatch.setattr(background_tasks, "STORE_RETRY_S", 0.0)
    monkeypatch.setattr(background_tasks, "DISK_RETRY_S", 0.0)
    monkeypatch.setattr(background_tasks, "LEAST_RETRY_S", 0.0)


async def test_an_unforeseen_error_is_logged_with_its_task_counted_and_the_task_goes_on() -> None:
    worker, rounds = Worker(), Rounds([KeyError("sale"), TypeError("count")])

    with capture_logs() as lines:
        async with worker.runs(BackgroundTask("catalogue", rounds.step, every_s=0.0)):
            await rounds.went_well.wait()

    assert [(line["task"], type(line["exc_info"])) for line in lines] == [
        ("catalogue", KeyError),
        ("catalogue", TypeError),
    ]
    assert worker.n_restarts("catalogue") == 2.0
    assert not worker.ended.is_set()


@pytest.mark.parametrize("outage", [store_away(), OSError("no space left")])
async def test_a_task_without_a_pause_of_its_own_pauses_after_an_outage(
    outage: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(background_tasks, "LEAST_RETRY_S", 60.0)
    worker, rounds = Worker(), Rounds([outage] * 10_000)

    async with worker.runs(BackgroundTask("exposure_queue", rounds.step, every_s=0.0)):
        for _ in range(1_000):
            await asyncio.sleep(0)

    assert rounds.n_rounds == 1


async def test_an_error_of_one_task_stops_no_other() -> None:
    worker, failing, sound = Worker(), Rounds([KeyError("sale")] * 3), Rounds()

    async with worker.runs(
        BackgroundTask("plan", failing.step, every_s=0.0),
        BackgroundTask("catalogue", sound.step, every_s=0.0),
    ):
        await failing.went_well.wait()
        await sound.went_well.wait()

    assert (worker.n_restarts("plan"), worker.n_restarts("catalogue")) == (3.0, None)


async def test_a_task_is_sick_after_three_errors_in_a_row_and_well_after_one_good_round() -> None:
    worker, rounds = Worker(), Rounds([KeyError("sale")] * 4)
    sick = list[tuple[str, ...]]()

    async def step() -> None:
        sick.append(worker.health.sick())
        await rounds.step()

    async with worker.runs(BackgroundTask("plan", step, every_s=0.0)):
        await until(lambda: len(sick) > 5)

    assert sick[:6] == [
        *((), (), ()),
        ("plan: 3 errors: KeyError: 'sale'",),
        ("plan: 4 errors: KeyError: 'sale'",),
        (),
    ]


async def test_a_task_that_keeps_failing_ends_its_worker() -> None:
    worker, rounds = Worker(), Rounds([KeyError("sale")] * 10_000)

    with capture_logs() as lines:
        async with worker.runs(BackgroundTask("plan", rounds.step, every_s=60.0)):
            await worker.ended.wait()

    [said] = [line for line in lines if line["log_level"] == "critical"]
    assert (rounds.n_rounds >= 8, said["tasks"]) == (True, ("plan",))


async def test_seven_errors_in_a_row_do_not_end_the_worker() -> None:
    worker, rounds = Worker(), Rounds([KeyError("sale")] * 7)

    async with worker.runs(BackgroundTask("plan", rounds.step, every_s=60.0)):
        await rounds.went_well.wait()

    assert not worker.ended.is_set()


async def test_a_task_that_ends_in_silence_ends_its_worker() -> None:
    """A cancellation from below, as of a pool that closes, is no error that a task could catch."""
    worker, rounds = Worker(), Rounds([asyncio.CancelledError()])

    async with worker.runs(BackgroundTask("plan", rounds.step, every_s=0.0)):
        await worker.ended.wait()
        sick = worker.health.sick()

    assert sick == ("plan: ended",)


async def test_a_round_that_hangs_is_cancelled_and_counts_as_an_error() -> None:
    worker, went_on, n_rounds = Worker(), asyncio.Event(), 0

    async def step() -> None:
        nonlocal n_rounds
        n_rounds += 1
        if n_rounds == 1:
            await asyncio.sleep(60.0)
        went_on.set()

    async with worker.runs(BackgroundTask("plan", step, every_s=0.0, within_s=0.05)):
        await went_on.wait()

    assert worker.n_restarts("plan") == 1.0


async def test_a_round_that_no_cancellation_ends_ends_the_worker() -> None:
    worker, released = Worker(), asyncio.Event()

    async def step() -> None:
        while not released.is_set():
            with suppress(asyncio.CancelledError):
                await released.wait()

    async with worker.runs(BackgroundTask("plan", step, every_s=60.0, within_s=0.05)):
        await worker.ended.wait()
        sick = worker.health.sick()
        released.set()

    assert sick == ("plan: no round ended within 0.1 s",)


@pytest.mark.parametrize(
    ("lost", "name"), [(store_away(), "store"), (OSError(28, "No space left"), "disk")]
)
async def test_an_outage_is_no_error_and_is_logged_once_when_it_begins_and_once_when_it_ends(
    lost: Exception, name: str
) -> None:
    worker, first, second = Worker(), Rounds([lost] * 20), Rounds([lost] * 20)

    with capture_logs() as lines:
        async with worker.runs(
            BackgroundTask("catalogue", first.step, every_s=0.0),
            BackgroundTask("plan", second.step, every_s=0.0),
        ):
            await first.went_well.wait()
            await second.went_well.wait()
            await asyncio.sleep(0)

    n_outages = [
        worker.metrics.registry.get_sample_value(
            "vitrine_task_outages_total", {"task": task, "lost": name}
        )
        for task in ("catalogue", "plan")
    ]
    assert [line["event"] for line in lines] == [
        f"outage of the {name}; retrying until it answers",
        f"the {name} answers again",
    ]
    assert (n_outages, worker.n_restarts("plan")) == ([20.0, 20.0], None)
