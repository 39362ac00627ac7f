"""A connection to an embedded server that counts its round trips."""

from collections.abc import Iterable

from redis.asyncio import BlockingConnectionPool, Redis, UnixDomainSocketConnection

from app.stores.connection import Connection


class CountingConnection(UnixDomainSocketConnection):
    """Counts how often anything was sent: each is a round trip."""

    n_sent = 0

    async def send_packed_command(
        self, command: bytes | str | Iterable[bytes], check_health: bool = True
    ) -> None:
        type(self).n_sent += 1
        await super().send_packed_command(command, check_health)


def counted(url: str) -> Connection:
    """One connection, whose round trips `CountingConnection.n_sent` counts."""
    path = url.removeprefix("unix://")
    pool = BlockingConnectionPool(connection_class=CountingConnection, path=path, max_connections=1)
    return Connection(lambda _before: Redis.from_pool(pool), timeout_s=10.0, max_connections=1)
