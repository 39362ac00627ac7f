"""Atomic writes: a file is there whole or not at all, and stays there after a power cut."""

import os
import secrets
import time
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, Final

ABANDONED_AFTER_S: Final = 3600.0
"""No write takes an hour: an older partial file was left by a process that was killed."""

_SUFFIX: Final = ".partial"
_READABLE: Final = 0o666  # narrowed by the umask of the process


@contextmanager
def atomic_file(path: Path, *, mode: int = _READABLE) -> Generator[BinaryIO]:
    """Open a file that takes the name of another one when everything is written.

    Several processes may write the same path at once: one of them wins, whole. Where anything
    fails, nothing is left beside the file, which stays as it was.

    Args:
        path: The file; its directory is made if absent.
        mode: Permissions of a new file, before the umask.

    Yields:
        A file to write into.

    Raises:
        OSError: If it cannot be written.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.{secrets.token_hex(8)}{_SUFFIX}")
    try:
        # With permissions from the first moment: a file of keys is never readable by others.
        with os.fdopen(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())  # noqa: TID251 - its home
        partial.replace(path)
    except BaseException:
        partial.unlink(missing_ok=True)
        raise
    sync_directory(path.parent)


def write_file(path: Path, content: bytes, *, mode: int = _READABLE) -> None:
    """Write a whole file; see `atomic_file`."""
    with atomic_file(path, mode=mode) as file:
        file.write(content)


def sync_directory(directory: Path) -> None:
    """Make names that were given in a directory survive a power cut."""
    handle = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(handle)  # noqa: TID251 - its home
    finally:
        os.close(handle)


def remove_abandoned(directory: Path) -> int:
    """Remove partial files that killed processes left in a directory; return how many."""
    oldest_s = time.time() - ABANDONED_AFTER_S
    n_removed = 0
    for partial in directory.glob(f".*{_SUFFIX}"):
        try:
            if partial.stat().st_mtime < oldest_s:
                partial.unlink()
                n_removed += 1
        except FileNotFoundError:  # another process renamed or removed it
            continue
    return n_removed
