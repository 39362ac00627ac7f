import os
import subprocess
import sys
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector

from app import shared_metrics
from app.shared_metrics import FILE_BYTES, KINDS, shared_directory, shrink
from tests.proofs import ROOT

BLOCK_BYTES = 512  # as stat counts them


@contextmanager
def made(wanted: Path | None, state_dir: Path) -> Generator[Path]:
    with shared_directory("test", wanted=wanted, state_dir=state_dir, n_workers=2) as directory:
        yield Path(directory)


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


def test_the_directory_is_made_where_the_operator_wants_it_and_ends_with_its_service(
    tmp_path: Path,
) -> None:
    with made(tmp_path / "wanted", tmp_path) as directory:
        assert (directory.parent, list(directory.iterdir())) == (tmp_path / "wanted", [])
        (directory / "counter_1.db").touch()

    assert list((tmp_path / "wanted").iterdir()) == []


KILLED = """
import os, signal, sys
from pathlib import Path
from app.shared_metrics import allocate, shared_directory
base = Path(sys.argv[1])
with shared_directory("test", wanted=base, state_dir=base, n_workers=1) as directory:
    allocate(directory, 1)
    os.kill(os.getpid(), signal.SIGKILL)
"""


def test_what_a_killed_service_left_is_removed_and_nothing_of_a_living_one(tmp_path: Path) -> None:
    (tmp_path / f"vitrine-metrics-{os.getuid()}-notes").mkdir()
    (tmp_path / f"vitrine-metrics-{os.getuid()}-notes" / "of an operator").touch()
    with made(tmp_path, tmp_path) as living:
        (living / "counter_1.db").touch()
        subprocess.run([sys.executable, "-c", KILLED, str(tmp_path)], check=False, cwd=ROOT)
        n_left = len(list(tmp_path.iterdir()))

        with made(tmp_path, tmp_path) as other:
            found = {path.name for path in tmp_path.iterdir()}

        assert n_left == 3
        assert found == {living.name, other.name, f"vitrine-metrics-{os.getuid()}-notes"}
        assert [path.name for path in living.iterdir()] == ["counter_1.db"]


def test_a_place_without_room_is_passed_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setattr(shared_metrics, "MEMORY", tmp_path / "file")
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", None)

    with made(None, tmp_path / "state") as directory:
        assert directory.parent == tmp_path


def test_where_no_place_has_room_workers_share_nothing(tmp_path: Path) -> None:
    (tmp_path / "file").touch()

    with shared_directory(
        "test", wanted=tmp_path / "file", state_dir=tmp_path, n_workers=2
    ) as directory:
        assert directory == ""


def test_files_have_all_their_pages_until_their_worker_died_and_count_on(tmp_path: Path) -> None:
    with made(tmp_path, tmp_path) as directory:
        pid = counted(directory)
        living = [path.stat() for path in directory.glob("*.db")]

        shrink(str(directory), pid)

        assert [one.st_size for one in living] == [FILE_BYTES] * len(KINDS)
        assert all(one.st_blocks * BLOCK_BYTES >= one.st_size for one in living)
        assert sum(path.stat().st_size for path in directory.glob("*.db")) < 1_024
        assert "n_total 3.0" in seen(directory)
