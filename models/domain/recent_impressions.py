"""Recent impressions of a customer: the latest impression of each sale, mergeable in any order.

The latest impression of each sale, and of all sales the 128 that were shown last, ordered by time
and then by key. Like the window, merging is commutative, associative and idempotent: an impression
that a part drops is dropped by the union as well.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Self

import numpy as np
from numpy.typing import NDArray

from models.domain.units import SECOND_US

# Chosen, not measured.
SHOWN_SALES: Final = 128

_PACKED: Final = np.dtype([("key", ">u8"), ("at_s", ">u4")])
SHOWN_BYTES: Final = _PACKED.itemsize

# September 2001 to February 2106: a time in seconds has ten digits, which the
# store's scripts rely on, and fits into four bytes.
FIRST_SECOND: Final = 10**9
LAST_SECOND: Final = 2**32 - 1


@dataclass(frozen=True, slots=True, eq=False)
class RecentImpressions:
    """Recent impressions of a customer: one per sale, the latest at the end.

    Attributes:
        sale_keys: Keys of the sales, none twice, shape ``(n,)`` with ``n <= 128``.
        at_s: When each was shown last, whole seconds since the epoch, same shape.
    """

    sale_keys: NDArray[np.uint64]
    at_s: NDArray[np.int64]

    @classmethod
    def from_events(cls, sale_keys: NDArray[np.uint64], at_us: NDArray[np.int64]) -> Self:
        """Reduce impressions in any order, with repetitions; both of shape ``(n,)``.

        Times are rounded down to seconds and clipped to `FIRST_SECOND` and `LAST_SECOND`.
        """
        return cls(sale_keys, seconds(at_us)).latest()

    @classmethod
    def unpack(cls, packed: bytes) -> Self:
        """Read packed impressions, which must be in canonical order.

        Raises:
            ValueError: If the length is no multiple of 12 bytes.
        """
        if len(packed) % SHOWN_BYTES:
            msg = f"packed impressions of {len(packed)} bytes are no multiple of {SHOWN_BYTES}"
            raise ValueError(msg)
        found = np.frombuffer(packed, dtype=_PACKED)
        return cls(found["key"].astype(np.uint64), found["at_s"].astype(np.int64))

    def pack(self) -> bytes:
        """Return the bytes that `unpack` reads: key and second of each, big-endian."""
        packed = np.empty(len(self), dtype=_PACKED)
        packed["key"], packed["at_s"] = self.sale_keys, self.at_s
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
            np.concatenate([one.at_s for one in parts]),
        )

    def latest(self) -> Self:
        """Return the canonical form: the latest of each sale, ordered, the last 128."""
        by_sale = np.lexsort((self.at_s, self.sale_keys))
        sales = self.sale_keys[by_sale]
        is_latest = np.concatenate([sales[1:] != sales[:-1], np.ones(len(sales[:1]), np.bool_)])
        kept = by_sale[is_latest]
        order = np.lexsort((self.sale_keys[kept], self.at_s[kept]))
        return self.select(kept[order][-SHOWN_SALES:])

    def select(self, kept: NDArray[np.bool_] | NDArray[np.intp]) -> Self:
        """Return some of the sales, in the order given."""
        return type(self)(self.sale_keys[kept], self.at_s[kept])

    def __len__(self) -> int:
        """Return the number of sales."""
        return len(self.sale_keys)


def seconds(at_us: NDArray[np.int64]) -> NDArray[np.int64]:
    """Round times down to whole seconds, clipped to `FIRST_SECOND` and `LAST_SECOND`."""
    return np.clip(at_us // SECOND_US, FIRST_SECOND, LAST_SECOND)


NOTHING_SHOWN: Final = RecentImpressions(np.empty(0, dtype=np.uint64), np.empty(0, dtype=np.int64))
"""Impressions of a customer who was shown nothing."""
