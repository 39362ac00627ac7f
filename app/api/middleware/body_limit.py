"""Limits on bodies: their size, as announced and while they are read, and no compression."""

import re
from typing import Final

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.api.middleware.header import header_of
from app.api.schema.problem import error_response
from app.errors import BodyTooLargeError, CompressedBodyError

_AS_IT_IS: Final = "identity"
# What is quoted of a header, which callers decide the length of; chosen.
_SHOWN_CHARS: Final = 40

_PICTURE: Final = re.compile(r"/v1/sales/[^/]+/image(?:s/[^/]+)?")


class BodyLimit:
    """ASGI middleware: no route ever holds more than the limit; pictures have their own."""

    def __init__(self, app: ASGIApp, limit_bytes: int, *, picture_limit_bytes: int) -> None:
        self._app = app
        self._limit_bytes = limit_bytes
        self._picture_limit_bytes = picture_limit_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, unless its body is compressed, or said or found to be too large."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        coding = (header_of(scope, b"content-encoding") or _AS_IT_IS).strip().lower()
        if coding not in {"", _AS_IT_IS}:
            # RFC 9110, 15.5.16: the answer names the codings that are accepted.
            refusal = CompressedBodyError(coding[:_SHOWN_CHARS])
            answer = error_response(refusal, {"Accept-Encoding": _AS_IT_IS})
            await answer(scope, receive, send)
            return
        announced = header_of(scope, b"content-length")
        if announced is None and header_of(scope, b"transfer-encoding") is None:
            await self._app(scope, receive, send)  # without both there is no body: RFC 9112, 6.3
            return
        is_picture = _PICTURE.fullmatch(scope["path"]) is not None
        limit_bytes = self._picture_limit_bytes if is_picture else self._limit_bytes
        n_announced = int(announced) if announced and announced.isdecimal() else 0
        if n_announced > limit_bytes:
            await error_response(BodyTooLargeError(limit_bytes))(scope, receive, send)
            return
        n_bytes = 0

        # A length may be missing or wrong, as of a chunked body: what arrives is counted as well.
        async def receive_within_limit() -> Message:
            nonlocal n_bytes
            message = await receive()
            n_bytes += len(message.get("body", b""))
            if n_bytes > limit_bytes:
                raise BodyTooLargeError(limit_bytes)
            return message

        await self._app(scope, receive_within_limit, send)
