"""Schedulers that cannot be used are named at once."""

import subprocess
import sys
from collections.abc import Generator

import pytest

from tests.contract.servers import free_port
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
