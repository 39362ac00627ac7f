"""Callers of a service in a closed loop: each asks again as soon as it was answered."""

import asyncio
import random
import time
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Final

HEALTH_EVERY_S: Final = 0.05


@dataclass
class Load:
    """Callers of a service, and what they were answered.

    Attributes:
        address: Host and port of the service.
        customers: Ids of the customers that requests name.
        event_share: Share of the requests that post an event.
        is_over: Whether callers and checks end.
        took_ms: Milliseconds of each answer by ``full``, the level, ``events``, or the status.
        n_without_advice: Answers with 503 that do not say when to come again.
        health_ms: Milliseconds of each health check, by path.
    """

    address: tuple[str, int]
    customers: list[str]
    event_share: float
    is_over: bool = False
    took_ms: dict[str, list[float]] = field(default_factory=dict[str, list[float]])
    health_ms: dict[str, list[float]] = field(default_factory=dict[str, list[float]])
    n_without_advice: int = 0

    def request(self) -> bytes:
        """Return the bytes of a request for a slate, or of one that posts a click."""
        customer_id = random.choice(self.customers)
        if random.random() >= self.event_share:
            path = f"/v1/recommendations?customer_id={customer_id}&limit=10"
            return f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode()
        at = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        body = (
            f'{{"events": [{{"event_id": "{random.random()}", "customer_id": "{customer_id}",'
            f' "type": "click", "sale_id": "s1", "at": "{at}"}}]}}'
        )
        head = f"POST /v1/events HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(body)}\r\n"
        return f"{head}Content-Type: application/json\r\n\r\n{body}".encode()

    async def check(self, path: str) -> None:
        """Ask a health route again and again, over a new connection each time."""
        while not self.is_over:
            started = time.perf_counter()
            reader, writer = await asyncio.open_connection(*self.address)
            writer.write(f"GET {path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n".encode())
            await reader.read()
            writer.close()
            took_ms = (time.perf_counter() - started) * 1_000
            self.health_ms.setdefault(path, []).append(took_ms)
            await asyncio.sleep(HEALTH_EVERY_S)


class Caller(asyncio.Protocol):
    """One keep-alive connection that asks as soon as it was answered."""

    def __init__(self, load: Load) -> None:
        """Ask for a load."""
        self._load = load
        self._received = b""
        self._asked_s = 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Ask for the first time."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._ask()

    def data_received(self, data: bytes) -> None:
        """Record an answer once it is complete, and ask again."""
        self._received += data
        head, complete, body = self._received.partition(b"\r\n\r\n")
        if not complete:
            return
        head = head.lower()
        length = int(head.split(b"content-length: ")[1].split(b"\r\n")[0])
        if len(body) < length:
            return
        took_ms = (time.perf_counter() - self._asked_s) * 1_000
        self._load.took_ms.setdefault(kind_of(head[9:12], body), []).append(took_ms)
        if head[9:12] == b"503" and b"\r\nretry-after: " not in head:
            self._load.n_without_advice += 1
        self._received = b""
        if not self._load.is_over:
            self._ask()

    def _ask(self) -> None:
        self._asked_s = time.perf_counter()
        self._transport.write(self._load.request())


def kind_of(status: bytes, body: bytes) -> str:
    """Return the kind of an answer."""
    if status != b"200":
        return status.decode()
    _, found, rest = body.partition(b'"degraded":')
    if not found:
        return "events"
    return "full" if rest.startswith(b"null") else rest.split(b'"')[1].decode()


@asynccontextmanager
async def calling(load: Load, n_callers: int, *, warm_up_s: float) -> AsyncGenerator[None]:
    """Have callers ask; what they were answered in the warm-up is forgotten."""
    loop = asyncio.get_running_loop()
    callers = [
        await loop.create_connection(lambda: Caller(load), *load.address) for _ in range(n_callers)
    ]
    await asyncio.sleep(warm_up_s)
    load.took_ms.clear()
    yield
    for transport, _ in callers:
        transport.abort()
