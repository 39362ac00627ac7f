"""A log line where answers have to do without something: not one an answer."""

from collections import Counter
from collections.abc import Callable
from typing import Final

from app.observability import get_logger
from app.serving.fallback import Rung

EVERY_S: Final = 1.0

_log = get_logger(__name__)


class Degradation:
    """Counts degraded answers and logs them at most once a second, by rung.

    A store that is away degrades every answer: a line each would be what stops the service.
    """

    def __init__(self, monotonic_s: Callable[[], float]) -> None:
        """Follow by a clock that never goes back."""
        self._monotonic_s = monotonic_s
        self._counts: Counter[Rung] = Counter()
        self._reason = ""
        self._next_s = monotonic_s()

    def blame(self, exc: Exception) -> None:
        """Keep the reason for the next line."""
        self._reason = str(exc) or type(exc).__name__

    def note(self, rung: Rung | None) -> None:
        """Take note of an answer; None for a full one."""
        if rung is None:
            return
        self._counts[rung] += 1
        now_s = self._monotonic_s()
        if now_s >= self._next_s:
            counts = {rung.value: n for rung, n in self._counts.items()}
            _log.warning("degraded answers", rungs=counts, reason=self._reason)
            self._counts.clear()
            self._reason = ""
            self._next_s = now_s + EVERY_S
