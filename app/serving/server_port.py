"""What serving needs from a store as a whole; see `app.serving.ports`."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Lost:
    """Entries of full streams that made room before anybody exported them, ever.

    Attributes:
        events: Accepted events; windows and counters have them.
        exposures: Records of answers.
    """

    events: int
    exposures: int


class Refusal(StrEnum):
    """Why a store that can be read takes no writes."""

    FULL = "full"
    DISK = "disk"
    REPLICA = "replica"
    RIGHTS = "rights"
    OTHER = "other"


class StoreServer(Protocol):
    """The store as a whole."""

    async def ping(self) -> None:
        """Return when the store answers."""
        ...

    async def time_us(self) -> int:
        """Return the store's clock, microseconds since the epoch."""
        ...

    async def eviction_policy(self) -> str:
        """Return what the store does where it is full: ``noeviction``, or what it forgets."""
        ...

    async def lost(self) -> Lost:
        """Return how many entries full streams lost so far."""
        ...

    async def refused_write(self) -> tuple[Refusal, str] | None:
        """Write a key of every partition; return why that is refused, None if it is not."""
        ...

    async def close(self) -> None:
        """Give back all connections."""
        ...
