"""Recent impressions of a customer: the latest impression of each sale, mergeable in any order.

The latest impression of each sale, and of all sales the 128 that were shown last, ordered by time,
position and key. Second and position are one integer, the stamp, by which the store orders. Like
the window, merging is commutative, associative and idempotent: an impression that a part drops is
dropped by the union as well.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Self

import numpy as np
from numpy.typing import NDArray

from models.domain.units import SECOND_US

# Chosen, not measured.
SHOWN_SALES: Final = 128

_PACKED: Final = np.dtype([("key", ">u8"), ("at_s", ">u4"), ("position", ">u2")])
SHOWN_BYTES: Final = _PACKED.itemsize

STAMPS: Final = 1_000
"""Stamps of a second: the position counts up to 999, 0 where it is unknown."""

# September 2001 to February 2106: a stamp has 13 digits, which the store's scripts rely on, and a
# time in seconds fits into four bytes.
FIRST_SECOND: Final = 10**9
LAST_SECOND: Final = 2**32 - 1


@dataclass(frozen=True, slots=True, eq=False)
class RecentImpressions:
    """Recent impressions of a customer: one per sale, the latest at the end.

    Attributes:
        sale_keys: Keys of the sales, none twice, shape ``(n,)`` with ``n <= 128``.
        stamps: ``1000 * second + position`` of the last impression of each, same shape.
    """

    sale_keys: NDArray[np.uint64]
    stamps: NDArray[np.int64]

    @classmethod
    def from_events(
        cls,
        sale_keys: NDArray[np.uint64],
        at_us: NDArray[np.int64],
        *,
        positions: NDArray[np.integer],
    ) -> Self:
        """Reduce impressions in any order, with repetitions; all of shape ``(n,)``.

        See `stamps_of`.
        """
        return cls(sale_keys, stamps_of(at_us, positions)).latest()

    @classmethod
    def unpack(cls, packed: bytes) -> Self:
        """Read packed impressions, which must be in canonical order.

        Raises:
            ValueError: If the length is no multiple of 14 bytes.
        """
        if len(packed) % SHOWN_BYTES:
            msg = f"packed impressions of {len(packed)} bytes are no multiple of {SHOWN_BYTES}"
            raise ValueError(msg)
        found = np.frombuffer(packed, dtype=_PACKED)
        stamps = found["at_s"].astype(np.int64) * STAMPS + found["position"]
        return cls(found["key"].astype(np.uint64), stamps)

    @property
    def at_s(self) -> NDArray[np.int64]:
        """When each was shown last, whole seconds since the epoch, shape ``(n,)``."""
        return self.stamps // STAMPS

    @property
    def positions(self) -> NDArray[np.int64]:
        """Position at which each was shown last, from 1, 0 where unknown, shape ``(n,)``."""
        return self.stamps % STAMPS

    def pack(self) -> bytes:
        """Return the bytes that `unpack` reads: key, second and position of each, big-endian."""
        packed = np.empty(len(self), dtype=_PACKED)
        packed["key"], packed["at_s"] = self.sale_keys, self.at_s
        packed["position"] = self.positions
        return packed.tobytes()

    def merge(self, other: Self) -> Self:
        """Return the canonical form of the union: commutative, associative, idempotent."""
        return self.concatenate([self, other]).latest()

    @classmethod
    def concatenate(cls, parts: Sequence[Self]) -> Self:
        """Concatenate parts without merging them."""
        if len(parts) == 1:
            return parts[0]
        return cls(
            np.concatenate([one.sale_keys for one in parts]),
            np.concatenate([one.stamps for one in parts]),
        )

    def latest(self) -> Self:
        """Return the canonical form: the latest of each sale, ordered, the last 128."""
        by_sale = np.lexsort((self.stamps, self.sale_keys))
        sales = self.sale_keys[by_sale]
        is_latest = np.concatenate([sales[1:] != sales[:-1], np.ones(len(sales[:1]), np.bool_)])
        kept = by_sale[is_latest]
        order = np.lexsort((self.sale_keys[kept], self.stamps[kept]))
        return self.select(kept[order][-SHOWN_SALES:])

    def select(self, kept: NDArray[np.bool_] | NDArray[np.intp]) -> Self:
        """Return some of the sales, in the order given."""
        return type(self)(self.sale_keys[kept], self.stamps[kept])

    def __len__(self) -> int:
        """Return the number of sales."""
        return len(self.sale_keys)


def stamps_of(at_us: NDArray[np.int64], positions: NDArray[np.integer]) -> NDArray[np.int64]:
    """Combine times and positions into stamps, shape ``(n,)``.

    Times are rounded down to seconds and clipped to `FIRST_SECOND` and `LAST_SECOND`; positions
    are clipped to 999, and 0 where unknown.
    """
    at_s = np.clip(at_us // SECOND_US, FIRST_SECOND, LAST_SECOND)
    return at_s * STAMPS + np.clip(positions, 0, STAMPS - 1)


NOTHING_SHOWN: Final = RecentImpressions(np.empty(0, dtype=np.uint64), np.empty(0, dtype=np.int64))
"""Impressions of a customer who was shown nothing."""
