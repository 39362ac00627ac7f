"""Whether a process can give full answers, and if not, what is missing."""

import asyncio
from dataclasses import dataclass
from typing import Final

from app.errors import StoreUnavailableError
from app.serving.background_tasks import TaskHealth
from app.serving.live import LiveCatalogue
from app.serving.server_port import StoreServer

PING_TIMEOUT_S: Final = 1.0


@dataclass(slots=True)
class Drain:
    """Whether this process is about to stop: it answers, but wants no new callers.

    Attributes:
        started: Whether it is.
        failed: Whether it has to, as a background task cannot go on; set by the supervisor.
    """

    started: bool = False
    failed: bool = False

    def fail(self) -> None:
        """Have the process end, to be replaced."""
        self.failed = True


@dataclass(frozen=True, slots=True)
class Readiness:
    """Checks every hard dependency.

    Attributes:
        server: The store.
        live: The catalogue.
        drain: Set when the process is about to stop.
        tasks: The background tasks.
    """

    server: StoreServer
    live: LiveCatalogue
    drain: Drain
    tasks: TaskHealth

    async def missing(self) -> tuple[str, ...]:
        """Return what full answers lack, each with its reason; empty if nothing."""
        missing = ["draining: the process is about to stop"] if self.drain.started else []
        if self.live.model.failure is not None:
            missing.append(f"bundle: {self.live.model.failure}")
        missing += [f"background task {fault}" for fault in self.tasks.sick()]
        try:
            async with asyncio.timeout(PING_TIMEOUT_S):
                await self.server.ping()
        except (StoreUnavailableError, TimeoutError) as exc:
            missing.append(f"store: {str(exc) or 'no answer in time'}")
        if self.live.is_stale:
            missing.append("catalogue: not read from the store within the last minute")
        return tuple(missing)
