"""Profile: totals of a customer's events up to midnight, and what the shop knows of them."""

from dataclasses import dataclass, field
from typing import Final, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import TypeAdapter, ValidationError

from models.domain.event import KINDS, LAST_US, PURCHASE
from models.domain.purchase_history import PurchaseHistory
from models.domain.sale import AttributeValue, AttributeValues
from models.domain.units import DAY_US

# The time of the first event, then a count a type.
_FIELDS: Final = 1 + len(KINDS)
_PACKED: Final = np.dtype(">i8")
HEAD_BYTES: Final = _FIELDS * _PACKED.itemsize
"""Bytes of a packed profile before its attributes and their length."""
# Length of the attributes, which follow.
_LENGTH_BYTES: Final = 4
_ATTRIBUTES: Final = TypeAdapter(dict[str, AttributeValue])


def night_floor(now_us: int) -> int:
    """Return the latest midnight in UTC that is not after ``now_us``."""
    return now_us // DAY_US * DAY_US


@dataclass(frozen=True, slots=True)
class Profile:
    """Totals of a customer's events that were received before midnight, and their attributes.

    Attributes:
        first_us: Time of the first event, microseconds since the epoch; 0 if unknown.
        counts: Number of events by type code, without fully refunded purchases.
        bought: Packed purchases by sale, the same; see `models.domain.purchase_history`.
        attributes: The customer's row of ``customers``: numbers, texts and flags by name.
    """

    first_us: int
    counts: tuple[int, ...]
    bought: bytes = b""
    attributes: AttributeValues = field(default_factory=dict[str, AttributeValue])

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
        attributes: AttributeValues,
    ) -> Self:
        """Total a customer's events received before midnight.

        Args:
            kinds: Type codes, shape ``(n,)``.
            at_us: When each happened, same shape.
            sale_keys: Keys of the sales, same shape.
            undone: Purchases that were fully refunded by then, which do not count, same shape.
            attributes: See `Profile`.
        """
        counts = np.bincount(kinds[~undone], minlength=len(KINDS)).tolist()
        bought = b""
        if counts[PURCHASE]:
            paid = (kinds == PURCHASE) & ~undone
            bought = PurchaseHistory.from_purchases(sale_keys[paid], at_us[paid]).pack()
        first_us = int(at_us.min()) if len(at_us) else 0
        return cls(first_us, tuple(counts), bought, attributes)

    @classmethod
    def unpack(cls, packed: bytes) -> Self:
        """Read a packed profile; empty bytes are an empty profile.

        Raises:
            ValueError: If the length, a number or the attributes are wrong.
        """
        if not packed:
            return cls.empty()
        start = HEAD_BYTES + _LENGTH_BYTES
        if len(packed) < start:
            msg = f"a packed profile begins with {start} bytes of numbers, got {len(packed)} bytes"
            raise ValueError(msg)
        head = packed[:HEAD_BYTES]
        end = start + int.from_bytes(packed[HEAD_BYTES:start], "big")
        attributes, bought = packed[start:end], packed[end:]
        # Read once here, so that damaged purchases are found where they come in.
        PurchaseHistory.unpack(bought)
        first_us, *counts = np.frombuffer(head, dtype=_PACKED).tolist()
        if min(first_us, *counts) < 0 or first_us > LAST_US:
            msg = f"a packed profile begins with a time and counts, got {first_us} and {counts}"
            raise ValueError(msg)
        try:
            known = _ATTRIBUTES.validate_json(attributes) if attributes else {}
        except ValidationError as exc:
            # Without the input, which describes a customer: reasons are logged.
            reason = exc.errors(include_input=False)[0]["msg"]
            msg = f"the attributes of a packed profile cannot be read: {reason}"
            raise ValueError(msg) from None
        return cls(first_us, tuple(counts), bought, known)

    def pack(self) -> bytes:
        """Return the bytes that `unpack` reads."""
        head = np.array([self.first_us, *self.counts], dtype=_PACKED).tobytes()
        attributes = _ATTRIBUTES.dump_json(dict(self.attributes)) if self.attributes else b""
        return head + len(attributes).to_bytes(_LENGTH_BYTES, "big") + attributes + self.bought
