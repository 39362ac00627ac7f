"""A log line where answers have to do without something: not one an answer."""

from collections import Counter
from collections.abc import Callable
from typing import Final

from app.observability import get_logger
from app.recommend.fallback import CAUSES, Cause, DegradationLevel
from app.recommend.recent_answers import RecentAnswers

EVERY_S: Final = 1.0

_log = get_logger(__name__)


class Degradation:
    """Counts degraded answers and logs them at most once a second, by rung.

    A store that is away degrades every answer: a line each would be what stops the service.
    """

    def __init__(self, monotonic_s: Callable[[], float]) -> None:
        """Follow by a clock that never goes back."""
        self.recent = RecentAnswers(monotonic_s)
        self._monotonic_s = monotonic_s
        self._counts: Counter[DegradationLevel] = Counter()
        self._reasons: dict[str, None] = {}
        self._blamed = ""
        self._next_s = monotonic_s()

    def blame(self, exc: Exception) -> None:
        """Keep why a customer was not read for the next line."""
        self._blamed = str(exc) or type(exc).__name__

    def note(self, rung: DegradationLevel | None, cause: Cause | None = None) -> None:
        """Take note of an answer: None for a full one.

        Args:
            rung: What it had to do without.
            cause: Why, where the rung alone does not say it.
        """
        if rung is None:
            self.recent.note(None)
            return
        cause = cause or CAUSES[rung]
        self.recent.note((rung, cause))
        self._counts[rung] += 1
        self._reasons[cause.reason] = None
        now_s = self._monotonic_s()
        if now_s >= self._next_s:
            counts = {rung.value: n for rung, n in self._counts.items()}
            reasons = [*self._reasons, *([self._blamed] if self._blamed else [])]
            _log.warning("degraded answers", rungs=counts, reason="; ".join(reasons))
            self._counts.clear()
            self._reasons.clear()
            self._blamed = ""
            self._next_s = now_s + EVERY_S
