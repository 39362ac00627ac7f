"""Load on a server: a closed loop for throughput, an open loop for latency.

In the closed loop each connection asks again as soon as it was answered. In the open loop requests
are due at the times of a Poisson process, whether or not earlier ones were answered, and latency
counts from then: a server that stops for a while is charged for all that came meanwhile
(coordinated omission: G. Tene, How NOT to Measure Latency, 2013).
"""

import asyncio
import random
import selectors
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from math import inf
from typing import Final

import numpy as np

# Chosen: more than a server that keeps up has open at once; others wait here, and are timed.
OPEN_CONNECTIONS: Final = 64

Address = tuple[str, int]
Request = Callable[[], bytes]


@dataclass
class Sample:
    """What a server answered.

    Attributes:
        took_ms: Milliseconds of each complete answer.
        due_s: When each of them was due, by `time.perf_counter`.
        n_other: Answers of another status, or of a lower level.
        seconds: How long it was asked.
        cpu_s: Processor time of the server meanwhile.
    """

    took_ms: list[float] = field(default_factory=list[float])
    due_s: list[float] = field(default_factory=list[float])
    n_other: int = 0
    seconds: float = 0.0
    cpu_s: float = 0.0

    @property
    def per_second(self) -> float:
        """Complete answers a second."""
        return len(self.took_ms) / self.seconds

    def percentile(self, q: float) -> float:
        """Return a percentile of the latency, in milliseconds; infinite without an answer."""
        return float(np.percentile(self.took_ms, q)) if self.took_ms else inf


class Connection(asyncio.Protocol):
    """A keep-alive connection with one request at a time."""

    def __init__(self, load: "Load") -> None:
        """Answer to a load."""
        self._load = load
        self._received = bytearray()
        self.due_s = 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport."""
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport

    def ask(self, request: bytes, due_s: float) -> None:
        """Send a request that was due at a time."""
        self.due_s = due_s
        self.transport.write(request)

    def data_received(self, data: bytes) -> None:
        """Hand an answer on once it is complete."""
        self._received += data
        head, complete, body = bytes(self._received).partition(b"\r\n\r\n")
        length = head.lower().partition(b"content-length:")[2].split(b"\r\n")[0]
        if complete and len(body) >= int(length):
            self._received.clear()
            self._load.answered(self, head[9:12] == b"200" and b'"degraded":"' not in body)


class Load:
    """Connections to a server, requests that are due, and a sample of the answers."""

    def __init__(self, request: Request, *, is_open: bool) -> None:
        """Ask by a request that is made anew each time."""
        self._request = request
        self._is_open = is_open
        self._all: list[Connection] = []
        self._free: list[Connection] = []
        self._waiting: deque[float] = deque()
        self._n_left = 0
        self.is_idle = asyncio.Event()
        self.is_idle.set()
        self.sample = Sample()

    async def connect(self, address: Address, n: int) -> None:
        """Open connections."""
        loop = asyncio.get_running_loop()
        for _ in range(n):
            _, connection = await loop.create_connection(lambda: Connection(self), *address)
            self._all.append(connection)
        self._free = [*self._all]

    def close(self) -> None:
        """Close all connections."""
        for connection in self._all:
            connection.transport.abort()

    def ask(self, due_s: float) -> None:
        """Ask by a free connection, or as soon as there is one."""
        self._n_left += 1
        self.is_idle.clear()
        if self._free:
            self._free.pop().ask(self._request(), due_s)
        else:
            self._waiting.append(due_s)

    def answered(self, connection: Connection, is_complete: bool) -> None:
        """Record an answer, and let the connection go on."""
        now_s = time.perf_counter()
        if is_complete:
            self.sample.took_ms.append((now_s - connection.due_s) * 1_000)
            self.sample.due_s.append(connection.due_s)
        else:
            self.sample.n_other += 1
        if not self._is_open:
            connection.ask(self._request(), now_s)
            return
        self._n_left -= 1
        if not self._n_left:
            self.is_idle.set()
        if self._waiting:
            connection.ask(self._request(), self._waiting.popleft())
        else:
            self._free.append(connection)


async def closed_loop(
    address: Address,
    request: Request,
    *,
    n_callers: int,
    warm_up_s: float,
    run_s: float,
    cpu_s: Callable[[], float],
) -> Sample:
    """Have callers ask without a pause, and return what they were answered after the warm-up."""
    load = Load(request, is_open=False)
    await load.connect(address, n_callers)
    for _ in range(n_callers):
        load.ask(time.perf_counter())
    await asyncio.sleep(warm_up_s)
    sample = load.sample = Sample()
    started, spent_s = time.perf_counter(), cpu_s()
    await asyncio.sleep(run_s)
    sample.seconds, sample.cpu_s = time.perf_counter() - started, cpu_s() - spent_s
    load.close()
    return sample


async def open_loop(
    address: Address, request: Request, *, per_second: float, run_s: float, seed: int
) -> Sample:
    """Ask at the times of a Poisson process, and wait until all is answered."""
    rng = random.Random(seed)
    load = Load(request, is_open=True)
    await load.connect(address, OPEN_CONNECTIONS)
    started = due_s = time.perf_counter()
    while (due_s := due_s + rng.expovariate(per_second)) < started + run_s:
        await asyncio.sleep(due_s - time.perf_counter())
        load.ask(due_s)
    await load.is_idle.wait()
    load.sample.seconds = time.perf_counter() - started
    load.close()
    return load.sample


def precise_loop() -> asyncio.AbstractEventLoop:
    """Return an event loop that wakes within microseconds: `epoll` rounds up to milliseconds."""
    return asyncio.SelectorEventLoop(selectors.SelectSelector())
