"""Schedulers that cannot be used are named at once, and workers that are lost end a run."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Generator
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import Event, Thread

import pytest

from tests.contract.servers import free_port
from tests.workers import workers_here
from tests.worlds import Silent
from training.parts.workers import WorkersError, workers


@pytest.fixture
def idle_scheduler() -> Generator[str]:
    """Have a scheduler run that no worker knows."""
    port = free_port()
    address = ("--host", "127.0.0.1", "--port", str(port), "--dashboard-address", "127.0.0.1:0")
    command = [sys.executable, "-m", "distributed.cli.dask_scheduler", *address]
    with subprocess.Popen(command, stderr=subprocess.DEVNULL) as process:
        try:
            yield f"tcp://127.0.0.1:{port}"
        finally:
            process.terminate()


def test_a_scheduler_without_a_worker_is_named(idle_scheduler: str) -> None:
    """Tasks would wait for one without end."""
    with pytest.raises(WorkersError, match=f"{idle_scheduler} has no worker: start one"):
        workers(idle_scheduler, n_processes=1, wait_s=5.0).__enter__()


def test_a_scheduler_that_is_not_there_is_named() -> None:
    address = f"tcp://127.0.0.1:{free_port()}"
    with pytest.raises(WorkersError, match=f"{address} does not answer"):
        workers(address, n_processes=1, wait_s=1.0).__enter__()


def end_worker_at_two(folder: Path, part: int) -> None:
    """Leave a file of the part; part 2 ends its worker, as one that takes too much memory."""
    (folder / f"{part}-{os.getpid()}").touch()
    if part == 2:
        os.kill(os.getpid(), signal.SIGKILL)


def wait_for_the_end(_folder: Path, _part: int) -> None:
    """Wait longer than a worker lives here."""
    time.sleep(60)


def test_a_part_that_ends_three_workers_is_named(tmp_path: Path) -> None:
    """Tasks that only waited on these workers are not blamed, and go on."""
    with (
        workers(None, n_processes=1) as started,
        pytest.raises(WorkersError, match=r"^3 workers ended .* computed part 2: .* more --parts$"),
    ):
        started.run(end_worker_at_two, tmp_path, parts=range(4), progress=Silent())

    assert len(list(tmp_path.glob("2-*"))) == 3


def test_workers_that_all_end_and_do_not_come_back_end_a_run(tmp_path: Path) -> None:
    with (
        workers(None, n_processes=2, wait_s=2.0) as started,
        pytest.raises(WorkersError, match="all workers ended, and for 2 s none came back"),
        killing_workers(),
    ):
        started.run(wait_for_the_end, tmp_path, parts=range(4), progress=Silent())


def test_workers_that_do_not_start_are_reported() -> None:
    starting = workers(None, n_processes=2)

    with killing_workers(), pytest.raises(WorkersError, match="2 worker processes could not start"):
        starting.__enter__()


@contextmanager
def killing_workers() -> Generator[None]:
    """Kill each worker process of this process as soon as it is seen, while the block runs."""
    is_over = Event()

    def kill() -> None:
        while not is_over.wait(0.05):
            with suppress(OSError):  # it has ended
                for worker in workers_here():
                    os.kill(worker, signal.SIGKILL)

    thread = Thread(target=kill)
    thread.start()
    try:
        yield
    finally:
        is_over.set()
        thread.join()
