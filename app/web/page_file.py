"""Page files: documents, scripts and styles of this package, served from memory."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from hashlib import sha256
from http import HTTPStatus
from pathlib import Path
from typing import Final

from starlette.requests import Request
from starlette.responses import Response

from app.api.middleware.request_context import OWN_HEADERS

STATIC: Final = Path(__file__).parent / "static"

MEDIA_TYPES: Final = {
    ".css": "text/css; charset=utf-8",
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}

# Nothing comes from elsewhere, no text of a shop can become a script, and no page embeds this one.
# Pictures of `blob:` are those that a visitor chooses from their own disk.
POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:;"
    " connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none';"
    " require-trusted-types-for 'script'; trusted-types 'none'"
)
# Swagger UI writes style attributes and icons as data URLs, and sets `innerHTML` of its own texts.
SWAGGER_POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline';"
    " img-src 'self' data:; connect-src 'self'; base-uri 'none'; form-action 'none';"
    " frame-ancestors 'none'"
)


@dataclass(frozen=True, slots=True)
class PageFile:
    """A file of a page: its bytes, their type and their hash."""

    content: bytes
    media_type: str
    etag: str

    @classmethod
    def read(cls, path: Path) -> "PageFile":
        """Read a file, whose suffix says its type."""
        content = path.read_bytes()
        etag = f'"{sha256(content).hexdigest()[:32]}"'
        return cls(content, MEDIA_TYPES[path.suffix], etag)

    def answer(self, request: Request, policy: str = POLICY) -> Response:
        """Answer with the file, or with 304 if the browser has it."""
        request.scope["state"][OWN_HEADERS] = page_headers(policy)
        headers = {"ETag": self.etag}
        if request.headers.get("If-None-Match") == self.etag:
            return Response(status_code=HTTPStatus.NOT_MODIFIED, headers=headers)
        return Response(self.content, headers=headers, media_type=self.media_type)


@cache
def page_headers(policy: str) -> tuple[tuple[bytes, bytes], ...]:
    """Return the headers of a page, in place of those of answers."""
    return (
        # A browser asks each time whether its copy is the newest: an update shows at once.
        (b"cache-control", b"no-cache"),
        (b"content-security-policy", policy.encode()),
        (b"cross-origin-opener-policy", b"same-origin"),
        (b"permissions-policy", b"camera=(), geolocation=(), microphone=()"),
        (b"referrer-policy", b"no-referrer"),
        (b"x-content-type-options", b"nosniff"),
    )


@cache
def page_files() -> Mapping[str, PageFile]:
    """Return all files by their path below `static`."""
    found = sorted(path for path in STATIC.rglob("*") if path.suffix in MEDIA_TYPES)
    return {path.relative_to(STATIC).as_posix(): PageFile.read(path) for path in found}
