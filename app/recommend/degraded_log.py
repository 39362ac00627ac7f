"""Rate-limited log of degraded answers: at most one line per second, with counts by level."""

from collections import Counter
from collections.abc import Callable
from typing import Final

from app.observability import get_logger
from app.recommend.degradation_level import CAUSES, Cause, DegradationLevel
from app.recommend.recent_answers import RecentAnswers

# Chosen: soon enough for an alert, and no load of its own.
EVERY_S: Final = 1.0

_log = get_logger(__name__)


class Degradation:
    """Counts degraded answers and logs them at most once a second, by level.

    A store that is away degrades every answer: a line each would itself overload the service.
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

    def record(self, level: DegradationLevel | None, cause: Cause | None = None) -> None:
        """Record an answer.

        Args:
            level: What it had to do without; None for a full answer.
            cause: Why, where the level alone does not say it.
        """
        if level is None:
            self.recent.record(None)
            return
        cause = cause or CAUSES[level]
        self.recent.record((level, cause))
        self._counts[level] += 1
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
