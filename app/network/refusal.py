"""Errors of connections, answered before authentication."""

from http import HTTPStatus
from typing import Final

from app.errors import ServiceError, problem

_RETRY: Final = b"retry-after: 1\r\n"


class MalformedRequestError(ServiceError, code="malformed_request", status=400):
    """Bytes that are no request of HTTP/1.1 or HTTP/1.0."""


class UnknownExpectationError(ServiceError, code="unknown_expectation", status=417):
    """A header `Expect` of something other than an interim answer."""

    def __init__(self) -> None:
        super().__init__("of Expect nothing but 100-continue is known: leave the header out")


class UrlTooLongError(ServiceError, code="url_too_long", status=414):
    """A request line beyond the limit of the settings."""

    def __init__(self, limit_bytes: int) -> None:
        super().__init__(f"the URL is longer than {limit_bytes} bytes")


class HeadTooLargeError(ServiceError, code="head_too_large", status=431):
    """Headers beyond the limits of the settings."""

    def __init__(self, limit_bytes: int, n_headers: int) -> None:
        super().__init__(
            f"URL and headers take more than {limit_bytes} bytes, or are more than {n_headers}"
        )


class SlowHeadError(ServiceError, code="head_too_slow", status=408):
    """Headers that did not arrive in time."""

    def __init__(self, limit_s: float) -> None:
        super().__init__(f"the headers did not arrive within {limit_s:g} seconds")


class TooManyConnectionsError(ServiceError, code="too_many_connections", status=503):
    """A connection beyond those that a worker holds, in all or of one address."""

    def __init__(self) -> None:
        super().__init__("too many connections: use those that are open, or try again later")


class TooMuchHeldError(ServiceError, code="too_much_held", status=503):
    """A request whose bytes, with those of others, are more than a worker holds at once."""

    def __init__(self) -> None:
        super().__init__("too many bytes of requests are being received: try again later")


def answer_of(exc: ServiceError) -> bytes:
    """Return the bytes of an answer, in the form of RFC 9457, that ends its connection."""
    # By hand: there is no ASGI scope yet that a response of Starlette could answer.
    body = problem(exc.status, exc.code, detail=str(exc))
    head = (
        f"HTTP/1.1 {exc.status.value} {exc.status.phrase}\r\n"
        "content-type: application/problem+json\r\n"
        f"content-length: {len(body)}\r\n"
        "connection: close\r\n"
    )
    retry = _RETRY if exc.status is HTTPStatus.SERVICE_UNAVAILABLE else b""
    return head.encode() + retry + b"\r\n" + body
