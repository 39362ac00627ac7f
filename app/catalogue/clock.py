"""Store clock, by which sales open and close; extrapolated while the store is unreachable."""

import time
from collections.abc import Callable
from typing import Final

_NS_PER_US: Final = 1_000
# Unlike the monotonic clock this one runs on while the machine sleeps; only Linux has it.
_BOOT: Final = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)


def since_boot_us() -> int:
    """Return microseconds since the machine started; setting the machine's time changes nothing."""
    return time.clock_gettime_ns(_BOOT) // _NS_PER_US


class StoreClock:
    """Extrapolates the store's clock from its last reading, independent of this machine's time.

    Before the first reading it starts from this machine's clock.
    """

    def __init__(
        self, wall_us: Callable[[], int], elapsed_us: Callable[[], int] = since_boot_us
    ) -> None:
        """Start from this machine's clock; ``elapsed_us`` never goes back."""
        self._elapsed_us = elapsed_us
        self.set(wall_us())

    def set(self, store_us: int) -> None:
        """Take over a reading of the store's clock, made now."""
        self._ahead_us = store_us - self._elapsed_us()

    def now_us(self) -> int:
        """Return the store's time, in microseconds since the epoch."""
        return self._elapsed_us() + self._ahead_us

    def elapsed_us(self) -> int:
        """Return this machine's monotonic clock, in microseconds, to measure intervals with."""
        return self._elapsed_us()
