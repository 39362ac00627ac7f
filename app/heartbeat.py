"""Heartbeats: a worker shows its parent process, over a pipe, that its event loop runs.

A worker that hangs or was stopped answers nothing, logs nothing, and its gauges keep their last
values: only another process can detect it.
"""

import os
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import Final

BEAT_S: Final = 1.0

# Silence before a warning: a busy machine makes a worker pause for a second or two. Chosen.
SILENT_S: Final = 5.0
_READ_BYTES: Final = 65_536  # a Linux pipe holds no more: one read empties it


def pipe() -> tuple[Connection, Connection]:
    """Return the parent's end, to read from, and the worker's end, to write to."""
    reader, writer = os.pipe()
    return Connection(reader, writable=False), Connection(writer, readable=False)


class HeartbeatSender:
    """The worker's end of the pipe."""

    def __init__(self, connection: Connection) -> None:
        # A parent that hangs must not make its workers hang.
        os.set_blocking(connection.fileno(), False)
        self._connection = connection

    def beat(self) -> None:
        """Send a beat; never waits for a parent that does not read."""
        with suppress(OSError):
            os.write(self._connection.fileno(), b".")

    def stop(self) -> None:
        """Close the pipe: from now on silence is no fault, as this process is about to end."""
        self._connection.close()


@dataclass(slots=True)
class HeartbeatReceiver:
    """The parent's end of the pipe.

    Attributes:
        is_awaited: Whether beats are due: from the first beat of a ready worker to its stop.
        silent_s: Time without a beat, in seconds in which the parent itself ran.
    """

    connection: Connection
    is_awaited: bool = False
    silent_s: float = 0.0

    def listen(self, elapsed_s: float) -> None:
        """Read the beats that arrived since the last call.

        Args:
            elapsed_s: Seconds since the last call. A parent that was paused itself passes no
                more than it would have waited, so that a worker paused with it is not blamed.
        """
        os.set_blocking(self.connection.fileno(), False)
        try:
            is_open = bool(os.read(self.connection.fileno(), _READ_BYTES))
        except BlockingIOError:
            self.silent_s += elapsed_s if self.is_awaited else 0.0
            return
        self.is_awaited = is_open
        self.silent_s = 0.0
