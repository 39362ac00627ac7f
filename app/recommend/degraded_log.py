"""Rate-limited log of degraded answers: at most one line per second, with counts by level."""

from collections import Counter
from collections.abc import Callable
from typing import Final

from app.observability import get_logger
from app.recommend.degradation_level import Cause, DegradationLevel
from app.recommend.recent_answers import RecentAnswers

# Chosen: soon enough for an alert, and no load of its own.
EVERY_S: Final = 1.0

_log = get_logger(__name__)


class Degradation:
    """Counts degraded answers and logs them at most once a second, by level.

    An outage of the store degrades every answer: a line each would itself overload the service.
    """

    def __init__(self, monotonic_s: Callable[[], float]) -> None:
        self.recent = RecentAnswers(monotonic_s)
        self._monotonic_s = monotonic_s
        self._counts: Counter[DegradationLevel] = Counter()
        self._reasons: dict[str, None] = {}
        self._blamed = ""
        self._next_s = monotonic_s()

    def blame(self, exc: Exception) -> None:
        """Keep the error of a read of a customer for the next line."""
        self._blamed = str(exc) or type(exc).__name__

    def record(self, cause: Cause | None) -> None:
        """Record an answer by the cause of its degradation; None for a full answer."""
        self.recent.record(cause)
        if cause is None:
            return
        self._counts[cause.level] += 1
        self._reasons[cause.reason] = None
        now_s = self._monotonic_s()
        if now_s >= self._next_s:
            counts = {level.value: n for level, n in self._counts.items()}
            reasons = [*self._reasons, *([self._blamed] if self._blamed else [])]
            _log.warning("degraded answers", levels=counts, reason="; ".join(reasons))
            self._counts.clear()
            self._reasons.clear()
            self._blamed = ""
            self._next_s = now_s + EVERY_S
