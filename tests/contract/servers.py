"""Real servers for contract suites: started on a socket of their own, stopped with the tests."""

import shutil
import subprocess
import time
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import cast

from app.stores.connection import Connection
from app.stores.embedded import answers, socket_path

START_TIMEOUT_S = 10.0


def redis_binary() -> str | None:
    """Where Redis is installed, None if it is not."""
    return shutil.which("redis-server")


@contextmanager
def redis_server(binary: str, folder: Path) -> Generator[str]:
    """Have a Redis run that keeps nothing, and yield its URL."""
    path = socket_path(folder)
    settings = ["--port", "0", "--unixsocket", str(path), "--save", "", "--appendonly", "no"]
    with (
        (folder / "redis.log").open("wb") as log,
        subprocess.Popen([binary, *settings], cwd=folder, stdout=log, stderr=log) as process,
    ):
        try:
            wait_until_ready(path)
            yield f"unix://{path}"
        finally:
            process.terminate()


def wait_until_ready(path: Path) -> None:
    """Return when a server answers at a socket.

    Raises:
        TimeoutError: If none does in time.
    """
    deadline = time.monotonic() + START_TIMEOUT_S
    while not answers(path):
        if time.monotonic() > deadline:
            msg = f"no server answers at {path}"
            raise TimeoutError(msg)
        time.sleep(0.01)


async def process_id(connection: Connection) -> int:
    """The process of a server, to stop it in mid-air."""
    reply = await connection.execute("INFO", "server", doing="looking")
    return int(cast("dict[str, int]", reply)["process_id"])
