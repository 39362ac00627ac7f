"""What a customer was shown: the latest sales and when, which is a join-semilattice.

Of every sale the latest impression, and of all sales the 128 that were shown last, ordered by
time and then by key. Like the window this depends on no order, repetition or split of the
impressions: whatever a part of them leaves out, all of them leave out as well.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Self

import numpy as np
from numpy.typing import NDArray

from models.domain.event import SECOND_US

SHOWN_SALES: Final = 128

_PACKED: Final = np.dtype([("key", ">u8"), ("at_s", ">u4")])
SHOWN_BYTES: Final = _PACKED.itemsize

FIRST_SECOND: Final = 10**9
LAST_SECOND: Final = 2**32 - 1
"""Between these, of September 2001 and February 2106, a time has ten digits and four bytes."""


@dataclass(frozen=True, slots=True, eq=False)
class RecentImpressions:
    """The sales that a customer was shown last, the latest at the end.

    Attributes:
        sale_keys: Keys of the sales, none twice, shape ``(n,)`` with ``n <= 128``.
        at_s: When each was shown last, whole seconds since the epoch, same shape.
    """

    sale_keys: NDArray[np.uint64]
    at_s: NDArray[np.int64]

    @classmethod
    def of(cls, sale_keys: NDArray[np.uint64], at_us: NDArray[np.int64]) -> Self:
        """Take impressions in any order, with repetitions; both of shape ``(n,)``.

        Times are rounded down to seconds; earlier and later ones count as `FIRST_SECOND` and
        `LAST_SECOND`.
        """
        return cls(sale_keys, seconds(at_us)).latest()

    @classmethod
    def unpack(cls, packed: bytes) -> Self:
        """Read packed impressions, trusting their order.

        Raises:
            ValueError: If the length is no multiple of 12 bytes.
        """
        if len(packed) % SHOWN_BYTES:
            msg = f"what was shown takes {len(packed)} bytes, no multiple of {SHOWN_BYTES}"
            raise ValueError(msg)
        found = np.frombuffer(packed, dtype=_PACKED)
        return cls(found["key"].astype(np.uint64), found["at_s"].astype(np.int64))

    def pack(self) -> bytes:
        """Return the bytes that `unpack` reads: key and second of each, big-endian."""
        packed = np.empty(len(self), dtype=_PACKED)
        packed["key"], packed["at_s"] = self.sale_keys, self.at_s
        return packed.tobytes()

    def merge(self, other: Self) -> Self:
        """Return what is left of the union of both: commutative, associative, idempotent."""
        return self.together([self, other]).latest()

    @classmethod
    def together(cls, parts: Sequence[Self]) -> Self:
        """Put parts one after the other, not merged."""
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
    """Return the seconds that stand for times in microseconds; see `RecentImpressions.of`."""
    return np.clip(at_us // SECOND_US, FIRST_SECOND, LAST_SECOND)


NOTHING_SHOWN: Final = RecentImpressions(np.empty(0, dtype=np.uint64), np.empty(0, dtype=np.int64))
"""Of a customer who was shown nothing yet."""
