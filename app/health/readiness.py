"""Readiness: whether a worker can answer, and whether its answers are degraded.

The first is the orchestrator's check before it routes callers: a worker stays ready in an outage
of the store. The second is for the alerts of operators.
"""

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from app.catalogue.catalogue_follower import CatalogueFollower
from app.catalogue.known_catalogue import ADVICE
from app.catalogue.snapshot_archive import STATE_ADVICE
from app.errors import MAX_NAMED, StoreUnavailableError
from app.health.background_tasks import TaskHealth
from app.health.store_monitor import STORE_ADVICE, StoreMonitor
from app.observability import Metrics
from app.recommend.degradation_level import CAUSES, DegradationLevel
from app.recommend.recent_answers import RecentAnswers
from app.stores.sale import Place

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
    COUNTS = "counts"
    ANSWERS = "answers"


DRAIN_ADVICE: Final = "send requests to another worker; nothing else is to be done"
BUNDLE_ADVICE: Final = (
    "copy a whole one below VITRINE_BUNDLES, or activate another by `python -m app activate`;"
    " GET /v1/bundles shows which are whole"
)
NO_CATALOGUE_ADVICE: Final = (
    "let the worker reach the store (`python -m app doctor` says what is in the way), or give it a"
    " bundle, whose catalogue it serves until then"
)
STALE_ADVICE: Final = "`python -m app doctor` says what keeps the worker from reading the store"
UNBUILT_ADVICE: Final = (
    "put or delete the sale that it names; after an upgrade, load the dataset again (`python -m app"
    " load`)"
)
UNREADABLE_ADVICE: Final = (
    "put or delete each of these sales, or load the dataset again (`python -m app load`); pictures"
    " are to be put again after it"
)
TASKS_ADVICE: Final = (
    "look in the log for `a background task failed`, which has the traceback; if it goes on, the"
    " worker ends, to be replaced"
)

# Parts whose absence explains that answers are not full.
EXPLAINING: Final = frozenset({Part.BUNDLE, Part.STORE, Part.CATALOGUE})


@dataclass(frozen=True, slots=True)
class Missing:
    """A part that is missing, with the reason and what to do."""

    part: Part
    reason: str
    advice: str

    def __str__(self) -> str:
        """Return part, reason and advice."""
        return f"{self.part}: {self.reason}: {self.advice}"


def unreadable_reason(sales: Mapping[str, str], pictures: Mapping[Place, str]) -> str | None:
    """Return how many stored records cannot be read, and why for the first; None for none."""
    of_sales = [f"{sale_id!r} ({reason})" for sale_id, reason in sales.items()]
    of_pictures = [f"{i!r}, number {number} ({why})" for (i, number), why in pictures.items()]
    reasons = [
        f"{len(each)} stored {kind} are unreadable and left out: {', '.join(each[:MAX_NAMED])}"
        for kind, each in (("sales", of_sales), ("pictures", of_pictures))
        if each
    ]
    return "; ".join(reasons) or None


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
            missing.append(Missing(Part.DRAINING, "the process is about to stop", DRAIN_ADVICE))
        if self.live.model.failure is not None:
            missing.append(Missing(Part.BUNDLE, self.live.model.failure, BUNDLE_ADVICE))
        if self.live.served is None:
            reason = "none was read from the store, and none is saved on this machine"
            missing.append(Missing(Part.CATALOGUE, reason, NO_CATALOGUE_ADVICE))
        missing += [
            Missing(Part.TASKS, f"background task {fault}", TASKS_ADVICE)
            for fault in self.tasks.sick()
        ]
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
            missing.append(Missing(Part.STORE, reason, STORE_ADVICE))
        if self.monitor.refused is not None:
            missing.append(Missing(Part.WRITES, *self.monitor.refused))
        if self.live.refused is not None:
            missing.append(Missing(Part.BUNDLE, self.live.refused, BUNDLE_ADVICE))
        is_away = any(one.part is Part.STORE for one in missing)
        missing += [*self._of_reading(is_store_away=is_away), *self._of_catalogue()]
        return (*missing, *self._unexplained(missing))

    def _of_reading(self, *, is_store_away: bool) -> Iterator[Missing]:
        """Yield why the catalogue is not the one that the store holds now."""
        if self.live.unbuilt is not None:
            reason = f"none can be built of what the store holds: {self.live.unbuilt}"
            yield Missing(Part.CATALOGUE, reason, UNBUILT_ADVICE)
        elif self.live.is_stale:
            reason = "not read from the store within the last minute"
            yield Missing(Part.CATALOGUE, reason, STALE_ADVICE)
        elif self.live.unread is not None and not is_store_away:
            reason = f"its last reading failed, and the last known one answers: {self.live.unread}"
            yield Missing(Part.CATALOGUE, reason, STALE_ADVICE)

    def _of_catalogue(self) -> Iterator[Missing]:
        """Yield what the catalogue lacks, or its file on this machine."""
        unreadable = unreadable_reason(self.live.unreadable, self.live.unreadable_pictures)
        if unreadable is not None:
            yield Missing(Part.CATALOGUE, unreadable, UNREADABLE_ADVICE)
        if self.live.lacking is not None:
            yield Missing(Part.CATALOGUE, self.live.lacking, ADVICE)
        if self.live.unsaved is not None:
            reason = f"the catalogue is not saved on this machine: {self.live.unsaved}"
            yield Missing(Part.STATE, reason, STATE_ADVICE)
        if self.live.uncounted is not None:
            yield Missing(Part.COUNTS, self.live.uncounted, STORE_ADVICE)
        if self.live.has_stale_counts:
            stale = CAUSES[DegradationLevel.STALE_COUNTS]
            yield Missing(Part.COUNTS, stale.reason, stale.advice)

    def _unexplained(self, missing: Sequence[Missing]) -> Iterator[Missing]:
        """Yield that most answers are not full, if no other missing part explains it."""
        parts = {one.part for one in missing}
        # The answers of an outage go: after it they would be reported as if it lasted.
        if not EXPLAINING.isdisjoint(parts):
            self.answers.forget_all()
            return
        if Part.COUNTS in parts:
            self.answers.excuse(DegradationLevel.STALE_COUNTS)
        if (lacking := self.answers.lacking) is not None:
            yield Missing(Part.ANSWERS, *lacking)

    async def measure(self) -> None:
        """Set the gauges of readiness, full answers and unreadable records; a task."""
        self.metrics.health.ready.set(not self.missing())
        missing = {one.part for one in await self.missing_in_full()}
        self.metrics.health.in_full.set(not missing)
        for part in Part:
            self.metrics.health.missing.labels(part).set(part in missing)
        unreadable = self.metrics.health.unreadable
        unreadable.labels("sales").set(len(self.live.unreadable))
        unreadable.labels("pictures").set(len(self.live.unreadable_pictures))
