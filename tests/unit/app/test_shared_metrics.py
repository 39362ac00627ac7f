import os
import subprocess
import sys
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector

from app import shared_metrics
from app.shared_metrics import FILE_BYTES, KINDS, shared_directory, shrink
from tests.proofs import ROOT

BLOCK_BYTES = 512  # as stat counts them


def made(wanted: Path | None, state_dir: Path) -> Path:
    return Path(shared_directory("test", wanted=wanted, state_dir=state_dir, n_workers=2))


PROGRAM = """
import os, sys
from app.shared_metrics import allocate
allocate(sys.argv[1], os.getpid())
from prometheus_client import Counter
Counter("n", "N").inc(3)
print(os.getpid())
"""


def counted(directory: Path) -> int:
    """Have another process count to three in a directory; return its id."""
    environment = {**os.environ, "PROMETHEUS_MULTIPROC_DIR": str(directory)}
    command = [sys.executable, "-c", PROGRAM, str(directory)]
    done = subprocess.run(command, env=environment, check=True, capture_output=True, cwd=ROOT)
    return int(done.stdout)


def seen(directory: Path) -> str:
    registry = CollectorRegistry()
    MultiProcessCollector(registry, str(directory))
    return generate_latest(registry).decode()


def test_the_directory_is_made_where_the_operator_wants_it_and_empty(tmp_path: Path) -> None:
    (made(tmp_path / "wanted", tmp_path) / "counter_1.db").touch()

    directory = made(tmp_path / "wanted", tmp_path)

    assert (directory.parent, list(directory.iterdir())) == (tmp_path / "wanted", [])


def test_a_place_without_room_is_passed_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setattr(shared_metrics, "MEMORY", tmp_path / "file")
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", None)

    directory = made(None, tmp_path / "state")

    assert directory.parent == tmp_path


def test_where_no_place_has_room_workers_share_nothing(tmp_path: Path) -> None:
    (tmp_path / "file").touch()

    directory = shared_directory("test", wanted=tmp_path / "file", state_dir=tmp_path, n_workers=2)

    assert directory == ""


def test_files_have_all_their_pages_until_their_worker_died_and_count_on(tmp_path: Path) -> None:
    directory = made(tmp_path, tmp_path)
    pid = counted(directory)
    living = [path.stat() for path in directory.glob("*.db")]

    shrink(str(directory), pid)

    assert [one.st_size for one in living] == [FILE_BYTES] * len(KINDS)
    assert all(one.st_blocks * BLOCK_BYTES >= one.st_size for one in living)
    assert sum(path.stat().st_size for path in directory.glob("*.db")) < 1_024
    assert "n_total 3.0" in seen(directory)
