"""Detector of pauses of this process: a stop signal, a machine that slept, a blocked loop."""

from collections.abc import Callable
from typing import Final

from models.domain.units import SECOND_US

# A fifth of a pause, so that no jitter of the loop is taken for one.
BEAT_EVERY_S: Final = 0.1

# With a round of the catalogue, less than the second within which a change is promised.
PAUSE_US: Final = SECOND_US // 2


class PauseDetector:
    """Compares the times of beats: a gap shows that the process did not run in between."""

    def __init__(self, elapsed_us: Callable[[], int]) -> None:
        """Begin now, by a clock that never goes back, in microseconds."""
        self._elapsed_us = elapsed_us
        self._beat_us = self.resumed_us = elapsed_us()

    def beat(self) -> None:
        """Record that the process runs, and in `resumed_us` when its last pause ended."""
        now_us = self._elapsed_us()
        if now_us - self._beat_us > PAUSE_US:
            self.resumed_us = now_us
        self._beat_us = now_us
