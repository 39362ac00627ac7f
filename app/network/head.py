"""Checks of a request's head by HTTP/1.1 and by this service."""

import re
from collections.abc import Sequence
from typing import Final
from urllib.parse import unquote_to_bytes

from app.network.refusal import MalformedRequestError, UnknownExpectationError

# 500 excluded sales and the other parameters; every unknown one makes a fault.
MAX_PARAMETERS: Final = 1_000

_NEWEST: Final = "1.1"
_VERSIONS: Final = frozenset({"1.0", _NEWEST})
_HOST: Final = re.compile(rb"[\w.~%!$&'()*+,;=:\[\]-]*")
_CONTINUE: Final = b"100-continue"


def check_head(url: bytes, headers: Sequence[tuple[bytes, bytes]], *, version: str) -> None:
    """Check a whole head, with the names of its headers in lower case.

    Raises:
        MalformedRequestError: If no request with this head can be answered.
        UnknownExpectationError: If it expects more than an interim answer.
    """
    if version not in _VERSIONS:
        msg = f"HTTP/{version} is not spoken here: use HTTP/1.1"
        raise MalformedRequestError(msg)
    _require_text(url)
    if url.count(b"&") >= MAX_PARAMETERS:
        msg = f"the URL has more than {MAX_PARAMETERS} parameters"
        raise MalformedRequestError(msg)
    hosts = [value.strip() for name, value in headers if name == b"host"]
    # RFC 9112, 3.2: proxies that read different hosts in one request answer each other's callers.
    if len(hosts) > 1 or (not hosts and version == _NEWEST):
        msg = f"the request has {len(hosts)} Host headers: send one"
        raise MalformedRequestError(msg)
    if not all(map(_HOST.fullmatch, hosts)):
        msg = "the Host header holds no host"
        raise MalformedRequestError(msg)
    # RFC 9110, 10.1.1: 417 for an expectation that is not met.
    for name, value in headers:
        if name == b"expect" and value.strip().lower() != _CONTINUE:
            raise UnknownExpectationError


def _require_text(url: bytes) -> None:
    # Bytes that no id can hold.
    if b"%" not in url:
        return
    text = unquote_to_bytes(url)
    try:
        text.decode()
    except UnicodeDecodeError as exc:
        msg = "the URL holds bytes that are not UTF-8: encode its parts as UTF-8"
        raise MalformedRequestError(msg) from exc
    if b"\0" in text:
        msg = "the URL holds a NUL: no id has one"
        raise MalformedRequestError(msg)
