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

from models.domain.errors import UserError
from training.console import Progress

_Run = TypeVar("_Run")

_LIBRARIES: Final = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "POLARS_MAX_THREADS")
# Chosen: a worker that is killed takes its task along, which another one does again. A task that
# itself kills each worker ends the run all the same.
_ALLOWED_FAILURES: Final = 10
_SETTINGS: Final = {
    # One thread a library: sums in another order are other bits.
    **{f"distributed.nanny.pre-spawn-environ.{name}": "1" for name in _LIBRARIES},
    "distributed.scheduler.allowed-failures": _ALLOWED_FAILURES,
    # Nothing reads profiles, which look at the running code a hundred times a second.
    "distributed.worker.profile.enabled": False,
}
# Chosen: a scheduler on the network answers within milliseconds, workers start within seconds.
_CONNECT_S: Final = 30.0


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
            WorkersError: If the workers or their scheduler were lost; what is done stays.
            Exception: What a task raises.
        """
        futures = [self.client.submit(task, run, part, pure=False) for part in parts]
        try:
            for future in as_completed(futures):
                future.result()
                progress.tick()
        except (KilledWorker, CancelledError, CommClosedError, TimeoutError) as exc:
            msg = (
                f"workers or their scheduler were lost ({type(exc).__name__}): give the same"
                " command again; `batch-score` goes on where it ended"
            )
            raise WorkersError(msg) from exc


@contextmanager
def workers(
    scheduler: str | None, *, n_processes: int, wait_s: float = _CONNECT_S
) -> Generator[Workers]:
    """Start workers, or connect to a scheduler's, while the block runs.

    Args:
        scheduler: Address of a scheduler, such as ``tcp://10.0.0.5:8786``; None for processes of
            this machine.
        n_processes: Number of these.
        wait_s: How long a scheduler may take to answer, and then to have a worker.

    Raises:
        WorkersError: If the scheduler does not answer, or has no worker.
    """
    with ExitStack() as stack:
        if scheduler is None:
            stack.enter_context(dask.config.set(_SETTINGS))
            cluster = LocalCluster(
                n_workers=n_processes,
                threads_per_worker=1,
                dashboard_address="127.0.0.1:0",  # any free port: several runs on a machine
                host="127.0.0.1",
            )
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
