"""HTTP/1.1 protocol of a worker, on top of uvicorn's, within the bounds of `Door`.

uvicorn alone keeps a head of any size, and waits for its end without a limit.
"""

import asyncio
import time
from enum import Enum, auto
from http import HTTPStatus
from typing import ClassVar, Final

import httptools
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from app.errors import ServiceError, SlowBodyError
from app.network.door import Door, network_of
from app.network.head import check_head
from app.network.joined_writes import JoinedWrites
from app.network.refusal import (
    HeadTooLargeError,
    MalformedRequestError,
    SlowHeadError,
    TooManyConnectionsError,
    TooMuchHeldError,
    UrlTooLongError,
    answer_of,
)

ARRIVED: Final = "arrived"
"""Key of `scope["state"]`: when the head of a request had arrived, by `time.monotonic`."""

GONE: Final = "gone"
"""Key of `scope["state"]`: set once the caller has left before the end of the answer."""

# Unanswered requests of one connection; browsers and proxies send one at a time. Chosen.
MAX_PIPELINED: Final = 16
# After a refusal the rest of the request is still received for so long: a reset in the middle of
# sending would make many callers lose the answer (RFC 9112, 9.6).
LINGER_S: Final = 1.0

_OFFER: Final = frozenset({b"upgrade", b"http2-settings"})
# Only callers that are still sending: the others read the answer before they close.
_LINGER: Final = frozenset(
    {
        HTTPStatus.BAD_REQUEST,
        HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
        HTTPStatus.REQUEST_URI_TOO_LONG,
        HTTPStatus.EXPECTATION_FAILED,
        HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE,
    }
)


class _Stage(Enum):
    """The part of a request or answer that a connection is in."""

    IDLE = auto()
    HEAD = auto()
    BODY = auto()
    ANSWER = auto()
    REFUSED = auto()


class BoundedProtocol(HttpToolsProtocol):
    """One connection of a caller."""

    door: ClassVar[Door]
    address = ""

    _stage = _Stage.IDLE
    _n_head_bytes = 0
    _n_header_bytes = 0
    _n_unwanted_bytes = 0
    _n_held_bytes = 0
    _n_unanswered = 0
    _refusal: ServiceError | None = None
    """Answered once everything that came before is answered."""

    _send_by_s: float | None = None
    _read_by_s: float | None = None
    """When the caller must have sent, or read, what is awaited, by the clock of the loop."""

    def connection_made(self, transport: asyncio.Transport) -> None:
        """Admit a connection, or refuse it at once."""
        super().connection_made(transport)
        self.address = network_of(self.client[0]) if self.client else ""
        now_s = self.loop.time()
        self._send_by_s = now_s + self.door.bounds.head_s
        try:
            self.door.admit(self, now_s)
        except TooManyConnectionsError as exc:
            self._refuse(exc)

    def connection_lost(self, exc: Exception | None) -> None:
        """Release what the connection held; mark an unfinished answer as unread."""
        self.door.leave(self)
        self._release()
        if self.cycle and not self.cycle.response_complete:
            self.cycle.scope.setdefault("state", {})[GONE] = True
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Parse bytes; a malformed or too large request is refused, which ends the connection."""
        self._unset_keepalive_if_required()
        if self._stage is _Stage.REFUSED:
            self._throw_away(len(data))
            return
        try:
            if self._stage in {_Stage.IDLE, _Stage.ANSWER}:
                self._await_head()
            self._n_head_bytes += len(data)  # set to 0 again where they are a body
            self._n_held_bytes += len(data)
            self.door.n_held_bytes += len(data)
            if self.door.n_held_bytes > self.door.bounds.held_bytes:
                raise TooMuchHeldError
            self._feed(data)
            if self._n_head_bytes > self.door.bounds.head_bytes:
                raise self._too_large()
        except ServiceError as exc:
            self._refuse(exc)
        except httptools.HttpParserError as exc:
            # The parser wraps what the callbacks below raise.
            cause = exc.__context__
            known = isinstance(cause, ServiceError)
            self._refuse(cause if known else MalformedRequestError(f"no request: {exc}"))

    def _await_head(self) -> None:
        self._stage = _Stage.HEAD
        now_s = self.loop.time()
        self._send_by_s = now_s + self.door.bounds.head_s
        self.door.wait(self, now_s)

    def _release(self) -> None:
        self.door.n_held_bytes -= self._n_held_bytes
        self._n_held_bytes = 0

    def _throw_away(self, n_bytes: int) -> None:
        self._n_unwanted_bytes += n_bytes
        if self._n_unwanted_bytes > self.door.bounds.body_bytes:
            self.transport.abort()

    def _feed(self, data: bytes) -> None:
        while data:
            try:
                self.parser.feed_data(data)
            except httptools.HttpParserUpgrade as offer:
                data = self._head_without_offer() + data[offer.args[0] :]
            else:
                return

    def _head_without_offer(self) -> bytes:
        """Return the head of the last request without its upgrade offer, and make a new parser.

        The old parser takes what follows an offer for another protocol and skips the body.
        """
        method = self.parser.get_method()
        if method == b"CONNECT":
            msg = "this is no proxy: CONNECT is not known"
            raise MalformedRequestError(msg)
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

    def on_url(self, url: bytes) -> None:
        """Take a part of the URL."""
        super().on_url(url)
        if len(self.url) > self.door.bounds.head_bytes:
            raise UrlTooLongError(self.door.bounds.head_bytes)

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take a header, or a trailer of a body."""
        super().on_header(name, value)
        self._n_header_bytes += len(name) + len(value)
        n_bytes = len(self.url) + self._n_header_bytes
        if len(self.headers) > self.door.bounds.headers or n_bytes > self.door.bounds.head_bytes:
            raise self._too_large()

    def _too_large(self) -> ServiceError:
        bounds = self.door.bounds
        if len(self.url) > bounds.head_bytes:
            return UrlTooLongError(bounds.head_bytes)
        return HeadTooLargeError(bounds.head_bytes, bounds.headers)

    def on_message_begin(self) -> None:
        """Begin a request, which may be in the same bytes as the end of another."""
        super().on_message_begin()
        self._await_head()
        self._n_header_bytes = 0
        if self._n_unanswered >= MAX_PIPELINED:
            msg = f"more than {MAX_PIPELINED} requests at once on one connection"
            raise MalformedRequestError(msg)

    def on_headers_complete(self) -> None:
        """Record the arrival of a request and start it.

        A request that offers an upgrade is ignored: it is parsed again without the offer.
        """
        if self.parser.should_upgrade():
            return
        # Before the request is held to have arrived: a refusal must not reach the application.
        check_head(self.url, self.headers, version=self.parser.get_http_version())
        self._n_head_bytes = 0
        self._n_unwanted_bytes = 0
        self._stage = _Stage.BODY
        self._send_by_s = self.loop.time() + self.door.bounds.body_s
        self.scope.setdefault("state", {})[ARRIVED] = time.monotonic()
        self._n_unanswered += 1
        super().on_headers_complete()
        if self.scope["method"] != "HEAD":
            cycle = self.cycle
            cycle.transport = JoinedWrites(self.transport, lambda: cycle.response_started)

    def on_body(self, body: bytes) -> None:
        """Take a part of a body; the rest of one that was answered already is bounded too."""
        self._n_head_bytes = 0
        if self.cycle.response_complete:
            self._release()
            self._throw_away(len(body))
        super().on_body(body)

    def on_message_complete(self) -> None:
        """End the body of a request that was started."""
        if self.parser.should_upgrade():
            return
        super().on_message_complete()
        self._n_head_bytes = 0
        self._send_by_s = None
        self._stage = _Stage.ANSWER
        self.door.answer(self)
        if self.cycle.response_complete:
            self._rest()
            self._send_by_s = self.loop.time() + self.door.bounds.keep_alive_s

    def on_response_complete(self) -> None:
        """End an answer; if the next request was refused, send the refusal."""
        self._n_unanswered -= 1
        super().on_response_complete()
        if self._refusal is not None and not (self._n_unanswered or self.transport.is_closing()):
            self._say(self._refusal)
        elif self._stage is _Stage.ANSWER and not self.pipeline:
            self._rest()

    def _rest(self) -> None:
        self._stage = _Stage.IDLE
        self._release()
        self.door.rest(self)

    def pause_writing(self) -> None:
        """Record that the caller reads slower than it is answered."""
        super().pause_writing()
        now_s = self.loop.time()
        self._read_by_s = now_s + self.door.bounds.body_s
        self.door.wait(self, now_s)

    def resume_writing(self) -> None:
        """Record that the caller has read."""
        super().resume_writing()
        self._read_by_s = None

    def give_way(self) -> None:
        """Close at once, for another caller."""
        self.transport.abort()

    def expire(self, now_s: float) -> None:
        """Close if the caller has kept the worker waiting for too long."""
        if self._read_by_s is not None and now_s > self._read_by_s:
            self.door.count("answer_unread")
            self.transport.abort()
        elif self._send_by_s is None:
            if self.transport.is_closing():  # what was answered last may never be read
                self._send_by_s = now_s + self.door.bounds.body_s
        elif now_s <= self._send_by_s:
            return
        elif self._stage is _Stage.HEAD:
            self._refuse(SlowHeadError(self.door.bounds.head_s))
        elif self._stage is _Stage.BODY:
            self._refuse(SlowBodyError(self.door.bounds.body_s))
        elif self.transport.is_closing() or self._stage is _Stage.REFUSED:
            self.transport.abort()
        else:
            self.transport.close()

    def _refuse(self, exc: ServiceError) -> None:
        """Answer the requests that came before, then refuse, and close."""
        self.door.count(exc.code)
        if self.transport.is_closing():
            return
        is_in_body = self._stage is _Stage.BODY
        is_answered = is_in_body and self.cycle.response_complete
        is_cut = is_in_body and not is_answered and self._give_up_last()
        self._stage = _Stage.REFUSED
        if is_answered:
            # As by 413, and only the rest of its body is faulty: a second answer would be taken
            # for that of another request.
            self._close_soon()
            self.flow.resume_reading()
            self.transport.write_eof()
        elif is_cut:
            self._close_soon()
            self.transport.close()
        elif self._n_unanswered:
            self._refusal = exc
            self._send_by_s = None
            self.door.answer(self)
        else:
            self._say(exc)

    def _give_up_last(self) -> bool:
        """Forget the request whose body is faulty; return whether its answer had begun."""
        last = self.cycle
        self._n_unanswered -= 1
        if self.pipeline and self.pipeline[0][0] is last:
            self.pipeline.popleft()
            return False
        last.scope.setdefault("state", {})[GONE] = True
        last.disconnected = True
        last.message_event.set()
        return last.response_started

    def _say(self, exc: ServiceError) -> None:
        self._close_soon()
        self.transport.write(answer_of(exc))
        if exc.status in _LINGER:
            self.flow.resume_reading()
            self.transport.write_eof()
        else:
            self.transport.close()

    def _close_soon(self) -> None:
        now_s = self.loop.time()
        self._send_by_s = now_s + LINGER_S
        self._release()
        self.door.wait(self, now_s)


def protocol_of(door: Door) -> type[BoundedProtocol]:
    """Return the protocol of the connections of one worker."""
    return type("WorkerProtocol", (BoundedProtocol,), {"door": door})
