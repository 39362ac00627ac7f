"""Simulated period: first and last moment of a simulation."""

from dataclasses import dataclass

from training.simulator.parameters import DAY_US


@dataclass(frozen=True)
class Period:
    """Simulated time, in microseconds since the epoch, UTC.

    Attributes:
        start_us: First moment with events.
        end_us: Last moment with events.
    """

    start_us: int
    end_us: int

    @classmethod
    def ending(cls, end_us: int, days: int) -> "Period":
        """Return the period of whole days that ends at a moment."""
        return cls(start_us=end_us - days * DAY_US, end_us=end_us)

    def days_us(self) -> range:
        """Return the midnights (UTC) that begin the calendar days of the period."""
        return range(self.start_us // DAY_US * DAY_US, self.end_us + 1, DAY_US)
