"""A burst of connections: how many are taken between two looks at the others."""

import asyncio
import socket
from typing import cast

import uvloop

from app.network.listening import MOST_A_ROUND, Listening

N_CALLERS = 100


class Greeting(asyncio.Protocol):
    """Greets whoever connects."""

    def __init__(self, greeted: list[asyncio.WriteTransport]) -> None:
        self._greeted = greeted

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        writing = cast("asyncio.WriteTransport", transport)  # uvloop's is no subclass
        writing.write(b"hello")
        self._greeted.append(writing)


async def n_rounds(listener: socket.socket, n_callers: int) -> int:
    """Greet all that have connected, and return how many rounds of the loop it took."""
    greeted: list[asyncio.WriteTransport] = []
    listening = Listening(listener, lambda: Greeting(greeted))
    rounds = 0
    while len(greeted) < n_callers:
        await asyncio.sleep(0)
        rounds += 1
    listening.close()
    for transport in greeted:
        transport.close()
    await asyncio.sleep(0.1)
    return rounds


def test_a_burst_is_taken_in_few_rounds_of_the_loop() -> None:
    """A round for each is what the loop does of itself."""
    with socket.create_server(("127.0.0.1", 0), backlog=N_CALLERS) as listener:
        callers = [socket.create_connection(listener.getsockname()) for _ in range(N_CALLERS)]

        taken_in = uvloop.run(n_rounds(listener, N_CALLERS))

        assert taken_in <= N_CALLERS // MOST_A_ROUND + 5
        assert [caller.recv(5) for caller in callers] == [b"hello"] * N_CALLERS
        for caller in callers:
            caller.close()
