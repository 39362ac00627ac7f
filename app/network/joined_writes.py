"""Transport of one answer, whose head is written together with the first part of its body."""

import asyncio
from collections.abc import Callable


class JoinedWrites(asyncio.Transport):
    """Wraps a connection's transport for one answer: uvicorn writes head and body apart.

    Each write is a system call. Answers to `HEAD` are not wrapped: they have nothing to wait for.
    """

    def __init__(self, transport: asyncio.Transport, has_begun: Callable[[], bool]) -> None:
        """Wrap a transport.

        Args:
            transport: Of the connection.
            has_begun: Whether what is written is part of the answer: `100 Continue` is not.
        """
        self._transport = transport
        self._has_begun = has_begun
        self._head: bytes | None = None

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Keep the head, and write it with what follows."""
        if self._head is None and self._has_begun():
            self._head = bytes(data)
        elif self._head:
            self._transport.write(self._head + data)
            self._head = b""
        else:
            self._transport.write(data)

    def close(self) -> None:
        """Close once everything is written."""
        if self._head:
            self.write(b"")
        self._transport.close()

    def is_closing(self) -> bool:
        """Return whether the connection is being closed."""
        return self._transport.is_closing()
