"""Store server (Redis or Valkey): liveness, clock, lost entries, and refused writes.

Scripts: ``probe_writes``, ``check_partition``.

Every method of every store raises `app.errors.StoreUnavailableError` if the server is down, slow
or refuses the command, and no other error of the network.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Final, Self, cast

from redis.exceptions import ResponseError

from app.errors import MAX_NAMED, StoreUnavailableError
from app.stores.client import uncovered
from app.stores.connection import Connection, Script
from app.stores.keys import (
    N_PARTITIONS,
    PREFIXES,
    PROBE_TTL_S,
    counts_prefix,
    erasures_stream,
    events_stream,
    exposures_stream,
    write_probe,
)
from app.stores.numbers import whole_number
from app.stores.rights import all_commands
from models.domain.event import from_us
from models.domain.units import SECOND_US

NO_EVICTION: Final = "noeviction"

PROBE_WRITES: Final = Script.named("probe_writes", also=all_commands())
CHECK_PARTITION: Final = Script.named("check_partition")

_DOING: Final = "asking for its health"
_COUNTING: Final = "counting what was lost"
_PROBING: Final = "trying to write"
# The keys of `check_partition.lua`, in its order.
_CHECKED: Final = (events_stream, exposures_stream, erasures_stream, counts_prefix)


@dataclass(frozen=True, slots=True)
class Lost:
    """Lost entries: dropped because a bound of the store was reached, over its whole life.

    Attributes:
        events: Accepted events that a full stream dropped before they were exported; windows
            and counters have them.
        exposures: Records of answers that a full stream dropped.
        counts: Accepted events that count for no sale, because their hour named too many sales;
            windows and streams have them.
    """

    events: int
    exposures: int
    counts: int


class Refusal(StrEnum):
    """Reason for which a readable store refuses writes."""

    FULL = "full"
    DISK = "disk"
    REPLICA = "replica"
    RIGHTS = "rights"
    SLOT = "slot"
    NODE = "node"
    DAMAGED = "damaged"
    OTHER = "other"


def evicting(infos: Sequence[Mapping[str, object]]) -> str:
    """Return the policies of servers that evict when full, by their ``INFO``; or `NO_EVICTION`."""
    policies = {str(info.get("maxmemory_policy", NO_EVICTION)) for info in infos}
    return ", ".join(sorted(policies - {NO_EVICTION})) or NO_EVICTION


@dataclass(frozen=True, slots=True)
class StoreMemory:
    """Memory of the store, of a cluster that of its masters together.

    Attributes:
        policy: See `evicting`.
        used_bytes: Bytes in use.
        limit_bytes: ``maxmemory``; 0 where a server has no limit.
    """

    policy: str
    used_bytes: int
    limit_bytes: int

    @classmethod
    def from_infos(cls, infos: Sequence[Mapping[str, object]]) -> Self:
        """Read what servers say of themselves; what a server does not say counts as 0."""
        used = [int(str(info.get("used_memory", 0))) for info in infos]
        limits = [int(str(info.get("maxmemory", 0))) for info in infos]
        return cls(evicting(infos), sum(used), sum(limits) if all(limits) else 0)


class StoreServer:
    """The server behind a connection."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def ping(self) -> None:
        """Return when the store answers."""
        await self._connection.execute("PING", doing=_DOING)

    async def time_us(self) -> int:
        """Return the store's clock, microseconds since the epoch."""
        reply = await self._connection.execute("TIME", doing=_DOING)
        seconds, microseconds = cast("tuple[int, int]", reply)
        return seconds * SECOND_US + microseconds

    async def now(self) -> datetime:
        """Return the store's clock in UTC."""
        return from_us(await self.time_us())

    async def memory(self) -> StoreMemory:
        """Return the memory of all servers together."""
        return StoreMemory.from_infos(await self._connection.info(doing=_DOING))

    async def lost(self) -> Lost:
        """Return the entries lost so far, summed over all partitions."""
        commands = [
            ("HMGET", f"{counts_prefix(p)}lost", "events", "exposures", "counts")
            for p in range(N_PARTITIONS)
        ]
        replies = await self._connection.execute_many(commands, doing=_COUNTING)
        counts = [
            [
                whole_number(n, command[1], doing=_COUNTING)
                for n in cast("list[bytes | None]", reply)
            ]
            for command, reply in zip(commands, replies, strict=True)
        ]
        return Lost(*map(sum, zip(*counts, strict=True)))

    async def refused_write(self) -> tuple[Refusal, str] | None:
        """Write a probe key to every partition, and so to every node of a cluster.

        Every node is also asked for the rights to all commands and keys of the stores, and every
        partition whether keys of another type keep it from taking events.

        Returns:
            The reason and the server's own words, or None if all writes were taken.
        """
        # A write, because nothing that can be read shows all of these refusals.
        commands = [
            PROBE_WRITES.by_sha([write_probe(p)], PROBE_TTL_S, *PREFIXES)
            for p in range(N_PARTITIONS)
        ]
        outcomes = await self._connection.run_each(PROBE_WRITES, commands, doing=_PROBING)
        # The right to this shows only where it is sent: servers forget scripts at a restart.
        in_full = PROBE_WRITES.in_full(commands[0])
        outcomes += await self._connection.execute_each([in_full], doing=_PROBING)
        failures = [one for one in outcomes if isinstance(one, StoreUnavailableError)]
        if not failures:
            return await self._damaged()
        first = failures[0]
        if (slot := uncovered(first.__cause__)) is not None:
            return Refusal.SLOT, slot
        if isinstance(first.__cause__, ResponseError):
            return refusal_of(first), str(first.__cause__)
        if len(failures) == len(outcomes):
            raise first
        n_away = sum(isinstance(one, StoreUnavailableError) for one in outcomes[:N_PARTITIONS])
        return Refusal.NODE, f"{n_away} of {N_PARTITIONS} partitions: {first.__cause__}"

    async def _damaged(self) -> tuple[Refusal, str] | None:
        """Look for keys of another type that keep a partition from taking events."""
        calls = [
            CHECK_PARTITION.by_sha([name_of(p) for name_of in _CHECKED])
            for p in range(N_PARTITIONS)
        ]
        replies = await self._connection.run_many(CHECK_PARTITION, calls, doing=_PROBING)
        damaged = [key.decode() for reply in replies for key in cast("list[bytes]", reply)]
        if not damaged:
            return None
        named = ", ".join(damaged[:MAX_NAMED])
        return Refusal.DAMAGED, f"{len(damaged)} keys are of another type, such as {named}"

    async def close(self) -> None:
        """Close the connection, and with it every store over it."""
        await self._connection.close()


# Words of the replies of Redis 7 and Valkey 8, in lower case; the client cuts most codes off.
_REFUSALS: Final = {
    "maxmemory": Refusal.FULL,
    "misconf": Refusal.DISK,
    "read only": Refusal.REPLICA,
    "permission": Refusal.RIGHTS,
    "user executing the script": Refusal.RIGHTS,
}


def refusal_of(exc: StoreUnavailableError) -> Refusal:
    """Return why a store refused a command."""
    reply = str(exc.__cause__).lower()
    found = (refusal for words, refusal in _REFUSALS.items() if words in reply)
    return next(found, Refusal.OTHER)
