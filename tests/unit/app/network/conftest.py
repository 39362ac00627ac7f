"""An application that says back what it received, behind the protocol of the service."""

import asyncio
import json
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import pytest
import uvicorn
from starlette.types import Receive, Scope, Send

from app.network.door import Bounds, Door
from app.network.protocol import ARRIVED, GONE, protocol_of
from app.observability import Metrics

BOUNDS = Bounds(
    connections=20,
    connections_per_address=10,
    head_bytes=2_000,
    headers=20,
    head_s=10.0,
    body_bytes=100_000,
    body_s=30.0,
    held_bytes=400_000,
    keep_alive_s=75,
)


@dataclass
class Echo:
    """Answers with the path and the body of a request.

    Attributes:
        arrived: When each request arrived.
        gone: Whether each caller had gone before the end of its answer.
        free: Unset to keep requests waiting for their answer.
        n_bytes: Size of the answers to `/large`.
    """

    arrived: list[float] = field(default_factory=list[float])
    gone: list[bool] = field(default_factory=list[bool])
    free: asyncio.Event = field(default_factory=asyncio.Event)
    n_bytes: int = 50_000_000

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        self.arrived.append(scope["state"][ARRIVED])
        body, more = b"", scope["path"] != "/unread"
        while more:
            message = await receive()
            body += message.get("body", b"")
            more = message.get("more_body", False)
        await self.free.wait()
        names = sorted(name.decode() for name, _ in scope["headers"])
        answer = {"path": scope["path"], "body": body.decode(), "headers": names}
        content = json.dumps(answer).encode()
        if scope["path"] == "/large":
            content = bytes(self.n_bytes)
        length = (b"content-length", str(len(content)).encode())
        await send({"type": "http.response.start", "status": 200, "headers": [length]})
        await send({"type": "http.response.body", "body": content})
        self.gone.append(GONE in scope["state"])


@dataclass
class Wire:
    """A connection of a caller."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    async def send(self, *parts: bytes) -> None:
        """Send the parts one after the other."""
        for part in parts:
            self.writer.write(part)
            await self.writer.drain()
            await asyncio.sleep(0.01)  # each part on its own for the parser

    async def rest(self) -> bytes:
        """Return all that comes until the other side closes; nothing of a reset connection."""
        try:
            return await asyncio.wait_for(self.reader.read(), 30)
        except ConnectionError:
            return b""


@dataclass
class Host:
    """A server in this process, with its door."""

    app: Echo
    door: Door
    metrics: Metrics
    port: int
    wires: list[Wire] = field(default_factory=list[Wire])

    async def connect(self) -> Wire:
        """Open a connection, which is closed at the end of the test."""
        wire = Wire(*await asyncio.open_connection("127.0.0.1", self.port))
        self.wires.append(wire)
        return wire

    async def said(self, *parts: bytes) -> bytes:
        """Send the parts on a new connection and return all that is answered until its end."""
        wire = await self.connect()
        await wire.send(*parts)
        return await wire.rest()

    async def until(self, condition: Callable[[], bool]) -> None:
        """Wait for something that happens on the server's side of a connection."""
        async with asyncio.timeout(30):
            while not condition():  # noqa: ASYNC110 - it may be anything of the server
                await asyncio.sleep(0.005)

    def after(self, seconds: float) -> None:
        """Look at the callers as if so much time had passed."""
        self.door.sweep(asyncio.get_running_loop().time() + seconds)

    def n_refused(self, code: str) -> float:
        """Callers refused with this code."""
        name = "vitrine_refused_callers_total"
        return self.metrics.registry.get_sample_value(name, {"code": code}) or 0.0


@asynccontextmanager
async def hosted(bounds: Bounds = BOUNDS) -> AsyncGenerator[Host]:
    """Serve while the block runs."""
    app, metrics = Echo(), Metrics()
    app.free.set()
    door = Door(bounds, metrics.callers_refused)
    config = uvicorn.Config(
        app, port=0, http=protocol_of(door), ws="none", lifespan="off", log_config=None
    )
    server = uvicorn.Server(config)
    task = asyncio.create_task(server.serve())
    while not server.started:  # noqa: ASYNC110 - uvicorn has no event for it
        await asyncio.sleep(0.01)
    port = server.servers[0].sockets[0].getsockname()[1]
    host = Host(app, door, metrics, port)
    yield host
    app.free.set()
    for wire in host.wires:
        wire.writer.transport.abort()
    server.force_exit = server.should_exit = True
    await task


@pytest.fixture
async def host() -> AsyncGenerator[Host]:
    async with hosted() as host:
        yield host
