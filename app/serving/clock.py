"""The store's clock, which decides what is open, kept running while the store is away."""

from collections.abc import Callable


class StoreClock:
    """Follows the store's clock by this machine's.

    Before the first reading it is this machine's clock.
    """

    def __init__(self, wall_us: Callable[[], int]) -> None:
        """Follow by a clock of this machine, in microseconds since the epoch."""
        self._wall_us = wall_us
        self._ahead_us = 0

    def set(self, store_us: int) -> None:
        """Note a reading of the store's clock, taken now."""
        self._ahead_us = store_us - self._wall_us()

    def now_us(self) -> int:
        """Return what the store's clock shows now, microseconds since the epoch."""
        return self._wall_us() + self._ahead_us

    def machine_us(self) -> int:
        """Return this machine's clock, which alone tells how long ago something was here."""
        return self._wall_us()
