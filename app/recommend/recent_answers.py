"""Answers of the last minute, counted by the cause of their degradation."""

from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from app.recommend.degradation_level import Cause, DegradationLevel

# Chosen: `/health/full` speaks of now, and a minute outlasts any single slow answer.
WITHIN_S: Final = 60
# Fewer answers are no sample: one slow answer is no fault of a service. Chosen, not measured.
LEAST: Final = 20


@dataclass(slots=True)
class RecentAnswers:
    """Counts answers by cause, for a minute of a monotonic clock."""

    monotonic_s: Callable[[], float]
    _seconds: deque[tuple[int, Counter[Cause | None]]] = field(
        default_factory=deque[tuple[int, Counter[Cause | None]]]
    )

    def record(self, cause: Cause | None) -> None:
        """Count an answer; None for a full one."""
        second = self._forget()
        if not self._seconds or self._seconds[-1][0] != second:
            self._seconds.append((second, Counter()))
        self._seconds[-1][1][cause] += 1

    @property
    def lacking(self) -> tuple[str, str] | None:
        """What most answers had to do without, and what to do; None where most are full."""
        self._forget()
        counts: Counter[Cause | None] = Counter()
        for _, of_second in self._seconds:
            counts.update(of_second)
        n_answers = counts.total()
        lower = Counter({one: n for one, n in counts.items() if one is not None})
        if n_answers < LEAST or 2 * lower.total() <= n_answers:
            return None
        [(cause, n_of_cause)] = lower.most_common(1)
        reason = (
            f"{lower.total()} of the {n_answers} answers of the last minute were not full,"
            f" {n_of_cause} of them by {cause.level}: {cause.reason}"
        )
        return reason, cause.advice

    def excuse(self, level: DegradationLevel) -> None:
        """Count the answers of a level as full: their cause is reported by another part."""
        for _, of_second in self._seconds:
            for one in [one for one in of_second if one is not None and one.level is level]:
                of_second[None] += of_second.pop(one)

    def forget_all(self) -> None:
        """Begin the minute anew."""
        self._seconds.clear()

    def _forget(self) -> int:
        """Drop what is over a minute old; return the second that it is."""
        second = int(self.monotonic_s())
        while self._seconds and self._seconds[0][0] <= second - WITHIN_S:
            self._seconds.popleft()
        return second
