"""Listening socket that accepts many connections per round of the event loop.

uvloop accepts one a round. Under load a round computes a ranking: after a burst of 500 connections
the next caller, a health probe as well, would be accepted seconds later.
"""

import asyncio
import errno
import socket
from collections.abc import Callable
from typing import Final

from app.bounded_log import BoundedLog

# Chosen, not measured; bounded because workers that share a socket share a burst.
MOST_A_ROUND: Final = 32
AGAIN_AFTER_S: Final = 1.0

_NO_ROOM: Final = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})


class Listening:
    """Hands the connections of a socket to protocols, until it is closed."""

    def __init__(
        self, listener: socket.socket, protocol: Callable[[], asyncio.BaseProtocol]
    ) -> None:
        """Begin at once, on the running loop."""
        self._loop = asyncio.get_running_loop()
        self._listener = listener
        self._protocol = protocol
        self._opening: set[asyncio.Task[None]] = set()
        self._again: asyncio.TimerHandle | None = None
        self._log = BoundedLog(__name__)
        listener.setblocking(False)
        self._listen()

    def close(self) -> None:
        """Take no more; those that were taken stay."""
        self._loop.remove_reader(self._listener)
        if self._again is not None:
            self._again.cancel()

    def _listen(self) -> None:
        self._loop.add_reader(self._listener, self._take)

    def _take(self) -> None:
        for _ in range(MOST_A_ROUND):
            try:
                taken, _address = self._listener.accept()
            except (BlockingIOError, InterruptedError):
                return
            except ConnectionAbortedError:
                continue  # that caller is gone; the next may wait
            except OSError as exc:
                if exc.errno not in _NO_ROOM:
                    raise
                # The loop would call again at once, and spin until there is room.
                self._log.warning(
                    "no connection can be taken for now", str(exc.errno), reason=str(exc)
                )
                self._loop.remove_reader(self._listener)
                self._again = self._loop.call_later(AGAIN_AFTER_S, self._listen)
                return
            task = self._loop.create_task(self._opened(taken))
            self._opening.add(task)  # the loop itself holds tasks by weak references alone
            task.add_done_callback(self._opening.discard)

    async def _opened(self, taken: socket.socket) -> None:
        taken.setblocking(False)
        try:
            await self._loop.connect_accepted_socket(self._protocol, taken)
        except OSError as exc:
            taken.close()
            self._log.warning("a connection was gone at once", "gone", reason=str(exc))
