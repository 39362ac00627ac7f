"""An application that says back what it received, behind the protocol of the service."""

import asyncio
import json
from collections.abc import AsyncGenerator
from dataclasses import dataclass, field

import pytest
import uvicorn
from starlette.types import Receive, Scope, Send

from app.network.protocol import ARRIVED, BoundedProtocol


@dataclass
class Echo:
    """Answers with the path and the body of a request; keeps when each arrived."""

    arrived: list[float] = field(default_factory=list)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        self.arrived.append(scope["state"][ARRIVED])
        body, more = b"", True
        while more:
            message = await receive()
            body += message.get("body", b"")
            more = message.get("more_body", False)
        names = sorted(name.decode() for name, _ in scope["headers"])
        answer = {"path": scope["path"], "body": body.decode(), "headers": names}
        content = json.dumps(answer).encode()
        length = (b"content-length", str(len(content)).encode())
        await send({"type": "http.response.start", "status": 200, "headers": [length]})
        await send({"type": "http.response.body", "body": content})


@dataclass
class Host:
    """A server in this process, and what callers send it byte by byte."""

    server: uvicorn.Server
    app: Echo
    port: int

    async def said(self, *parts: bytes) -> bytes:
        """Send the parts one after the other and return all that is answered until the end."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        for part in parts:
            writer.write(part)
            await writer.drain()
            await asyncio.sleep(0.01)  # a part of its own for the parser
        answer = await reader.read()
        writer.close()
        return answer


@pytest.fixture
async def host() -> AsyncGenerator[Host]:
    app = Echo()
    config = uvicorn.Config(
        app, port=0, http=BoundedProtocol, ws="none", lifespan="off", log_config=None
    )
    server = uvicorn.Server(config)
    task = asyncio.create_task(server.serve())
    while not server.started:  # noqa: ASYNC110 - uvicorn has no event for it
        await asyncio.sleep(0.01)
    port = server.servers[0].sockets[0].getsockname()[1]
    yield Host(server, app, port)
    server.should_exit = True
    await task
