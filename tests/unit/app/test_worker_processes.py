"""Metrics of the processes of the workers."""

import os
import subprocess
import sys
from collections.abc import Generator
from pathlib import Path

import pytest

from app.observability import Metrics
from app.worker_processes import Processes, live_workers


@pytest.fixture
def other() -> Generator[subprocess.Popen[bytes]]:
    """Another process, that waits."""
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as process:
        yield process
        process.kill()


def values(*pids: int) -> dict[str, float]:
    return {one.name: one.samples[0].value for one in Processes(pids).collect()}


def test_processes_are_added_up_but_for_their_start(other: subprocess.Popen[bytes]) -> None:
    mine, others = values(os.getpid()), values(other.pid)

    both = values(other.pid, os.getpid())

    memory = "process_virtual_memory_bytes"
    assert both[memory] == pytest.approx(mine[memory] + others[memory], rel=0.05)
    assert both["process_cpu_seconds"] >= mine["process_cpu_seconds"]
    start = "process_start_time_seconds"
    assert both[start] == min(mine[start], others[start])


def test_a_process_that_ended_does_not_count(other: subprocess.Popen[bytes]) -> None:
    other.kill()
    other.wait()

    assert values(other.pid) == {}
    assert values(other.pid, os.getpid()).keys() == values(os.getpid()).keys()


def test_workers_are_known_by_their_live_gauges(tmp_path: Path) -> None:
    for name in ("gauge_livesum_12.db", "counter_12.db", "gauge_livesum_7.db", "counter_3.db"):
        (tmp_path / name).touch()

    assert live_workers(str(tmp_path)) == [7, 12]


def test_the_exposition_has_them_and_the_build() -> None:
    shown = Metrics().exposition(None).decode()

    assert "\nprocess_resident_memory_bytes " in shown
    assert 'vitrine_build_info{python="' in shown
