"""Dask workers: processes of this machine, or those of any scheduler. The home of Dask."""
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false, reportMissingTypeStubs=false

from collections.abc import Callable, Generator, Iterable
from concurrent.futures import CancelledError
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Final, TypeVar

import dask.config
from distributed import Client, KilledWorker, LocalCluster, as_completed
from distributed.comm.core import CommClosedError
from distributed.scheduler import NoWorkerError

from models.domain.errors import UserError
from training.console import Progress

_Run = TypeVar("_Run")

_LIBRARIES: Final = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "POLARS_MAX_THREADS")
# Chosen: a worker that is killed takes its task along, which another one does again. A task that
# was on three workers when they ended is what ended them.
_ALLOWED_FAILURES: Final = 2
_SETTINGS: Final = {
    # One thread a library: sums in another order are other bits.
    **{f"distributed.nanny.pre-spawn-environ.{name}": "1" for name in _LIBRARIES},
    "distributed.scheduler.allowed-failures": _ALLOWED_FAILURES,
    # One task at a time: those that wait on a worker would be blamed for its end.
    "distributed.scheduler.worker-saturation": 1.0,
    # Nothing reads profiles, which look at the running code a hundred times a second.
    "distributed.worker.profile.enabled": False,
}
# Chosen: a scheduler on the network answers within milliseconds; workers start within seconds, and
# within 20 s at a load of 20.
_WAIT_S: Final = 60.0


class WorkersError(UserError):
    """Workers that were lost, or a scheduler that does not answer."""


@dataclass(frozen=True, slots=True)
class Workers:
    """Workers that run tasks.

    Attributes:
        client: Connected to their scheduler.
    """

    client: Client

    def run(
        self,
        task: Callable[[_Run, int], None],
        run: _Run,
        *,
        parts: Iterable[int],
        progress: Progress,
    ) -> None:
        """Run a task for each part, in any order.

        Raises:
            WorkersError: If the workers or their scheduler were lost, or a task ended its workers;
                what is done stays.
            Exception: What a task raises.
        """
        part_of = {self.client.submit(task, run, part, pure=False): part for part in parts}
        try:
            for future in as_completed(part_of):
                future.result()
                future.release()  # a worker that ends would take it along, to be computed again
                progress.tick()
        except KilledWorker as exc:
            [part] = (part for future, part in part_of.items() if future.key == exc.task)
            msg = (
                f"{exc.allowed_failures + 1} workers ended one after the other while they computed"
                f" part {part}: most likely it takes more memory than there is; choose fewer"
                " processes, or more --parts"
            )
            raise WorkersError(msg) from exc
        except NoWorkerError as exc:
            msg = (
                f"all workers ended, and for {exc.timeout:g} s none came back: look at what they"
                " said, choose fewer processes if the memory was full, and give the same command"
                " again; `batch-score` goes on where it ended"
            )
            raise WorkersError(msg) from exc
        except (CancelledError, CommClosedError, TimeoutError) as exc:
            msg = (
                f"workers or their scheduler were lost ({type(exc).__name__}): give the same"
                " command again; `batch-score` goes on where it ended"
            )
            raise WorkersError(msg) from exc


@contextmanager
def workers(
    scheduler: str | None, *, n_processes: int, wait_s: float = _WAIT_S
) -> Generator[Workers]:
    """Start workers, or connect to a scheduler's, while the block runs.

    Args:
        scheduler: Address of a scheduler, such as ``tcp://10.0.0.5:8786``; None for processes of
            this machine.
        n_processes: Number of these.
        wait_s: How long a scheduler may take to answer, and then to have a worker; how long those
            of this machine may all be away.

    Raises:
        WorkersError: If the scheduler does not answer, or has no worker, or processes do not start.
    """
    with ExitStack() as stack:
        if scheduler is None:
            without = {"distributed.scheduler.no-workers-timeout": f"{wait_s} s"}
            stack.enter_context(dask.config.set(_SETTINGS | without))
            try:
                cluster = LocalCluster(
                    n_workers=n_processes,
                    threads_per_worker=1,
                    dashboard_address="127.0.0.1:0",  # any free port: several runs on a machine
                    host="127.0.0.1",
                )
            except RuntimeError as exc:
                msg = f"{n_processes} worker processes could not start: {exc}; choose fewer"
                raise WorkersError(msg) from exc
            yield Workers(stack.enter_context(Client(stack.enter_context(cluster))))
            return
        try:
            client = stack.enter_context(Client(scheduler, timeout=wait_s))
        except (OSError, ValueError) as exc:
            msg = f"the scheduler {scheduler} does not answer: {exc}"
            raise WorkersError(msg) from exc
        try:
            client.wait_for_workers(1, timeout=wait_s)
        except TimeoutError as exc:
            msg = (
                f"the scheduler {scheduler} has no worker: start one, as `dask worker {scheduler}`"
            )
            raise WorkersError(msg) from exc
        yield Workers(client)
