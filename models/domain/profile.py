"""Profile: counts of a customer's events up to midnight, and what the shop knows of them."""

from dataclasses import dataclass, field
from struct import Struct
from typing import Final, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import TypeAdapter, ValidationError

from models.domain.event import KINDS, LAST_US, PURCHASE
from models.domain.purchase_history import PurchaseHistory
from models.domain.sale import AttributeValue, AttributeValues
from models.domain.units import DAY_US

PROFILE_DAYS: Final = 180
"""Days before midnight whose events count: counts of all times grow with the age of the shop."""
MONTH_DAYS: Final = 30

# Raised when the bytes get another meaning: those of before are refused, not misread.
_FORMAT: Final = 2
# The format, the time of the first event, then a count a type, of either window.
_PACKED: Final = Struct(f">Bq{2 * len(KINDS)}I")
HEAD_BYTES: Final = _PACKED.size
"""Bytes of a packed profile before its attributes and their length."""
# Length of the attributes, which follow.
_LENGTH_BYTES: Final = 4
_ATTRIBUTES: Final = TypeAdapter(dict[str, AttributeValue])


def night_floor(now_us: int) -> int:
    """Return the latest midnight in UTC that is not after ``now_us``."""
    return now_us // DAY_US * DAY_US


@dataclass(frozen=True, slots=True)
class Profile:
    """Counts of a customer's events that were received before midnight, and their attributes.

    Attributes:
        first_us: Time of the first event, microseconds since the epoch; 0 if unknown.
        counts: Number of events of the last 180 days by type code, without fully refunded
            purchases.
        bought: Packed purchases of all times by sale, the same; see
            `models.domain.purchase_history`.
        attributes: The customer's row of ``customers``: numbers, texts and flags by name.
        month: Number of events of the last 30 days, as ``counts``.
    """

    first_us: int
    counts: tuple[int, ...]
    bought: bytes = b""
    attributes: AttributeValues = field(default_factory=dict[str, AttributeValue])
    month: tuple[int, ...] = (0,) * len(KINDS)

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
        night_us: int,
    ) -> Self:
        """Count a customer's events received before midnight.

        Args:
            kinds: Type codes, shape ``(n,)``.
            at_us: When each happened, same shape.
            sale_keys: Keys of the sales, same shape.
            undone: Purchases that were fully refunded by then, which do not count, same shape.
            attributes: See `Profile`.
            night_us: That midnight, microseconds since the epoch.
        """
        paid = (kinds == PURCHASE) & ~undone
        bought = b""
        if paid.any():
            bought = PurchaseHistory.from_purchases(sale_keys[paid], at_us[paid]).pack()
        first_us = int(at_us.min()) if len(at_us) else 0
        counts, month = (
            np.bincount(kinds[~undone & (at_us >= night_us - days * DAY_US)], minlength=len(KINDS))
            for days in (PROFILE_DAYS, MONTH_DAYS)
        )
        return cls(first_us, tuple(counts.tolist()), bought, attributes, tuple(month.tolist()))

    def join(self, other: Self) -> Self:
        """Return the sum of two profiles that count different events of one customer.

        A sale that both bought was bought on the days of both. An attribute of both is the first's.
        """
        firsts = [first for first in (self.first_us, other.first_us) if first]
        bought = PurchaseHistory.unpack(self.bought).join(PurchaseHistory.unpack(other.bought))
        return type(self)(
            min(firsts, default=0),
            tuple(map(sum, zip(self.counts, other.counts, strict=True))),
            bought.pack(),
            {**other.attributes, **self.attributes},
            tuple(map(sum, zip(self.month, other.month, strict=True))),
        )

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
        end = start + int.from_bytes(packed[HEAD_BYTES:start], "big")
        attributes, bought = packed[start:end], packed[end:]
        # Here, so that damaged purchases are found where they come in.
        PurchaseHistory.check(bought)
        written, first_us, *counts = _PACKED.unpack_from(packed)
        if written != _FORMAT:
            msg = f"a packed profile of format {written}, and this software reads {_FORMAT}"
            raise ValueError(msg)
        if not 0 <= first_us <= LAST_US:
            msg = f"a packed profile begins with the time of an event, got {first_us}"
            raise ValueError(msg)
        try:
            known = _ATTRIBUTES.validate_json(attributes) if attributes else {}
        except ValidationError as exc:
            # Without the input, which describes a customer: reasons are logged.
            reason = exc.errors(include_input=False)[0]["msg"]
            msg = f"the attributes of a packed profile cannot be read: {reason}"
            raise ValueError(msg) from None
        n = len(KINDS)
        return cls(first_us, tuple(counts[:n]), bought, known, tuple(counts[n:]))

    def pack(self) -> bytes:
        """Return the bytes that `unpack` reads."""
        head = _PACKED.pack(_FORMAT, self.first_us, *self.counts, *self.month)
        attributes = _ATTRIBUTES.dump_json(dict(self.attributes)) if self.attributes else b""
        return head + len(attributes).to_bytes(_LENGTH_BYTES, "big") + attributes + self.bought
