"""The kernel's library: built from its source alone, and named by it."""

import platform
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from models.kernel.library import FOLDER, build, library_path, load


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """Sources without a library, as in the image that builds it."""
    folder = tmp_path / "models" / "kernel"
    shutil.copytree(FOLDER, folder, ignore=shutil.ignore_patterns("*.so", "__pycache__"))
    return folder


def built(folder: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "models.kernel.library"]
    root = folder.parents[1]
    return subprocess.run(
        command, cwd=root, env=environment, capture_output=True, text=True, check=False
    )


def test_without_a_compiler_the_command_says_what_to_install(copy: Path) -> None:
    done = built(copy, PATH="")

    assert done.returncode == 1
    assert "install gcc" in done.stderr
    assert not list(copy.glob("*.so"))


def test_a_compiler_that_fails_is_named(copy: Path, tmp_path: Path) -> None:
    """As gcc without the headers of C."""
    compiler = tmp_path / "cc"
    compiler.write_text("#!/bin/sh\nexit 3\n")
    compiler.chmod(0o755)

    done = built(copy, PATH=str(tmp_path))

    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    assert f"{compiler} cannot compile the kernel" in done.stderr
    assert "exit status 3" in done.stderr


def test_a_compiler_that_cannot_be_started_is_named(copy: Path, tmp_path: Path) -> None:
    compiler = tmp_path / "cc"
    compiler.write_text("#!/no/such/shell\n")
    compiler.chmod(0o755)

    done = built(copy, PATH=str(tmp_path))

    assert (done.returncode, "Traceback" in done.stderr) == (1, False)
    assert f"{compiler} cannot compile the kernel" in done.stderr


def test_another_machine_has_another_library(monkeypatch: pytest.MonkeyPatch) -> None:
    """A checkout may be shared by machines of several kinds."""
    own = library_path()

    monkeypatch.setattr(platform, "machine", lambda: "another")

    assert library_path() != own


def test_another_source_has_another_library(copy: Path) -> None:
    """A library of an earlier source lies beside the new one, and is not the one that is loaded."""
    path = "/usr/bin:/bin"
    assert built(copy, PATH=path).returncode == 0
    assert [one.name for one in copy.glob("*.so")] == [build().name]

    source = copy / "forest.c"
    source.write_text(source.read_text() + "/* changed */\n")
    assert built(copy, PATH=path).returncode == 0

    assert len(list(copy.glob("*.so"))) == 2


def test_a_file_that_is_no_library_is_refused(tmp_path: Path) -> None:
    other = tmp_path / "kernel.so"
    other.write_bytes(b"of another machine")

    with pytest.raises(OSError, match=r"kernel\.so"):
        load(other)
