"""What an operator must hear of his store before it hurts."""

from dataclasses import dataclass
from typing import Final

from app.observability import Metrics, get_logger
from app.serving.server_port import Lost, StoreServer

NO_EVICTION: Final = "noeviction"

NONE: Final = Lost(0, 0)

_log = get_logger(__name__)


@dataclass(slots=True)
class Vigil:
    """Looks at the store now and then, and says what is wrong with it once.

    Attributes:
        server: The store.
        metrics: Show what was lost.
    """

    server: StoreServer
    metrics: Metrics
    _policy: str = NO_EVICTION
    _lost: Lost = NONE

    async def look(self) -> None:
        """Look once.

        Raises:
            StoreUnavailableError: If the store cannot be read.
        """
        self._judge_policy(await self.server.eviction_policy())
        self._judge_loss(await self.server.lost())

    def _judge_policy(self, policy: str) -> None:
        if policy not in {self._policy, NO_EVICTION}:
            _log.warning(
                "the store evicts: full, it forgets customers and sales and nobody notices;"
                " set maxmemory-policy noeviction",
                policy=policy,
            )
        self._policy = policy

    def _judge_loss(self, lost: Lost) -> None:
        self.metrics.lost.labels("events").set(lost.events)
        self.metrics.lost.labels("exposures").set(lost.exposures)
        if lost.events > self._lost.events or lost.exposures > self._lost.exposures:
            _log.warning(
                "full streams lost entries that nobody had exported:"
                " run `python -m app export-events`, and oftener",
                events=lost.events,
                exposures=lost.exposures,
            )
        self._lost = lost
