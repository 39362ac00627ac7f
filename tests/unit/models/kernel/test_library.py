"""The kernel's library: built from its source alone, and named by it."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from models.kernel.library import SOURCE, build, load


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """Sources without a library, as in the image that builds it."""
    folder = tmp_path / "models" / "kernel"
    shutil.copytree(SOURCE.parent, folder, ignore=shutil.ignore_patterns("*.so", "__pycache__"))
    return folder


def built(folder: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "models.kernel.library"]
    root = folder.parents[1]
    return subprocess.run(
        command, cwd=root, env=environment, capture_output=True, text=True, check=False
    )


def test_without_a_compiler_the_command_says_what_to_install(copy: Path) -> None:
    done = built(copy, PATH="")

    assert done.returncode == 0
    assert "Install gcc" in done.stderr
    assert not list(copy.glob("*.so"))


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
    other = tmp_path / "forest.so"
    other.write_bytes(b"of another machine")

    with pytest.raises(OSError, match=r"forest\.so"):
        load(other)
