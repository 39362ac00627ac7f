"""Store monitor: eviction, lost entries and refused writes, reported before customers notice."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from app.observability import Metrics, get_logger
from app.stores.client import UNCOVERED_ADVICE
from app.stores.server import NO_EVICTION, Lost, Refusal, StoreServer
from models.domain.units import SECOND_US

# Difference of the clocks that is reported; NTP keeps it far below. Chosen, not measured.
SKEW_S: Final = 1.0

NONE: Final = Lost(0, 0, 0)

STORE_ADVICE: Final = (
    "start it (the embedded one starts with the service), or correct VITRINE_REDIS_URL;"
    " docs/store.md lists the rights it needs"
)
"""For a store that cannot be reached."""
WRITES_ADVICE: Final = {
    Refusal.FULL: "raise maxmemory, or run `python -m app export-events`, which makes room",
    Refusal.DISK: "look at its log and its disk: it cannot save, and takes nothing until it can",
    Refusal.REPLICA: "it is a replica: correct VITRINE_REDIS_URL, or promote it",
    Refusal.RIGHTS: "grant its user the rights of docs/store.md",
    Refusal.SLOT: UNCOVERED_ADVICE,
    Refusal.NODE: "bring the node of the cluster back, or promote its replica",
    Refusal.DAMAGED: "another program wrote to a key: remove each that `python -m app doctor` names"
    " (`redis-cli DEL KEY`)",
    Refusal.OTHER: "look at its log and its settings",
}

_log = get_logger(__name__)


@dataclass(slots=True)
class StoreMonitor:
    """Checks the store from time to time, and logs each fault once when it begins.

    Attributes:
        refused: Why the store refused writes at the last check, and what to do; None if it took
            them.
    """

    server: StoreServer
    metrics: Metrics
    machine_us: Callable[[], int]
    refused: tuple[str, str] | None = None
    _refusal: Refusal | None = None
    _policy: str = NO_EVICTION
    _lost: Lost = NONE
    _is_skewed: bool = False

    async def check(self) -> None:
        """Check once, as a background task.

        Raises:
            StoreUnavailableError: If the store cannot be read.
        """
        await self._check_clock()
        await self.check_writes()
        memory = await self.server.memory()
        policy = memory.policy
        self.metrics.store.memory.labels("used").set(memory.used_bytes)
        self.metrics.store.memory.labels("limit").set(memory.limit_bytes)
        if policy not in {self._policy, NO_EVICTION}:
            _log.warning(
                "the store evicts: when full, it drops customers and sales silently;"
                " set maxmemory-policy noeviction",
                policy=policy,
            )
        self._policy = policy
        self._check_loss(await self.server.lost())

    async def _check_clock(self) -> None:
        before_us = self.machine_us()
        store_us = await self.server.time_us()
        after_us = self.machine_us()
        self.metrics.store.round_trip.set((after_us - before_us) / SECOND_US)
        # A worker that was busy took the reply late: half of its delay would look like a skew.
        if after_us - before_us > SKEW_S * SECOND_US:
            return
        # The store read its clock between request and reply: compare with the middle.
        ahead_s = (store_us - (before_us + after_us) // 2) / SECOND_US
        self.metrics.health.clock_skew.set(ahead_s)
        is_skewed = abs(ahead_s) > SKEW_S
        if is_skewed and not self._is_skewed:
            _log.warning(
                "the clocks of store and machine differ: sales open and close, and events are"
                " dated, by the store's; synchronise both by NTP",
                ahead_s=ahead_s,
            )
        self._is_skewed = is_skewed

    async def check_writes(self) -> None:
        """Check whether the store takes writes.

        Raises:
            StoreUnavailableError: If the store cannot be read.
        """
        refused = await self.server.refused_write()
        if refused is None:
            if self._refusal is not None:
                _log.info("the store takes writes again")
            self.refused = self._refusal = None
            return
        refusal, reason = refused
        self.metrics.health.write_refusals.labels(refusal).inc()
        self.refused = reason, WRITES_ADVICE[refusal]
        if refusal is not self._refusal:
            _log.error(
                "the store refuses writes, all or those of a part, so events and changes of sales"
                f" are answered 503 or `unavailable`; {WRITES_ADVICE[refusal]}",
                reason=reason,
            )
        self._refusal = refusal

    def _check_loss(self, lost: Lost) -> None:
        self.metrics.health.lost.labels("events").set(lost.events)
        self.metrics.health.lost.labels("exposures").set(lost.exposures)
        if lost.events > self._lost.events or lost.exposures > self._lost.exposures:
            _log.warning(
                "full streams lost entries that were never exported:"
                " run `python -m app export-events`, and more often",
                events=lost.events,
                exposures=lost.exposures,
            )
        self.metrics.health.lost.labels("counts").set(lost.counts)
        if lost.counts > self._lost.counts:
            _log.warning(
                "events count for no sale: one hour names too many sales;"
                " find the caller that sends events of unknown sales",
                counts=lost.counts,
            )
        self._lost = lost
