"""The store's clock, which decides what is open, kept running while the store is away."""

import time
from collections.abc import Callable
from typing import Final

_NS_PER_US: Final = 1_000
# Unlike the monotonic clock this one runs on while the machine sleeps; only Linux has it.
_BOOT: Final = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)


def since_boot_us() -> int:
    """Return microseconds since some moment; nothing sets this clock."""
    return time.clock_gettime_ns(_BOOT) // _NS_PER_US


class StoreClock:
    """Follows the store's clock from its last reading, however this machine's clock is set.

    Before the first reading it goes on from what this machine's clock showed at the start.
    """

    def __init__(
        self, wall_us: Callable[[], int], elapsed_us: Callable[[], int] = since_boot_us
    ) -> None:
        """Begin now.

        Args:
            wall_us: This machine's clock, in microseconds since the epoch.
            elapsed_us: A clock that never goes back, in microseconds.
        """
        self._elapsed_us = elapsed_us
        self.set(wall_us())

    def set(self, store_us: int) -> None:
        """Note a reading of the store's clock, taken now."""
        self._ahead_us = store_us - self._elapsed_us()

    def now_us(self) -> int:
        """Return what the store's clock shows now, microseconds since the epoch."""
        return self._elapsed_us() + self._ahead_us

    def elapsed_us(self) -> int:
        """Return a reading that only tells how long ago something was here."""
        return self._elapsed_us()
