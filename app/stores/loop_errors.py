"""Errors that the event loop reports, of connections to the store that were given up."""

import asyncio
from typing import Any, Final

from app.bounded_log import BoundedLog

# Of uvloop 0.23, for a connection that was closed, by a timeout of its handshake or as the store is
# dialled anew, while bytes of it arrived: it decrypts them, and cannot answer any more.
_OF_TLS: Final = "Fatal error on SSL protocol"
_IS_CLOSED: Final = "the handler is closed"


class LoopErrors:
    """Exception handler of an event loop: a TLS connection that was given up is a line of the log.

    The outage itself is reported by the command that used the connection, so that nothing is lost
    with the traceback. All other errors are logged as asyncio does.
    """

    def __init__(self) -> None:
        self._log = BoundedLog(__name__)

    def handle(self, loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        """Log an error of the loop; see `asyncio.AbstractEventLoop.set_exception_handler`."""
        reason = str(context.get("exception"))
        if context.get("message") == _OF_TLS and reason.endswith(_IS_CLOSED):
            self._log.warning("a TLS connection was closed while bytes arrived", reason=reason)
        else:
            loop.default_exception_handler(context)
