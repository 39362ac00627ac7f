"""Customer window: the latest events and impressions of a customer, mergeable in any order.

A window holds the last 128 events that are not impressions, ordered by time and then by bytes, and
the latest impressions, see `models.domain.recent_impressions`. It is a join-semilattice (a
state-based CRDT): merging is commutative, associative and idempotent. Late and repeated events
therefore need neither a list of past event ids nor a lock.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, Self

import numpy as np
from numpy.typing import NDArray

from models.domain.event import CLICK, KIND, PURCHASE, REFUND, EventType
from models.domain.recent_impressions import NOTHING_SHOWN, RecentImpressions

# Chosen, not measured; part of the schema hash.
WINDOW_EVENTS: Final = 128
# Three 64-bit integers, see `pack_member`.
MEMBER_BYTES: Final = 24

# Ten event types fit into 4 bits, which leaves 60 for the time: the year 9999 takes 58.
_KIND_BITS: Final = 4
_KIND_MASK: Final = (1 << _KIND_BITS) - 1
_PACKED: Final = np.dtype(">u8")
_COUNT_BYTES: Final = 2

# The last two bytes of the event key of a purchase or refund hold its pieces. The other 48 bits
# tell the events of one customer apart: of 128 events, two share them with probability 3e-11.
_QUANTITY_BITS: Final = 16
MOST_PIECES: Final = (1 << _QUANTITY_BITS) - 1

ALL_PIECES: Final = 0
"""Quantity of a refund of a whole purchase."""

# The last two bytes of the event key of a click that names its cover are this and the number.
_COVER_MARK: Final = 0xC0B0
_COVER_MASK: Final = 0xF
_UNMARKED: Final = 0x10


def pack_member(
    event_key: int,
    sale_key: int,
    *,
    at_us: int,
    event_type: EventType,
    quantity: int | None = None,
    cover: int | None = None,
) -> bytes:
    """Pack one event into the 24 bytes that stores and exposures keep.

    Three big-endian 64-bit integers: the event's key, the sale's key, and
    ``at_us << 4 | kind``. Members of equal time therefore sort by event key.

    Args:
        event_key: Key of the event id.
        sale_key: Key of the sale id.
        at_us: When it happened, microseconds since the epoch, not negative.
        event_type: Any type but an impression.
        quantity: Pieces of a purchase or refund, see `first_column`.
        cover: Number of the picture of a click, see `first_column`.

    Raises:
        ValueError: If the event is an impression, which windows do not hold.
    """
    if event_type is EventType.IMPRESSION:
        msg = "an impression is not part of a window"
        raise ValueError(msg)
    if event_type in {EventType.PURCHASE, EventType.REFUND}:
        least = 1 if event_type is EventType.PURCHASE else ALL_PIECES
        pieces = min(quantity or least, MOST_PIECES)
        event_key = event_key >> _QUANTITY_BITS << _QUANTITY_BITS | pieces
    elif event_type is EventType.CLICK:
        if cover is not None:
            event_key = event_key >> _QUANTITY_BITS << _QUANTITY_BITS | _COVER_MARK | cover
        elif event_key & MOST_PIECES & ~_COVER_MASK == _COVER_MARK:
            event_key ^= _UNMARKED
    stamp = at_us << _KIND_BITS | KIND[event_type]
    return b"".join(part.to_bytes(8, "big") for part in (event_key, sale_key, stamp))


@dataclass(frozen=True, slots=True, eq=False)
class Window:
    """The latest events of a customer, oldest first, and their latest impressions.

    Attributes:
        members: Event key, sale key and stamp of each event, shape ``(n, 3)``, native
            ``uint64``, ordered by (time, member bytes), no member twice, ``n <= 128``.
        shown: The latest impressions.
    """

    members: NDArray[np.uint64]
    shown: RecentImpressions

    @classmethod
    def empty(cls) -> Self:
        """Return the window of a customer without events."""
        return cls(np.empty((0, 3), dtype=np.uint64), NOTHING_SHOWN)

    @classmethod
    def from_members(
        cls, members: Iterable[bytes], shown: RecentImpressions = NOTHING_SHOWN
    ) -> Self:
        """Build the window of a set of packed members, in any order, with repetitions."""
        return cls.from_parts(b"".join(members), shown).latest()

    @classmethod
    def from_parts(cls, members: bytes, shown: RecentImpressions) -> Self:
        """Read packed events, which must be in canonical order, next to impressions.

        Raises:
            ValueError: If the length is no multiple of 24 bytes.
        """
        if len(members) % MEMBER_BYTES:
            msg = f"packed events of {len(members)} bytes are no multiple of {MEMBER_BYTES}"
            raise ValueError(msg)
        events = np.frombuffer(members, dtype=_PACKED).astype(np.uint64).reshape(-1, 3)
        return cls(events, shown)

    @classmethod
    def unpack(cls, packed: bytes) -> Self:
        """Read a packed window, whose events must be in canonical order.

        Raises:
            ValueError: If the length cannot be that of a window.
        """
        head, rest = packed[:_COUNT_BYTES], packed[_COUNT_BYTES:]
        n_bytes = int.from_bytes(head, "big") * MEMBER_BYTES
        if len(head) < _COUNT_BYTES or len(rest) < n_bytes:
            msg = f"a packed window of {len(packed)} bytes ends too early"
            raise ValueError(msg)
        return cls.from_parts(rest[:n_bytes], RecentImpressions.unpack(rest[n_bytes:]))

    def pack(self) -> bytes:
        """Return the bytes that `unpack` reads; equal windows have equal bytes."""
        return len(self).to_bytes(_COUNT_BYTES, "big") + self.pack_events() + self.shown.pack()

    def pack_events(self) -> bytes:
        """Return the packed members of the events."""
        return self.members.astype(_PACKED).tobytes()

    def merge(self, other: Self) -> Self:
        """Return the window of the union of both: commutative, associative, idempotent."""
        members = np.concatenate([self.members, other.members])
        return type(self)(members, self.shown.merge(other.shown)).latest()

    def latest(self) -> Self:
        """Return the canonical form: sorted, without repetition, the last 128 of each."""
        return type(self)(canonical_order(self.members)[-WINDOW_EVENTS:], self.shown.latest())

    @property
    def sale_keys(self) -> NDArray[np.uint64]:
        """Keys of the sales, shape ``(n,)``."""
        return self.members[:, 1]

    @property
    def quantities(self) -> NDArray[np.int64]:
        """Pieces of each purchase, at least 1, and of each refund, shape ``(n,)``."""
        return (self.members[:, 0] & np.uint64(MOST_PIECES)).astype(np.int64)

    @property
    def covers(self) -> NDArray[np.int64]:
        """Number of the picture that each event names, 0 for none, shape ``(n,)``."""
        ends = self.members[:, 0] & np.uint64(MOST_PIECES)
        is_named = (self.kinds == CLICK) & (ends & ~np.uint64(_COVER_MASK) == _COVER_MARK)
        return np.where(is_named, ends & np.uint64(_COVER_MASK), 0).astype(np.int64)

    @property
    def at_us(self) -> NDArray[np.int64]:
        """Time of each event as the client reported it, microseconds since the epoch, ``(n,)``."""
        return (self.members[:, 2] >> np.uint64(_KIND_BITS)).astype(np.int64)

    @property
    def kinds(self) -> NDArray[np.intp]:
        """Type code of each event, shape ``(n,)``; see `models.domain.event.KINDS`."""
        return (self.members[:, 2] & np.uint64(_KIND_MASK)).astype(np.intp)

    def has(self, kind: int) -> bool:
        """Return whether an event has a type code."""
        return bool((self.members[:, 2] & np.uint64(_KIND_MASK) == kind).any())

    def __len__(self) -> int:
        """Return the number of events."""
        return len(self.members)


def stamps(at_us: NDArray[np.int64], kinds: NDArray[np.integer]) -> NDArray[np.uint64]:
    """Combine times and type codes into the third column of members, shape ``(n,)``."""
    return (at_us.astype(np.uint64) << np.uint64(_KIND_BITS)) | kinds.astype(np.uint64)


def first_column(
    event_keys: NDArray[np.uint64],
    kinds: NDArray[np.integer],
    *,
    quantities: NDArray[np.integer],
    covers: NDArray[np.integer],
) -> NDArray[np.uint64]:
    """Return the first column of members: keys, pieces, covers of clicks, shape ``(n,)``.

    The last two bytes are the pieces of a purchase or refund. Of a click that names its cover they
    are 0xC0B0 and the number; a key of another click that ends so has a bit of it flipped.

    Args:
        event_keys: Keys of the event ids, shape ``(n,)``.
        kinds: Type codes, same shape.
        quantities: Pieces of purchases and refunds, at most 65,535 count, 0 where unknown, same
            shape. A purchase of unknown quantity has one piece, a refund is of the whole purchase.
        covers: Numbers of the pictures that clicks name, 0 for none, same shape.
    """
    of_pieces = (kinds == PURCHASE) | (kinds == REFUND)
    pieces = np.clip(quantities, (kinds == PURCHASE).astype(np.int64), MOST_PIECES)
    kept = event_keys & ~np.uint64(MOST_PIECES)
    firsts = np.where(of_pieces, kept | pieces.astype(np.uint64), event_keys)
    is_click, is_named = kinds == CLICK, covers > 0
    marked = kept | np.uint64(_COVER_MARK) | covers.astype(np.uint64)
    looks_marked = event_keys & np.uint64(MOST_PIECES & ~_COVER_MASK) == _COVER_MARK
    firsts = np.where(is_click & is_named, marked, firsts)
    return np.where(is_click & ~is_named & looks_marked, event_keys ^ np.uint64(_UNMARKED), firsts)


def canonical_order(members: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Sort members by (time, member bytes) and remove repetitions.

    Args:
        members: Shape ``(n, 3)``.

    Returns:
        Shape ``(m, 3)`` with ``m <= n``.
    """
    at = members[:, 2] >> np.uint64(_KIND_BITS)
    ordered = members[np.lexsort((members[:, 2], members[:, 1], members[:, 0], at))]
    if len(ordered) < 2:  # noqa: PLR2004 - a pair is what can repeat
        return ordered
    fresh = np.concatenate([[True], np.any(ordered[1:] != ordered[:-1], axis=1)])
    return ordered[fresh]
