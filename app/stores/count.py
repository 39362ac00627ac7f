"""Store of event counts per sale, type and time of receipt, live and loaded ones.

Scripts: ``read_counts``, ``put_counts``.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha1
from itertools import compress
from typing import Final, NamedTuple, cast

import numpy as np
from numpy.typing import NDArray

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
from models.domain.event import PURCHASE, REFUND
from models.domain.units import HOUR_US, SECOND_US

READ_COUNTS: Final = Script.named("read_counts")
PUT_COUNTS: Final = Script.named("put_counts")

# Big-endian, as sale keys stand everywhere. The age is, for a refund, the hours between the count
# of its purchase and the refund; otherwise 0.
FIELD: Final = np.dtype([("sale", ">u8"), ("kind", "u1"), ("age", ">u2")])

KEPT_HOURS: Final = HOUR_TTL_S * SECOND_US // HOUR_US

# Minutes live for three hours: within two hours none of those that are subtracted has expired.
_CUT_WITHIN_US: Final = (MINUTE_TTL_S - 3600) * SECOND_US
_DOING: Final = "reading the counters"

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
    """

    sale_keys: NDArray[np.uint64]
    kinds: NDArray[np.int64]
    hours: NDArray[np.int64]
    counts: NDArray[np.int64]


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

        Args:
            hour: First hour wanted, since the epoch.
            until_us: A time on the grid of `models.catalogue.event_counts.GRID_US`, not after the
                store's clock. The hour that it cuts is counted up to it.

        Raises:
            ValueError: If the end is in the future, or so far back that the minutes to cut
                the hour are gone.
        """
        last = (until_us - 1) // HOUR_US
        first = max(hour, last - KEPT_HOURS)
        hours, fields, counts = list[int](), list[bytes](), list[int]()
        live = [
            READ_COUNTS.by_sha([counts_prefix(p)], first, until_us) for p in range(N_PARTITIONS)
        ]
        for reply in await self._connection.run_many(READ_COUNTS, live, doing=_DOING):
            now_us, *flat = cast("list[int]", reply)
            if not now_us - _CUT_WITHIN_US <= until_us <= now_us:
                msg = f"counts until {until_us} asked at {now_us}: ask for the last grid time"
                raise ValueError(msg)
            for at, pairs in zip(flat[::2], cast("list[list[bytes]]", flat[1::2]), strict=True):
                hours += [at] * (len(pairs) // 2)
                fields += pairs[::2]
                counts += map(int, pairs[1::2])
        loaded = [("HGETALL", history_hour(at)) for at in range(first, last + 1)]
        replies = await self._connection.execute_many(loaded, doing=_DOING)
        for at, reply in enumerate(replies, start=first):
            history = cast("dict[bytes, bytes]", reply)
            hours += [at] * len(history)
            fields += history
            counts += map(int, history.values())
        is_own = np.fromiter((len(field) == FIELD.itemsize for field in fields), dtype=bool)
        # Once, not at each minute's read.
        if not (self._has_warned or is_own.all()):
            self._has_warned = True
            _log.warning(
                "counts of another version are left out: they expire within"
                f" {HOUR_TTL_S // DAY_S} days; load the newest dataset again to replace them"
            )
        return _decoded(
            np.array(hours, dtype=np.int64)[is_own],
            list(compress(fields, is_own)),
            np.array(counts, dtype=np.int64)[is_own],
            until_us=until_us,
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
        return [None if reply is None else int(cast("bytes", reply)) for reply in replies]


def _decoded(
    received: NDArray[np.int64],
    fields: Sequence[bytes],
    n_events: NDArray[np.int64],
    *,
    until_us: int,
) -> EventCounts:
    """Return counts of fields by the hour of receipt."""
    # The cut hour minus its later minutes is 0 for what happened in these alone.
    cells = np.frombuffer(b"".join(fields), dtype=FIELD)
    is_refund = cells["kind"] == REFUND
    # A refund is subtracted once its hour is over, see `models.catalogue.event_counts`.
    kept = (n_events > 0) & ~(is_refund & (received == until_us // HOUR_US))
    return EventCounts(
        sale_keys=cells["sale"].astype(np.uint64)[kept],
        kinds=np.where(is_refund, PURCHASE, cells["kind"]).astype(np.int64)[kept],
        hours=(received - cells["age"].astype(np.int64))[kept],
        counts=np.where(is_refund, -n_events, n_events)[kept],
    )
