"""Heartbeats: the parent process hears whether the event loops of its workers go on.

A worker that hangs, or was stopped, answers nothing, logs nothing, and its gauges keep their
last values: only another process can tell.
"""

import os
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import Final

BEAT_S: Final = 1.0

SILENT_S: Final = 5.0
"""Of silence until it is logged; a busy machine makes a worker pause for a second or two."""

LOST_S: Final = 30.0
"""Of silence until a worker is replaced: callers gave up long since what it was answering."""

_READ_BYTES: Final = 65_536


def pipe() -> tuple[Connection, Connection]:
    """Return what a parent reads from, and what its worker writes to."""
    reader, writer = os.pipe()
    return Connection(reader, writable=False), Connection(writer, readable=False)


class Heart:
    """The worker's end of a pipe to its parent."""

    def __init__(self, connection: Connection) -> None:
        os.set_blocking(connection.fileno(), False)
        self._connection = connection

    def beat(self) -> None:
        """Say that this process goes on; a parent that does not listen is not waited for."""
        with suppress(OSError):
            os.write(self._connection.fileno(), b".")

    def stop(self) -> None:
        """Say that silence is no fault from now on: this process is about to end."""
        self._connection.close()


@dataclass(slots=True)
class Pulse:
    """The parent's end.

    Attributes:
        connection: Where beats come from.
        is_awaited: Whether they are: from the first one, when a worker is ready, to its stop.
        silent_s: For how long none came, in seconds in which the parent itself ran.
    """

    connection: Connection
    is_awaited: bool = False
    silent_s: float = 0.0

    def listen(self, elapsed_s: float) -> None:
        """Take what came since the last time.

        Args:
            elapsed_s: Seconds since then. A parent that was stopped itself gives no more than
                it would have waited, so that it accuses no worker that was stopped with it.
        """
        os.set_blocking(self.connection.fileno(), False)
        try:
            is_open = bool(os.read(self.connection.fileno(), _READ_BYTES))
        except BlockingIOError:
            self.silent_s += elapsed_s if self.is_awaited else 0.0
            return
        self.is_awaited = is_open
        self.silent_s = 0.0
