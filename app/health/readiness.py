"""Readiness: whether a process can answer, and whether it answers in full.

The first is what an orchestrator asks before it sends callers: a store that is away takes no
process out. The second is what operators are alerted by.
"""

import asyncio
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from app.catalogue.catalogue_follower import CatalogueFollower
from app.catalogue.known_catalogue import ADVICE
from app.catalogue.snapshot_archive import STATE_ADVICE
from app.errors import StoreUnavailableError
from app.health.background_tasks import TaskHealth
from app.health.store_monitor import StoreMonitor
from app.observability import Metrics
from app.recommend.recent_answers import RecentAnswers

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


class Part(StrEnum):
    """Something that answers need."""

    DRAINING = "draining"
    BUNDLE = "bundle"
    TASKS = "tasks"
    STORE = "store"
    WRITES = "writes"
    CATALOGUE = "catalogue"
    STATE = "state"
    ANSWERS = "answers"


EXPLAINING: Final = frozenset({Part.BUNDLE, Part.STORE, Part.CATALOGUE})
"""Parts without which answers are not full."""


@dataclass(frozen=True, slots=True)
class Missing:
    """A part that is missing, and why."""

    part: Part
    reason: str

    def __str__(self) -> str:
        """Name both."""
        return f"{self.part}: {self.reason}"


@dataclass(frozen=True, slots=True)
class Readiness:
    """Checks what answers, and full answers, depend on.

    Attributes:
        live: The catalogue.
        answers: Those of the last minute.
        drain: Set when the process is about to stop.
        tasks: The background tasks.
        monitor: Knows the store, and whether it takes writes.
        metrics: Show what full answers lack.
    """

    live: CatalogueFollower
    answers: RecentAnswers
    drain: Drain
    tasks: TaskHealth
    monitor: StoreMonitor
    metrics: Metrics

    def missing(self) -> tuple[Missing, ...]:
        """Return what answers lack, empty if nothing; touches nothing but memory."""
        missing: list[Missing] = []
        if self.drain.started:
            missing.append(Missing(Part.DRAINING, "the process is about to stop"))
        if self.live.model.failure is not None:
            missing.append(Missing(Part.BUNDLE, self.live.model.failure))
        if self.live.served is None:
            reason = "none was read from the store, and none is saved on this machine"
            missing.append(Missing(Part.CATALOGUE, reason))
        missing += [Missing(Part.TASKS, f"background task {fault}") for fault in self.tasks.sick()]
        return tuple(missing)

    async def missing_in_full(self) -> tuple[Missing, ...]:
        """Return what full answers lack, the store's part included; empty if nothing."""
        missing = [*self.missing()]
        try:
            async with asyncio.timeout(PING_TIMEOUT_S):
                await self.monitor.server.ping()
                # What was refused up to ten seconds ago may be taken by now.
                if self.monitor.refused is not None:
                    await self.monitor.look_at_writes()
        except (StoreUnavailableError, TimeoutError) as exc:
            missing.append(Missing(Part.STORE, str(exc) or "no answer in time"))
        if self.monitor.refused is not None:
            missing.append(Missing(Part.WRITES, self.monitor.refused))
        if self.live.is_stale:
            reason = "not read from the store within the last minute"
            missing.append(Missing(Part.CATALOGUE, reason))
        if self.live.lacking is not None:
            missing.append(Missing(Part.CATALOGUE, f"{self.live.lacking}: {ADVICE}"))
        if self.live.unsaved is not None:
            reason = f"the catalogue is not saved on this machine: {self.live.unsaved}"
            missing.append(Missing(Part.STATE, f"{reason}: {STATE_ADVICE}"))
        return (*missing, *self._unexplained(missing))

    def _unexplained(self, missing: Sequence[Missing]) -> Iterator[Missing]:
        """Yield that most answers are not full, where nothing else that is missing explains it.

        Else the minute begins anew: answers of an outage say nothing of the time after it.
        """
        if not EXPLAINING.isdisjoint(one.part for one in missing):
            self.answers.forget_all()
        elif (lacking := self.answers.lacking) is not None:
            yield Missing(Part.ANSWERS, lacking)

    async def measure(self) -> None:
        """Show by metrics whether answers are full, and what they lack; a background task."""
        missing = {one.part for one in await self.missing_in_full()}
        self.metrics.in_full.set(not missing)
        for part in Part:
            self.metrics.missing.labels(part).set(part in missing)
