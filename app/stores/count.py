"""Store of event counts per sale, type and time of receipt, live and loaded ones.

Scripts: ``read_counts``, ``put_counts``, ``damaged_counts``.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from hashlib import sha1
from itertools import compress
from typing import Final, NamedTuple, Self, cast

import numpy as np
from numpy.typing import NDArray

from app.errors import StoreUnavailableError
from app.observability import get_logger
from app.stores.connection import Connection, Script
from app.stores.keys import (
    DAY_S,
    HOUR_TTL_S,
    MINUTE_TTL_S,
    N_PARTITIONS,
    CustomerKeys,
    bought_in,
    counts_prefix,
    history_hour,
    partition,
)
from app.stores.numbers import whole_number
from models.catalogue.event_counts import N_KINDS
from models.domain.event import PURCHASE, REFUND
from models.domain.units import HOUR_US, SECOND_US

READ_COUNTS: Final = Script.named("read_counts")
PUT_COUNTS: Final = Script.named("put_counts")
DAMAGED_COUNTS: Final = Script.named("damaged_counts")

# Big-endian, as sale keys stand everywhere. The age is, for a refund, the hours between the count
# of its purchase and the refund; otherwise 0.
FIELD: Final = np.dtype([("sale", ">u8"), ("kind", "u1"), ("age", ">u2")])

LOADED: Final = N_PARTITIONS
"""The part of counts that holds loaded history; the others are partitions."""

KEPT_HOURS: Final = HOUR_TTL_S * SECOND_US // HOUR_US

# Minutes live for three hours: within two hours none of those that are subtracted has expired.
_CUT_WITHIN_US: Final = (MINUTE_TTL_S - 3600) * SECOND_US
_DOING: Final = "reading the counters"
_MOST: Final = 2**62  # of an hour; more does not fit into the columns

_log = get_logger(__name__)

HourCounts = Mapping[bytes, int]

_DIGEST_DIGITS: Final = 16  # as in ``append_events.lua``


class CountedPurchase(NamedTuple):
    """A purchase that counts; hours are since the epoch."""

    customer_id: str
    sale_key: int
    at_hour: int
    received_hour: int


@dataclass(frozen=True, slots=True, eq=False)
class EventCounts:
    """Events per (sale, type, hour of ``received_at``), in any order, entries may repeat.

    A refund is a purchase less, in the hour that counted it.

    Attributes:
        sale_keys: Keys of the sales, shape ``(n,)``.
        kinds: Type codes, shape ``(n,)``.
        hours: Hours since the epoch, shape ``(n,)``.
        counts: Numbers of events, shape ``(n,)``.
        parts: Where each is stored: a partition, or `LOADED` for loaded history, shape ``(n,)``.
        unread: Why parts could not be read; the counts lack them, or hold the last known ones.
    """

    sale_keys: NDArray[np.uint64]
    kinds: NDArray[np.int64]
    hours: NDArray[np.int64]
    counts: NDArray[np.int64]
    parts: NDArray[np.int64]
    unread: Mapping[int, str]

    def where(self, kept: NDArray[np.bool_]) -> Self:
        """Return the entries of a mask, shape ``(n,)``."""
        return replace(
            self,
            sale_keys=self.sale_keys[kept],
            kinds=self.kinds[kept],
            hours=self.hours[kept],
            counts=self.counts[kept],
            parts=self.parts[kept],
        )

    def join(self, *others: Self) -> Self:
        """Return the entries of this and of others, and what this one could not read."""
        each = (self, *others)
        return replace(
            self,
            sale_keys=np.concatenate([one.sale_keys for one in each]),
            kinds=np.concatenate([one.kinds for one in each]),
            hours=np.concatenate([one.hours for one in each]),
            counts=np.concatenate([one.counts for one in each]),
            parts=np.concatenate([one.parts for one in each]),
        )


@dataclass(frozen=True, slots=True)
class _Entries:
    """Entries of hashes of counts, as they are read."""

    fields: list[bytes] = field(default_factory=list[bytes])
    counts: list[int] = field(default_factory=list[int])
    hours: list[int] = field(default_factory=list[int])
    parts: list[int] = field(default_factory=list[int])

    def add(
        self, fields: Sequence[bytes], counts: Sequence[bytes | int], *, hour: int, part: int
    ) -> None:
        self.fields.extend(fields)
        self.counts.extend(_numbers(counts))
        self.hours.extend([hour] * len(fields))
        self.parts.extend([part] * len(fields))


class CountStore:
    """Event counters in Redis 7 or Valkey.

    Live events are counted where they are appended, in their customer's partition. Loaded
    history lies apart, so that loading it again replaces it; both are summed when read.
    """

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._has_warned = False

    async def since(self, hour: int, *, until_us: int) -> EventCounts:
        """Return the events received from an hour on and before a grid time, in two round trips.

        Parts that the store cannot give, as where no node of a cluster serves their slot, are left
        out and named.

        Args:
            hour: First hour wanted, since the epoch.
            until_us: A time on the grid of `models.catalogue.event_counts.GRID_US`, not after the
                store's clock. The hour that it cuts is counted up to it.

        Raises:
            ValueError: If the end is in the future, or so far back that the minutes to cut
                the hour are gone.
            StoreUnavailableError: If no part can be read.
        """
        last = (until_us - 1) // HOUR_US
        first = max(hour, last - KEPT_HOURS)
        entries, unread = _Entries(), dict[int, StoreUnavailableError]()
        live = [
            READ_COUNTS.by_sha([counts_prefix(p)], first, until_us) for p in range(N_PARTITIONS)
        ]
        replies = await self._connection.run_each(READ_COUNTS, live, doing=_DOING)
        for part, reply in enumerate(replies):
            if isinstance(reply, StoreUnavailableError):
                unread[part] = reply
                continue
            now_us, *flat = cast("list[int]", reply)
            if not now_us - _CUT_WITHIN_US <= until_us <= now_us:
                msg = f"counts until {until_us} asked at {now_us}: ask for the last grid time"
                raise ValueError(msg)
            for at, pairs in zip(flat[::2], cast("list[list[bytes]]", flat[1::2]), strict=True):
                entries.add(pairs[::2], pairs[1::2], hour=at, part=part)
        loaded = [("HGETALL", history_hour(at)) for at in range(first, last + 1)]
        replies = await self._connection.execute_each(loaded, doing=_DOING)
        for at, reply in enumerate(replies, start=first):
            if isinstance(reply, StoreUnavailableError):
                unread[LOADED] = reply
                continue
            history = cast("dict[bytes, bytes]", reply)
            entries.add([*history], [*history.values()], hour=at, part=LOADED)
        if len(unread) == N_PARTITIONS + 1:
            raise unread[LOADED]
        return self._decoded(entries, {p: str(e) for p, e in unread.items()}, until_us=until_us)

    def _decoded(
        self, entries: _Entries, unread: Mapping[int, str], *, until_us: int
    ) -> EventCounts:
        """Return entries by sale, without those that this version did not write."""
        is_own = np.fromiter((len(one) == FIELD.itemsize for one in entries.fields), dtype=bool)
        cells = np.frombuffer(b"".join(compress(entries.fields, is_own)), dtype=FIELD)
        is_refund = cells["kind"] == REFUND
        is_known = (cells["kind"] < N_KINDS) | is_refund
        # Once, not at each minute's read.
        if not (self._has_warned or (is_own.all() and is_known.all())):
            self._has_warned = True
            _log.warning(
                "counts of another version are left out: they expire within"
                f" {HOUR_TTL_S // DAY_S} days; load the newest dataset again to replace them"
            )
        received, n_events, parts = (
            np.array(column, dtype=np.int64)[is_own]
            for column in (entries.hours, entries.counts, entries.parts)
        )
        # Purchases are taken back once the hour is over, see `models.catalogue.event_counts`.
        is_running = is_refund & (received == until_us // HOUR_US)
        # The cut hour minus its later minutes is 0 for what happened in these alone.
        kept = (n_events > 0) & is_known & ~is_running
        return EventCounts(
            sale_keys=cells["sale"].astype(np.uint64)[kept],
            kinds=np.where(is_refund, PURCHASE, cells["kind"]).astype(np.int64)[kept],
            hours=(received - cells["age"].astype(np.int64))[kept],
            counts=np.where(is_refund, -n_events, n_events)[kept],
            parts=parts[kept],
            unread=unread,
        )

    async def put_history(self, history: Mapping[int, HourCounts], *, now_us: int) -> None:
        """Replace the counts of loaded history.

        Args:
            history: Counts by hour since the epoch and field; other hours lose theirs.
            now_us: The store's clock.
        """
        running = now_us // HOUR_US
        for hour in range(running - KEPT_HOURS, running + 1):
            expires_s = (hour * HOUR_US) // SECOND_US + HOUR_TTL_S
            flat = [part for pair in history.get(hour, {}).items() for part in pair]
            await self._connection.run(
                PUT_COUNTS, [history_hour(hour)], expires_s, *flat, doing="putting counts"
            )

    async def put_purchases(self, purchases: Iterable[CountedPurchase]) -> None:
        """Let refunds that still come take purchases of loaded history out of the counts."""
        counted = defaultdict[str, list[bytes | int]](list)
        for one in purchases:
            window = CustomerKeys.for_customer(one.customer_id).window.encode()
            field = one.sale_key.to_bytes(8, "big") + bytes([PURCHASE, 0, 0])
            digest = sha1(window + field, usedforsecurity=False).hexdigest()[:_DIGEST_DIGITS]
            name = bought_in(partition(one.customer_id), one.at_hour)
            counted[name] += [digest.encode(), one.received_hour]
        for name, pairs in counted.items():
            commands = [("HSET", name, *pairs), ("EXPIRE", name, HOUR_TTL_S)]
            await self._connection.execute_many(commands, doing="putting counts")

    async def first_live_us(self) -> list[int | None]:
        """Return when each partition received its first live event, None if it never did.

        What came later is counted live, and no part of a history that is loaded.
        """
        commands = [("GET", f"{counts_prefix(p)}since") for p in range(N_PARTITIONS)]
        replies = await self._connection.execute_many(commands, doing=_DOING)
        times = zip(commands, cast("list[bytes | None]", replies), strict=True)
        return [
            None if time is None else whole_number(time, command[1], doing=_DOING)
            for command, time in times
        ]

    async def damaged(self, *, now_us: int) -> list[str]:
        """Return the names of live counters that are of another type, in one round trip.

        Args:
            now_us: The store's clock.
        """
        running = now_us // HOUR_US
        calls = [
            DAMAGED_COUNTS.by_sha([counts_prefix(p)], running - KEPT_HOURS, running)
            for p in range(N_PARTITIONS)
        ]
        replies = await self._connection.run_many(DAMAGED_COUNTS, calls, doing=_DOING)
        return [name.decode() for reply in replies for name in cast("list[bytes]", reply)]


def _numbers(stored: Sequence[bytes | int]) -> list[int]:
    """Return numbers of events; what another program stored counts none."""
    try:
        numbers = [*map(int, stored)]
    except ValueError:
        numbers = [int(one) if isinstance(one, int) or one.isdigit() else 0 for one in stored]
    return [n if abs(n) < _MOST else 0 for n in numbers]
