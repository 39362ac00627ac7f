"""Everything that one Redis or Valkey keeps, over one pool of connections."""

from dataclasses import dataclass
from typing import Final, Self, cast

from redis.exceptions import ResponseError

from app.errors import StoreUnavailableError
from app.settings import STREAM_BYTES
from app.stores.bundle import RedisBundleStore
from app.stores.connection import DEFAULT_CONNECTIONS, DEFAULT_TIMEOUT_S, Connection
from app.stores.count import RedisCountStore
from app.stores.customer import RedisCustomerStore
from app.stores.exposure import RedisExposureLog
from app.stores.keys import N_PARTITIONS, PROBE_TTL_S, counts_prefix, write_probe
from app.stores.plan import RedisPlanStore
from app.stores.promotion import RedisPromotionStore
from app.stores.sale import RedisSaleStore
from app.stores.server_port import Lost, Refusal
from models.domain.event import SECOND_US

_DOING: Final = "asking for its health"


class RedisServer:
    """Redis 7 or Valkey as a whole; see `StoreServer`."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def ping(self) -> None:
        """Return when the store answers; see `StoreServer`."""
        await self._connection.execute("PING", doing=_DOING)

    async def time_us(self) -> int:
        """Return the store's clock; see `StoreServer`."""
        reply = await self._connection.execute("TIME", doing=_DOING)
        seconds, microseconds = cast("tuple[int, int]", reply)
        return seconds * SECOND_US + microseconds

    async def eviction_policy(self) -> str:
        """Return what the server does where it is full; see `StoreServer`."""
        reply = await self._connection.execute("INFO", "memory", doing=_DOING)
        return str(cast("dict[str, object]", reply)["maxmemory_policy"])

    async def lost(self) -> Lost:
        """Return what was lost, over all partitions; see `StoreServer`."""
        commands = [
            ("HMGET", f"{counts_prefix(p)}lost", "events", "exposures", "counts")
            for p in range(N_PARTITIONS)
        ]
        replies = await self._connection.execute_many(commands, doing="counting what was lost")
        counts = [cast("list[bytes | None]", reply) for reply in replies]
        return Lost(*(sum(int(n or 0) for n in column) for column in zip(*counts, strict=True)))

    async def refused_write(self) -> tuple[Refusal, str] | None:
        """Write a probe of every partition, so of every node; see `StoreServer`."""
        commands = [("SET", write_probe(p), 1, "EX", PROBE_TTL_S) for p in range(N_PARTITIONS)]
        try:
            await self._connection.execute_many(commands, doing="trying to write")
        except StoreUnavailableError as exc:
            if not isinstance(exc.__cause__, ResponseError):
                raise
            return refusal_of(exc), str(exc.__cause__)
        return None

    async def close(self) -> None:
        """Give back all connections; see `StoreServer`."""
        await self._connection.close()


_REFUSALS: Final = {
    "maxmemory": Refusal.FULL,
    "misconf": Refusal.DISK,
    "read only": Refusal.REPLICA,
    "permission": Refusal.RIGHTS,
    "user executing the script": Refusal.RIGHTS,
}
"""Words of the replies of Redis 7 and Valkey 8; the client cuts most codes off."""


def refusal_of(exc: StoreUnavailableError) -> Refusal:
    """Return why a store refused a command."""
    reply = str(exc.__cause__).lower()
    found = (refusal for words, refusal in _REFUSALS.items() if words in reply)
    return next(found, Refusal.OTHER)


@dataclass(frozen=True, slots=True)
class RedisStores:
    """The stores of one process; `server.close` closes them all."""

    connection: Connection
    customers: RedisCustomerStore
    sales: RedisSaleStore
    counts: RedisCountStore
    exposures: RedisExposureLog
    bundles: RedisBundleStore
    plans: RedisPlanStore
    promotions: RedisPromotionStore
    server: RedisServer

    @classmethod
    def over(cls, connection: Connection, *, stream_bytes: int = STREAM_BYTES) -> Self:
        """Share one connection between all stores; see `STREAM_BYTES`."""
        return cls(
            connection,
            RedisCustomerStore(connection, stream_bytes=stream_bytes),
            RedisSaleStore(connection),
            RedisCountStore(connection),
            RedisExposureLog(connection, stream_bytes=stream_bytes),
            RedisBundleStore(connection),
            RedisPlanStore(connection),
            RedisPromotionStore(connection),
            RedisServer(connection),
        )

    @classmethod
    def open(
        cls,
        url: str,
        *,
        timeout_s: float = DEFAULT_TIMEOUT_S,
        max_connections: int = DEFAULT_CONNECTIONS,
        stream_bytes: int = STREAM_BYTES,
    ) -> Self:
        """Prepare all stores of a URL; see `Connection.open` and `STREAM_BYTES`."""
        connection = Connection.open(url, timeout_s=timeout_s, max_connections=max_connections)
        return cls.over(connection, stream_bytes=stream_bytes)
