"""Readiness: whether a worker can answer, and whether its answers are degraded.

The first is the orchestrator's check before it routes callers: a worker stays ready in an outage
of the store. The second is for the alerts of operators.
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
from app.health.store_monitor import STORE_ADVICE, StoreMonitor
from app.observability import Metrics
from app.recommend.recent_answers import RecentAnswers

PING_TIMEOUT_S: Final = 1.0  # chosen: probes of orchestrators wait for a second


@dataclass(slots=True)
class Drain:
    """Draining state of a process before its stop: it still answers, but is not ready."""

    started: bool = False
    failed: bool = False  # a background task is beyond repair

    def fail(self) -> None:
        """Make the process end, to be replaced."""
        self.failed = True


class Part(StrEnum):
    """A part that full answers need."""

    DRAINING = "draining"
    BUNDLE = "bundle"
    TASKS = "tasks"
    STORE = "store"
    WRITES = "writes"
    CATALOGUE = "catalogue"
    STATE = "state"
    ANSWERS = "answers"


# Parts whose absence explains that answers are not full.
EXPLAINING: Final = frozenset({Part.BUNDLE, Part.STORE, Part.CATALOGUE})


@dataclass(frozen=True, slots=True)
class Missing:
    """A part that is missing, with the reason."""

    part: Part
    reason: str

    def __str__(self) -> str:
        """Return part and reason."""
        return f"{self.part}: {self.reason}"


@dataclass(frozen=True, slots=True)
class Readiness:
    """Checks the parts that answers, and full answers, depend on."""

    live: CatalogueFollower
    answers: RecentAnswers
    drain: Drain
    tasks: TaskHealth
    monitor: StoreMonitor
    metrics: Metrics

    def missing(self) -> tuple[Missing, ...]:
        """Return the parts that answers lack, without input or output; empty if ready."""
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
        """Return the parts that full answers lack, the store included; empty for nothing."""
        missing = [*self.missing()]
        try:
            async with asyncio.timeout(PING_TIMEOUT_S):
                await self.monitor.server.ping()
                # What was refused up to ten seconds ago may be taken by now.
                if self.monitor.refused is not None:
                    await self.monitor.check_writes()
        except (StoreUnavailableError, TimeoutError) as exc:
            reason = str(exc) or "no answer in time"
            missing.append(Missing(Part.STORE, f"{reason}: {STORE_ADVICE}"))
        if self.monitor.refused is not None:
            missing.append(Missing(Part.WRITES, self.monitor.refused))
        if self.live.refused is not None:
            missing.append(Missing(Part.BUNDLE, self.live.refused))
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
        """Yield that most answers are not full, if no other missing part explains it."""
        # The answers of an outage go: after it they would be reported as if it lasted.
        if not EXPLAINING.isdisjoint(one.part for one in missing):
            self.answers.forget_all()
        elif (lacking := self.answers.lacking) is not None:
            yield Missing(Part.ANSWERS, lacking)

    async def measure(self) -> None:
        """Set the gauges of full answers and of missing parts; a background task."""
        missing = {one.part for one in await self.missing_in_full()}
        self.metrics.health.in_full.set(not missing)
        for part in Part:
            self.metrics.health.missing.labels(part).set(part in missing)
