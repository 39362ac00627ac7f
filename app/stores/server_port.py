"""What serving needs from a store as a whole; see `app.stores.ports`."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Lost:
    """What the store had no room for, ever.

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
        """Return what was lost for want of room so far."""
        ...

    async def refused_write(self) -> tuple[Refusal, str] | None:
        """Write a key of every partition; return why that is refused, None if it is not."""
        ...

    async def close(self) -> None:
        """Give back all connections."""
        ...
