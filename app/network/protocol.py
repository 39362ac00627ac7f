"""HTTP/1.1 protocol of a worker, on top of uvicorn's.

Stamps each request with its arrival, and ignores offers to upgrade the connection.
"""

import time
from typing import Final

import httptools
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

ARRIVED: Final = "arrived"
"""Key of `scope["state"]`: when the whole head of a request had come, by `time.monotonic`."""

_OFFER: Final = frozenset({b"upgrade", b"http2-settings"})
_INVALID: Final = "Invalid HTTP request received."


class BoundedProtocol(HttpToolsProtocol):
    """One connection of a caller."""

    def data_received(self, data: bytes) -> None:
        """Parse what arrived; a malformed request answers 400 and ends the connection."""
        self._unset_keepalive_if_required()
        try:
            self._feed(data)
        except httptools.HttpParserError:
            self.send_400_response(_INVALID)

    def _feed(self, data: bytes) -> None:
        while data:
            try:
                self.parser.feed_data(data)
            except httptools.HttpParserUpgrade as offer:
                data = self._head_without_offer() + data[offer.args[0] :]
            else:
                return

    def _head_without_offer(self) -> bytes:
        """Return the head of the last request without its offer, for a parser of its own.

        The parser takes what follows an offer for another protocol and skips the body.
        """
        method = self.parser.get_method()
        if method == b"CONNECT":
            msg = "a tunnel is wanted"
            raise httptools.HttpParserInvalidMethodError(msg)
        version = self.parser.get_http_version().encode()
        self.parser = httptools.HttpRequestParser(self)
        self.parser.set_dangerous_leniencies(lenient_data_after_close=True)
        lines = [b"%s %s HTTP/%s" % (method, self.url, version)]
        for name, value in self.headers:
            if name == b"connection":
                kept = [one for one in value.split(b",") if one.strip().lower() not in _OFFER]
                lines.append(b"connection:" + b",".join(kept))
            elif name not in _OFFER:
                lines.append(name + b":" + value)
        return b"\r\n".join([*lines, b"", b""])

    def on_headers_complete(self) -> None:
        """Stamp a request and start it, unless it offers an upgrade: it comes again without."""
        if not self.parser.should_upgrade():
            self.scope.setdefault("state", {})[ARRIVED] = time.monotonic()
            super().on_headers_complete()

    def on_message_complete(self) -> None:
        """End the body of a request that was started."""
        if not self.parser.should_upgrade():
            super().on_message_complete()
