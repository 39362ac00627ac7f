"""Metrics directory, through which the workers of a service share their metrics.

prometheus_client maps its files into memory and grows them sparsely: if the disk has no room for
a page, the kernel kills the worker that touches it (SIGBUS). Therefore the files are in memory if
possible, and all of their pages are allocated before the first answer.
"""

import fcntl
import os
import struct
import tempfile
from collections.abc import Generator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from app.observability import get_logger

# Prefixes of the names of a worker's files, as `prometheus_client.values` makes them.
KINDS: Final = (
    *("counter", "histogram", "gauge_mostrecent"),
    *("gauge_livesum", "gauge_livemin", "gauge_livemax"),
)

# prometheus_client begins with 1 MiB, for about 350 series of a histogram; a full file doubles,
# with pages that are not allocated.
FILE_BYTES: Final = 1024 * 1024

ROOM_BYTES: Final = (len(KINDS) + 1) * FILE_BYTES

MEMORY: Final = Path("/dev/shm")  # noqa: S108 - made for us alone, by `mkdtemp`

_LIVE: Final = "gauge_live"
_PROBE: Final = "room"
# Head of a file of prometheus_client: the number of bytes in use.
_USED: Final = struct.Struct("i")

_log = get_logger(__name__)


@contextmanager
def shared_directory(
    name: str, *, wanted: Path | None, state_dir: Path, n_workers: int
) -> Generator[str]:
    """Make the directory and remove it at the end; yield an empty name if there is no room.

    Directories of killed services are removed before.

    Args:
        name: Name of the service, unique on this machine.
        wanted: Parent directory by the settings; None for memory, or else for temporary files.
        state_dir: Parent directory if no other has room.
        n_workers: Number of workers, which need `ROOM_BYTES` each.
    """
    bases = [wanted] if wanted else [MEMORY, Path(tempfile.gettempdir()), state_dir / "metrics"]
    for base in bases:
        try:
            base.mkdir(parents=True, exist_ok=True)
            _remove_dead(base)
            directory, lock = _make(base, name, n_bytes=n_workers * ROOM_BYTES)
            break
        except OSError as exc:
            _log.warning("no room for metrics", directory=str(base), reason=str(exc))
    else:
        _log.error("workers share no metrics, each answers for itself: set VITRINE_METRICS_DIR")
        yield ""
        return
    try:
        yield str(directory)
    finally:
        _remove(directory)
        os.close(lock)


def allocate(directory: str, pid: int) -> None:
    """Make the files of a worker with all pages allocated, before it counts anything.

    Raises:
        OSError: If there is no room for them.
    """
    for kind in KINDS:
        with (Path(directory) / f"{kind}_{pid}.db").open("ab") as file:
            os.posix_fallocate(file.fileno(), 0, FILE_BYTES)


def shrink(directory: str, pid: int | None) -> None:
    """Free the unused pages of a dead worker, and remove its live gauges; its counters stay."""
    if not directory:
        return
    for path in Path(directory).glob(f"*_{pid}.db"):
        if path.name.startswith(_LIVE):
            path.unlink(missing_ok=True)
            continue
        with suppress(OSError), path.open("r+b") as file:
            used: int = _USED.unpack(file.read(_USED.size))[0]
            # Its readers expect a whole head of 8 bytes, also in a file without a series.
            file.truncate(max(used, 2 * _USED.size))


def _make(base: Path, name: str, *, n_bytes: int) -> tuple[Path, int]:
    directory = Path(tempfile.mkdtemp(prefix=f"{_prefix()}{name}-", dir=base))
    lock = -1
    try:
        # The directory itself is locked, which `filelock` cannot do: no lock file is left behind.
        lock = os.open(directory, os.O_RDONLY)
        fcntl.flock(lock, fcntl.LOCK_EX)
        # Fails if another service removed the directory as a dead one's before it was locked.
        with (directory / _PROBE).open("wb") as file:
            os.posix_fallocate(file.fileno(), 0, n_bytes)
        (directory / _PROBE).unlink()
    except OSError:
        _remove(directory)
        if lock >= 0:
            os.close(lock)
        raise
    return directory, lock


def _remove_dead(base: Path) -> None:
    """Remove directories that no process has locked; a lock ends with its process."""
    for directory in base.glob(f"{_prefix()}*"):
        with suppress(OSError):
            lock = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                if os.fstat(lock).st_uid == os.getuid():
                    _remove(directory)
                    _log.info("removed the metrics of a dead service", directory=str(directory))
            finally:
                os.close(lock)


def _remove(directory: Path) -> None:
    """Remove a directory, unless it holds foreign files."""
    with suppress(OSError):
        for file in (*directory.glob("*.db"), directory / _PROBE):
            file.unlink(missing_ok=True)
        directory.rmdir()


def _prefix() -> str:
    return f"vitrine-metrics-{os.getuid()}-"
