"""Atomic and durable file writes: temporary file, fsync, rename, fsync of the directory."""

import os
import secrets
import time
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, Final

# Chosen: no write takes an hour, so an older partial file is of a process that was killed.
ABANDONED_AFTER_S: Final = 3600.0

_SUFFIX: Final = ".partial"
_READABLE: Final = 0o666  # narrowed by the umask of the process


@contextmanager
def atomic_file(path: Path, *, mode: int = _READABLE) -> Generator[BinaryIO]:
    """Open a temporary file that replaces ``path`` after everything is written.

    Several processes may write the same path at once; one of them wins. On failure the temporary
    file is removed, and ``path`` is unchanged.

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
        # Permissions are set at creation: a file of keys is at no time readable by others.
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
    """Make the names in a directory durable."""
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
