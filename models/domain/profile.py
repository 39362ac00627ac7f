"""Profile: totals of a customer's events up to midnight, beyond the window."""

from dataclasses import dataclass
from typing import Final, Self

import numpy as np
from numpy.typing import NDArray

from models.domain.event import KINDS
from models.domain.units import DAY_US

# The time of the first event, then a count a type.
_FIELDS: Final = 1 + len(KINDS)
_PACKED: Final = np.dtype(">i8")


def night_floor(now_us: int) -> int:
    """Return the latest midnight in UTC that is not after ``now_us``."""
    return now_us // DAY_US * DAY_US


@dataclass(frozen=True, slots=True)
class Profile:
    """Totals of a customer's events that were received before midnight.

    Attributes:
        first_us: Time of the first event, microseconds since the epoch; 0 if unknown.
        counts: Number of events by type code, without purchases that were taken back.
    """

    first_us: int
    counts: tuple[int, ...]

    @classmethod
    def empty(cls) -> Self:
        """Return the profile of a customer without earlier events."""
        return cls(first_us=0, counts=(0,) * len(KINDS))

    @classmethod
    def from_events(
        cls,
        kinds: NDArray[np.integer],
        at_us: NDArray[np.int64],
        *,
        undone: NDArray[np.bool_],
    ) -> Self:
        """Total a customer's events received before midnight.

        Args:
            kinds: Type codes, shape ``(n,)``.
            at_us: When each happened, same shape.
            undone: Purchases that were taken back by then, which do not count, same shape.
        """
        if not len(kinds):
            return cls.empty()
        counts = np.bincount(kinds[~undone], minlength=len(KINDS)).tolist()
        return cls(first_us=int(at_us.min()), counts=tuple(counts))

    @classmethod
    def unpack(cls, packed: bytes) -> Self:
        """Read a packed profile; empty bytes are an empty profile.

        Raises:
            ValueError: If the length is wrong.
        """
        if not packed:
            return cls.empty()
        values = np.frombuffer(packed, dtype=_PACKED).tolist()
        if len(values) != _FIELDS:
            msg = f"a packed profile has {_FIELDS} numbers, got {len(values)}"
            raise ValueError(msg)
        return cls(first_us=values[0], counts=tuple(values[1:]))

    def pack(self) -> bytes:
        """Return the bytes that `unpack` reads."""
        return np.array([self.first_us, *self.counts], dtype=_PACKED).tobytes()
