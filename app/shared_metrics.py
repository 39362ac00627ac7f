"""The directory in which the workers of a service share their metrics.

prometheus_client maps its files into memory, and grows them without writing: where the disk has
no room for a page, the kernel kills the worker that touches it (SIGBUS). So the files lie in
memory if possible, and have all of their pages before the first answer.
"""

import os
import struct
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Final

from app.observability import get_logger

KINDS: Final = (
    *("counter", "histogram", "gauge_mostrecent"),
    *("gauge_livesum", "gauge_livemin", "gauge_livemax"),
)
"""Begin the names of a worker's files; see `prometheus_client.values`."""

FILE_BYTES: Final = 1024 * 1024
"""Some 350 series of a histogram; a file that is full doubles, by pages that are not there yet."""

ROOM_BYTES: Final = (len(KINDS) + 1) * FILE_BYTES

MEMORY: Final = Path("/dev/shm")  # noqa: S108 - made for us alone, see `_is_ours`

_LIVE: Final = "gauge_live"
_USED: Final = struct.Struct("i")
"""Begins a file of prometheus_client: how much of it is used, in bytes."""

_log = get_logger(__name__)


def shared_directory(name: str, *, wanted: Path | None, state_dir: Path, n_workers: int) -> str:
    """Make the directory, empty; return it, or nothing where there is no room for one.

    Args:
        name: Of the service, among others of this machine.
        wanted: Where the operator wants it; None for memory, or else where files are temporary.
        state_dir: Where it is made if nothing else has room.
        n_workers: How many workers need `ROOM_BYTES` each.
    """
    bases = [wanted] if wanted else [MEMORY, Path(tempfile.gettempdir()), state_dir / "metrics"]
    for base in bases:
        directory = base / f"vitrine-{os.getuid()}-{name}"
        try:
            _make(directory, n_bytes=n_workers * ROOM_BYTES)
        except OSError as exc:
            _log.warning("no room for metrics", directory=str(directory), reason=str(exc))
        else:
            return str(directory)
    _log.error("workers share no metrics, each answers for itself: set VITRINE_METRICS_DIR")
    return ""


def allocate(directory: str, pid: int) -> None:
    """Make the files of a worker, with all of their pages, before it counts anything.

    Raises:
        OSError: If there is no room for them.
    """
    for kind in KINDS:
        with (Path(directory) / f"{kind}_{pid}.db").open("ab") as file:
            os.posix_fallocate(file.fileno(), 0, FILE_BYTES)


def shrink(directory: str, pid: int | None) -> None:
    """Give back what a worker that died did not use; what it counted stays, but what was now."""
    for path in _files(directory, pid):
        if path.name.startswith(_LIVE):
            path.unlink(missing_ok=True)
            continue
        with suppress(OSError), path.open("r+b") as file:
            used: int = _USED.unpack(file.read(_USED.size))[0]
            file.truncate(max(used, 2 * _USED.size))


def _files(directory: str, pid: int | None) -> Iterator[Path]:
    return Path(directory).glob(f"*_{pid}.db") if directory else iter(())


def _make(directory: Path, *, n_bytes: int) -> None:
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    if directory.is_symlink() or directory.stat().st_uid != os.getuid():
        msg = "it belongs to another user"
        raise OSError(msg)
    for old in directory.glob("*.db"):
        old.unlink(missing_ok=True)
    probe = directory / "room"
    try:
        with probe.open("wb") as file:
            os.posix_fallocate(file.fileno(), 0, n_bytes)
    finally:
        probe.unlink(missing_ok=True)
