"""Background tasks of a worker: run in rounds, supervised, restarted after errors.

A round that fails because of the store or the disk is an outage: it is counted and repeated. Any
other exception is an error of this software: it is logged with the task's name and counted, and
the task is restarted with back-off. If a task keeps failing, hangs or ends, the worker ends, for
the supervisor process or the orchestrator to replace it.
"""

import asyncio
import gc
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Final

from app.errors import StoreUnavailableError
from app.health.outages import Dependency, Outages
from app.heap import trim_heap
from app.observability import Metrics, get_logger

# For the exposures of the last answers, within the time that orchestrators leave after a SIGTERM.
# Chosen, not measured.
LOG_DRAIN_S: Final = 2.0
CANCEL_AGAIN_S: Final = 0.1
TICK_S: Final = 1.0

# A catalogue of 100,000 sales is built in seconds, on a busy machine in tens.
ROUND_WITHIN_S: Final = 120.0

# Pauses after errors in a row. After the last one the worker ends: a minute in all.
BACK_OFF_S: Final = (0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 30.0)
# Errors in a row that liveness reports, which is 1.5 s after the first.
SICK_AFTER: Final = 3

# Pauses after an outage: the longest ones, and the shortest, also of a task that waits for work and
# not for a time: it must not spin.
STORE_RETRY_S: Final = 1.0
DISK_RETRY_S: Final = 30.0
LEAST_RETRY_S: Final = 0.5

_log = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class BackgroundTask:
    """A task that runs in rounds for the whole life of a worker.

    Attributes:
        step: One round; raises `StoreUnavailableError` or `OSError` in an outage.
        within_s: A round that takes longer is cancelled, which counts as an error.
    """

    name: str
    step: Callable[[], Awaitable[None]]
    every_s: float
    within_s: float = ROUND_WITHIN_S


@dataclass(slots=True)
class TaskState:
    """State of a background task.

    Attributes:
        n_errors: Errors since the last successful round.
        round_s: Duration of the current round, in seconds in which the event loop ran, so that
            a pause of the process is not taken for a hanging task. None between two rounds.
    """

    within_s: float
    n_errors: int = 0
    last_error: str = ""
    round_s: float | None = None
    is_dead: bool = False

    @property
    def is_stuck(self) -> bool:
        """Whether a round still runs although it was cancelled."""
        # Twice: a round that heeds its cancellation needs time to end, too.
        return self.round_s is not None and self.round_s > 2 * self.within_s

    @property
    def is_beyond_repair(self) -> bool:
        """Whether only another process can run the task again."""
        return self.is_dead or self.is_stuck or self.n_errors > len(BACK_OFF_S)

    @property
    def fault(self) -> str:
        """Description of what is wrong with the task; empty for nothing."""
        if self.is_dead:
            return "ended"
        if self.is_stuck:
            return f"no round ended within {2 * self.within_s:g} s"
        return f"{self.n_errors} errors: {self.last_error}" if self.n_errors >= SICK_AFTER else ""


@dataclass(slots=True)
class TaskHealth:
    """Health of a worker's background tasks; reading it does no input or output."""

    states: dict[str, TaskState] = field(default_factory=dict[str, TaskState])

    def sick(self) -> tuple[str, ...]:
        """Return the tasks that are dead, stuck or failing, each with the reason."""
        faults = {name: state.fault for name, state in self.states.items()}
        return tuple(f"{name}: {fault}" for name, fault in faults.items() if fault)

    def beyond_repair(self) -> tuple[str, ...]:
        """Return the tasks that only another process can run again."""
        return tuple(name for name, state in self.states.items() if state.is_beyond_repair)

    def tick(self) -> None:
        """Add a second to the duration of every current round."""
        for state in self.states.values():
            if state.round_s is not None:
                state.round_s += TICK_S


@dataclass(frozen=True, slots=True)
class Supervisor:
    """Runs background tasks, and calls `end_worker` when this process must be replaced."""

    health: TaskHealth
    outages: Outages
    metrics: Metrics
    end_worker: Callable[[], None]

    def start(self, task: BackgroundTask) -> asyncio.Task[None]:
        """Run a task until it is cancelled."""
        state = TaskState(task.within_s)
        self.health.states[task.name] = state

        def record_end(ended: asyncio.Task[None]) -> None:
            state.is_dead = True
            if not ended.cancelled() and (exc := ended.exception()) is not None:
                _log.critical("a background task ended", task=ended.get_name(), exc_info=exc)

        running = asyncio.create_task(self._run(task, state), name=task.name)
        running.add_done_callback(record_end)
        return running

    async def watch(self) -> None:
        """End the worker once a task cannot be run again in it."""
        while not (names := self.health.beyond_repair()):
            await asyncio.sleep(TICK_S)
            self.health.tick()
        _log.critical(
            "background tasks are beyond repair: this worker ends, to be replaced", tasks=names
        )
        self.end_worker()

    async def _run(self, task: BackgroundTask, state: TaskState) -> None:
        while True:
            state.round_s = 0.0
            pause_s = await self._round(task, state)
            state.round_s = None
            await asyncio.sleep(pause_s)

    async def _round(self, task: BackgroundTask, state: TaskState) -> float:
        """Run one round of a task, and return the pause after it."""
        limit = asyncio.timeout(task.within_s)
        try:
            async with limit:
                await task.step()
        except Exception as exc:  # noqa: BLE001 - supervision: counted, logged, tried again
            # `TimeoutError` is an `OSError`: a round that was cancelled is no outage.
            if isinstance(exc, StoreUnavailableError | OSError) and not limit.expired():
                is_store = isinstance(exc, StoreUnavailableError)
                lost = Dependency.STORE if is_store else Dependency.DISK
                self.outages.begin(task.name, lost, reason=str(exc))
                state.n_errors = 0
                longest_s = STORE_RETRY_S if is_store else DISK_RETRY_S
                return max(LEAST_RETRY_S, min(task.every_s, longest_s))
            self.metrics.health.task_restarts.labels(task.name).inc()
            state.n_errors += 1
            state.last_error = f"{type(exc).__name__}: {exc}"
            pause_s = BACK_OFF_S[min(state.n_errors, len(BACK_OFF_S)) - 1]
            _log.error(
                "a background task failed and is restarted",
                task=task.name,
                after_s=pause_s,
                exc_info=exc,
            )
            return pause_s
        self.outages.end(task.name)
        state.n_errors = 0
        return task.every_s


@asynccontextmanager
async def running(
    tasks: Sequence[BackgroundTask], supervisor: Supervisor, *, drain: Callable[[], Awaitable[None]]
) -> AsyncGenerator[None]:
    """Run background tasks; at the end `drain` has `LOG_DRAIN_S` to write the last exposures."""
    started = [supervisor.start(task) for task in tasks]
    started.append(asyncio.create_task(supervisor.watch(), name="watch"))
    # Objects that live until the end need not be visited by every garbage collection.
    gc.collect()
    gc.freeze()
    trim_heap()
    try:
        yield
    finally:
        with suppress(TimeoutError):
            await asyncio.wait_for(drain(), LOG_DRAIN_S)
        await end_tasks(started)


async def end_tasks(tasks: Sequence[asyncio.Task[None]]) -> None:
    """Cancel tasks until they end.

    Repeatedly: below Python 3.12 `asyncio.timeout` can swallow a cancellation that arrives
    together with the store's reply.
    """
    pending = set(tasks)
    while pending:
        for task in pending:
            task.cancel()
        _, pending = await asyncio.wait(pending, timeout=CANCEL_AGAIN_S)
