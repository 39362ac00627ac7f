"""Website in front of the service: a page, the client's file, and a way to the API that breaks."""

import socket
import struct
import threading
from collections.abc import Callable, Generator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Final, Literal

import httpx

from tests.proofs import ROOT
from tests.served import served

CLIENT: Final = ROOT / "app/web/static/vitrine.js"
PAGE: Final = """<!doctype html><meta charset="utf-8"><title>Shop</title>
<link rel="icon" href="data:,">
<style>body {{ margin: 0 }} article {{ height: 300px; margin: 0 0 200px }}</style>
<body><script type="module">
import {{ Vitrine }} from "/vitrine.js";
window.vitrine = new Vitrine({{ endpoint: "/vitrine", visit: {visit} }});
</script>"""
OPENED: Final = ("/v1/recommendations", "/v1/pages", "/v1/events")

Fault = Literal["lost", "unheard", "refused"] | None
"""A request that does not arrive, an answer that does not, a 503; None: none of these."""


class Website:
    """Serves the page, and passes calls below ``/vitrine`` on to the service.

    Attributes:
        fault: Decides what happens to each call.
    """

    def __init__(self, service: str, *, visit: str, key: str = "") -> None:
        self.fault: Callable[[], Fault] = lambda: None
        self._page = PAGE.format(visit=visit).encode()
        self._api = httpx.Client(base_url=service, timeout=30.0, headers={"X-API-Key": key})
        self._lock = threading.Lock()
        website = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                website.answer(self)

            do_POST = do_GET  # noqa: N815 - as above

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - its name there
                """Say nothing: what failed is what the test is about."""

        class Server(ThreadingHTTPServer):
            def handle_error(self, request: object, client_address: object) -> None:
                """Say nothing of browsers that left before their answer."""

        self._server = Server(("127.0.0.1", 0), Handler)

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self._server.server_port}"

    def answer(self, request: BaseHTTPRequestHandler) -> None:
        """Answer one request."""
        if request.path.startswith("/vitrine/"):
            self._pass_on(request)
        elif request.path == "/vitrine.js":
            _send(request, 200, CLIENT.read_bytes(), "text/javascript")
        else:
            _send(request, 200, self._page, "text/html")

    def _pass_on(self, request: BaseHTTPRequestHandler) -> None:
        path = request.path.removeprefix("/vitrine")
        assert path.startswith(OPENED), path
        body = request.rfile.read(int(request.headers.get("Content-Length", 0)))
        with self._lock:
            fault = self.fault()
        if fault == "lost":
            return _cut(request)
        if fault == "refused":
            return _send(request, 503, b"{}", "application/problem+json")
        headers = {"Content-Type": "application/json"} if body else {}
        answer = self._api.request(request.command, path, content=body, headers=headers)
        if fault == "unheard":
            return _cut(request)
        return _send(request, answer.status_code, answer.content, "application/json")

    @contextmanager
    def running(self) -> Generator["Website"]:
        """Serve while the block runs."""
        with self._api, served(self._server):
            yield self


def _send(request: BaseHTTPRequestHandler, status: int, content: bytes, media_type: str) -> None:
    request.send_response(status)
    request.send_header("Content-Type", media_type)
    request.send_header("Content-Length", str(len(content)))
    request.end_headers()
    request.wfile.write(content)


def _cut(request: BaseHTTPRequestHandler) -> None:
    """Reset the connection, as a phone that loses its network."""
    request.close_connection = True
    request.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    request.connection.close()
