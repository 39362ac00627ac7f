"""Path ids with any character: encoded slashes (``%2F``) do not split the path."""

from typing import Annotated, Final
from urllib.parse import unquote

from pydantic import BeforeValidator
from starlette.types import ASGIApp, Receive, Scope, Send

from models.domain.event import Identifier

# Stands for a slash within an id; no id may hold it itself.
SLASH: Final = "\x1f"


PathIdentifier = Annotated[Identifier, BeforeValidator(lambda text: text.replace(SLASH, "/"))]
"""An id as a part of a path."""


class EncodedSlashes:
    """ASGI middleware: only slashes that a caller did not encode separate the parts of a path."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, with the encoded slashes of its path out of the way."""
        raw_path: bytes = scope.get("raw_path") or b""
        if scope["type"] == "http" and b"%2f" in raw_path.lower():
            parts = raw_path.decode("ascii").split("/")
            scope["path"] = "/".join(unquote(part).replace("/", SLASH) for part in parts)
        await self._app(scope, receive, send)
