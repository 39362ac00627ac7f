"""A connection to an embedded server that counts its round trips."""

# pyright: reportUnknownMemberType=false
# redis-py annotates its clients' parts as unknown.

import asyncio
from collections.abc import Iterable
from typing import Any

from redis.asyncio import BlockingConnectionPool, Redis, UnixDomainSocketConnection

from app.stores.connection import Connection
from app.stores.customer import CustomerStore


class CountingTransport:
    """A transport that counts what is sent at once."""

    def __init__(self, transport: asyncio.WriteTransport) -> None:
        self._transport = transport

    def write(self, data: bytes) -> None:
        CountingConnection.n_sent += 1
        self._transport.write(data)

    def writelines(self, parts: Iterable[bytes]) -> None:
        CountingConnection.n_sent += 1
        self._transport.writelines(parts)

    def __getattr__(self, name: str) -> object:
        return getattr(self._transport, name)


class CountingConnection(UnixDomainSocketConnection):
    """Counts how often anything was sent, by redis-py or on a channel: each is a round trip."""

    n_sent = 0

    async def _connect(self) -> None:
        await super()._connect()
        writer: Any = self._writer
        writer._transport = CountingTransport(writer.transport)


async def open_channel(customers: CustomerStore) -> None:
    """Read until the connections are made; each takes three round trips."""
    for _ in range(10):
        await customers.read("nobody")


def counted(url: str) -> Connection:
    """A connection, and one more for the channel, whose round trips `n_sent` counts."""
    path = url.removeprefix("unix://")
    pool = BlockingConnectionPool(connection_class=CountingConnection, path=path, max_connections=2)
    return Connection(lambda _before: Redis.from_pool(pool), timeout_s=10.0, max_connections=1)
