"""Profile: totals of a customer's events up to midnight, beyond the window."""

from dataclasses import dataclass
from typing import Final, Self

import numpy as np
from numpy.typing import NDArray

from models.domain.event import KINDS, LAST_US, PURCHASE
from models.domain.purchase_history import PurchaseHistory
from models.domain.units import DAY_US

# The time of the first event, then a count a type.
_FIELDS: Final = 1 + len(KINDS)
_PACKED: Final = np.dtype(">i8")
_HEAD_BYTES: Final = _FIELDS * _PACKED.itemsize


def night_floor(now_us: int) -> int:
    """Return the latest midnight in UTC that is not after ``now_us``."""
    return now_us // DAY_US * DAY_US


@dataclass(frozen=True, slots=True)
class Profile:
    """Totals of a customer's events that were received before midnight.

    Attributes:
        first_us: Time of the first event, microseconds since the epoch; 0 if unknown.
        counts: Number of events by type code, without fully refunded purchases.
        bought: Packed purchases by sale, the same; see `models.domain.purchase_history`.
    """

    first_us: int
    counts: tuple[int, ...]
    bought: bytes = b""

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
        sale_keys: NDArray[np.uint64],
        undone: NDArray[np.bool_],
    ) -> Self:
        """Total a customer's events received before midnight.

        Args:
            kinds: Type codes, shape ``(n,)``.
            at_us: When each happened, same shape.
            sale_keys: Keys of the sales, same shape.
            undone: Purchases that were fully refunded by then, which do not count, same shape.
        """
        if not len(kinds):
            return cls.empty()
        counts = np.bincount(kinds[~undone], minlength=len(KINDS)).tolist()
        bought = b""
        if counts[PURCHASE]:
            paid = (kinds == PURCHASE) & ~undone
            bought = PurchaseHistory.from_purchases(sale_keys[paid], at_us[paid]).pack()
        return cls(first_us=int(at_us.min()), counts=tuple(counts), bought=bought)

    @classmethod
    def unpack(cls, packed: bytes) -> Self:
        """Read a packed profile; empty bytes are an empty profile.

        Raises:
            ValueError: If the length or a number is wrong.
        """
        if not packed:
            return cls.empty()
        if len(packed) < _HEAD_BYTES:
            msg = f"a packed profile begins with {_FIELDS} numbers, got {len(packed)} bytes"
            raise ValueError(msg)
        head, bought = packed[:_HEAD_BYTES], packed[_HEAD_BYTES:]
        # Read once here, so that damaged purchases are found where they come in.
        PurchaseHistory.unpack(bought)
        first_us, *counts = np.frombuffer(head, dtype=_PACKED).tolist()
        if min(first_us, *counts) < 0 or first_us > LAST_US:
            msg = f"a packed profile begins with a time and counts, got {first_us} and {counts}"
            raise ValueError(msg)
        return cls(first_us=first_us, counts=tuple(counts), bought=bought)

    def pack(self) -> bytes:
        """Return the bytes that `unpack` reads."""
        return np.array([self.first_us, *self.counts], dtype=_PACKED).tobytes() + self.bought
