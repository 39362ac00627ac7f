"""A file is there whole or not at all, and nothing of a failed write stays beside it."""

import os
import stat
from pathlib import Path

import pytest

from models.arrays.atomic_file import (
    ABANDONED_AFTER_S,
    atomic_file,
    remove_abandoned,
    write_file,
)


class InterruptedWriteError(Exception):
    """Raised in the middle of a write."""


def interrupted(path: Path) -> None:
    with atomic_file(path) as file:
        file.write(b"half")
        raise InterruptedWriteError


def test_a_file_is_replaced_whole(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "latest"
    write_file(path, b"first")
    write_file(path, b"second")

    assert path.read_bytes() == b"second"
    assert list(path.parent.iterdir()) == [path]


def test_a_write_that_fails_leaves_the_file_of_before_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "latest"
    write_file(path, b"before")

    with pytest.raises(InterruptedWriteError):
        interrupted(path)

    assert path.read_bytes() == b"before"
    assert list(tmp_path.iterdir()) == [path]


def test_a_directory_in_the_way_fails_the_write_and_leaves_nothing(tmp_path: Path) -> None:
    (tmp_path / "latest").mkdir()

    with pytest.raises(IsADirectoryError):
        write_file(tmp_path / "latest", b"content")

    assert list(tmp_path.iterdir()) == [tmp_path / "latest"]


def test_two_writers_of_one_path_do_not_meet(tmp_path: Path) -> None:
    path = tmp_path / "counts"
    with atomic_file(path) as slow:
        slow.write(b"slow ")
        write_file(path, b"fast")
        assert path.read_bytes() == b"fast"
        slow.write(b"writer")

    assert path.read_bytes() == b"slow writer"
    assert list(tmp_path.iterdir()) == [path]


def test_a_secret_is_readable_by_its_owner_only(tmp_path: Path) -> None:
    write_file(tmp_path / "keys", b"secret", mode=0o600)

    assert stat.S_IMODE((tmp_path / "keys").stat().st_mode) == stat.S_IRUSR | stat.S_IWUSR


def test_what_killed_writers_left_is_removed_after_an_hour(tmp_path: Path) -> None:
    old, young = tmp_path / ".latest.0a.partial", tmp_path / ".latest.0b.partial"
    for path in (old, young, tmp_path / "kept"):
        path.touch()
    past = old.stat().st_mtime - ABANDONED_AFTER_S - 1
    os.utime(old, (past, past))
    os.utime(tmp_path / "kept", (past, past))

    assert remove_abandoned(tmp_path) == 1
    assert sorted(tmp_path.iterdir()) == [young, tmp_path / "kept"]
