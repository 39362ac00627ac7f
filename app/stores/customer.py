"""Store of customers: windows, profiles, and the keys of their recent events.

Scripts: ``read_customer``, ``append_events``, ``merge_customer``, ``describe_customer``,
``erase_customer``, ``apply_erasure``.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import chain
from secrets import token_hex
from typing import Final, cast

import numpy as np
from numpy.typing import NDArray

from app.bounded_log import BoundedLog
from app.errors import StoreUnavailableError
from app.settings import STREAM_BYTES
from app.stores.connection import Argument, Command, Connection, Script
from app.stores.deadline import within
from app.stores.event_arguments import append_keys, append_limits, event_arguments
from app.stores.event_outcome import OUTCOMES, EventOutcome, EventStatus
from app.stores.keys import (
    CUSTOMER_TTL_S,
    RECENT_TTL_S,
    TOMBSTONE_TTL_S,
    CustomerKeys,
)
from models.domain.customer import MEMBER_BYTES, WINDOW_EVENTS, Window
from models.domain.customer_list import CustomerList
from models.domain.event import (
    KINDS,
    LAST_US,
    Event,
)
from models.domain.profile import HEAD_BYTES, Profile
from models.domain.recent_impressions import SHOWN_SALES, RecentImpressions
from models.domain.units import MS_PER_S, SECOND_US

# Events of a customer that one call appends: no other client is served in between.
AT_ONCE: Final = 100

# A shown sale, as scripts join members and scores: see
# `models.domain.recent_impressions.FIRST_SECOND` for the 13 digits.
_SCORED: Final = np.dtype([("key", ">u8"), ("digits", "u1", 13)])
_ZERO: Final = ord("0")
_PLACES: Final = 10 ** np.arange(12, -1, -1, dtype=np.int64)

READ_CUSTOMER: Final = Script.named("read_customer", after=["joined"])
APPEND_EVENTS: Final = Script.named(
    "append_events",
    after=["tombstone", "bounded", "recent_event_keys", "counter", "stream", "refund_matching"],
)
MERGE_CUSTOMER: Final = Script.named("merge_customer", after=["tombstone", "bounded"])
DESCRIBE_CUSTOMER: Final = Script.named("describe_customer", after=["joined", "recent_event_keys"])
ERASE_CUSTOMER: Final = Script.named("erase_customer", after=["tombstone", "recent_event_keys"])
APPLY_ERASURE: Final = Script.named("apply_erasure", after=["tombstone", "recent_event_keys"])


@dataclass(frozen=True, slots=True, eq=False)
class CustomerState:
    """State of a customer: clock, window, profile and list, read in one round trip.

    Attributes:
        now_us: The store's clock in the same round trip, microseconds since the epoch:
            an acknowledged event is never later than it.
        window: The latest events, and the sales shown last; empty for an unknown customer.
        profile: Totals of older events; empty for an unknown customer.
        listed: The list of the last night, for answers without a model; empty without one.
    """

    now_us: int
    window: Window
    profile: Profile
    listed: CustomerList = field(default_factory=CustomerList.empty)


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class KnownCustomer(CustomerState):
    """All that is stored of a customer.

    Attributes:
        n_remembered: Events of the last days that are remembered by key, to count none twice.
        expires_us: When window and profile expire without a further event; None if neither is
            there.
    """

    n_remembered: int
    expires_us: int | None


@dataclass(frozen=True, slots=True)
class Erasure:
    """Result of an erasure.

    Attributes:
        erased_us: When, by the store's clock, microseconds since the epoch.
        n_events: Events of the window.
        n_shown: Sales that the customer was shown last.
        n_profiles: 1 if there was a profile, else 0.
        n_remembered: Events of the last days that were remembered by key.
    """

    erased_us: int
    n_events: int
    n_shown: int
    n_profiles: int
    n_remembered: int


@dataclass(frozen=True, slots=True, eq=False)
class LoadedCustomer:
    """A customer as read from the files of a dataset.

    Attributes:
        customer_id: The customer.
        window: The latest events, and the sales shown last.
        profile: What lies further back.
        last_us: Time of the last event of any type.
        recent: Time in microseconds and key, as a signed integer, of each event that may be sent
            again, shape ``(n, 2)``.
        keeps_totals: Whether only the attributes of a stored profile with totals are replaced.
    """

    customer_id: str
    window: Window
    profile: Profile
    last_us: int
    recent: NDArray[np.int64] = field(default_factory=lambda: np.empty((0, 2), dtype=np.int64))
    keeps_totals: bool = False


class CustomerStore:
    """Customers in Redis 7 or Valkey.

    A read is one script call, an append one call per customer, all in one round trip. Of what is
    stored of a customer, damaged parts are left out as if absent, and named in the log.
    """

    def __init__(self, connection: Connection, *, stream_bytes: int = STREAM_BYTES) -> None:
        self._connection = connection
        self._log = BoundedLog(__name__)
        self._limits = append_limits(stream_bytes)

    async def read(self, customer_id: str, *, within_s: float | None = None) -> CustomerState:
        """Read a customer in one round trip; an unknown one is empty, not an error.

        Args:
            customer_id: The customer.
            within_s: Longest wait; the connection's own if None.

        Raises:
            StoreUnavailableError: If the store is down, slow, or refuses.
            TimeoutError: If it takes longer than `within_s`.
        """
        keys = CustomerKeys.for_customer(customer_id)
        reply = await self._connection.ask(
            READ_CUSTOMER,
            [keys.window, keys.shown, keys.profile, keys.listed],
            doing="reading a customer",
            within_s=within_s,
        )
        return self._state(reply)

    async def read_each(
        self, customer_ids: Iterable[str], *, within_s: float | None = None
    ) -> dict[str, CustomerState]:
        """Read several customers in one round trip, without those that the store refuses.

        Raises:
            StoreUnavailableError: If the store is down, slow, or refuses all.
            TimeoutError: If it takes longer than `within_s`.
        """
        ids = list(dict.fromkeys(customer_ids))
        named = [CustomerKeys.for_customer(one) for one in ids]
        calls = [
            READ_CUSTOMER.by_sha([one.window, one.shown, one.profile, one.listed]) for one in named
        ]
        reading = self._connection.run_each(READ_CUSTOMER, calls, doing="reading customers")
        replies = await within(within_s, reading)
        failures = [reply for reply in replies if isinstance(reply, StoreUnavailableError)]
        if failures and len(failures) == len(replies):
            raise failures[0]
        return {
            customer_id: self._state(reply)
            for customer_id, reply in zip(ids, replies, strict=True)
            if not isinstance(reply, StoreUnavailableError)
        }

    def _state(self, reply: object) -> CustomerState:
        now_us, events, shown, profile, n_damaged, listed = cast(
            "tuple[int, bytes, bytes, bytes, int, bytes]", reply
        )
        window, total = self._readable(events, shown, profile, n_damaged=n_damaged)
        return CustomerState(now_us, window, total, self._readable_list(listed))

    async def append(self, events: Sequence[Event]) -> list[EventOutcome]:
        """Accept or refuse each event, atomically per event, in the order given.

        When this returns, every later `read` of any worker sees the accepted events. A failure
        half-way may leave earlier events accepted: to repeat the batch is safe.

        Raises:
            StoreUnavailableError: If the store takes no event; those of single customers that it
                cannot take are `EventStatus.UNAVAILABLE`.
        """
        positions: defaultdict[tuple[str, int], list[int]] = defaultdict(list)
        n_before = Counter[str]()
        for position, event in enumerate(events):
            piece = n_before[event.customer_id] // AT_ONCE
            positions[event.customer_id, piece].append(position)
            n_before[event.customer_id] += 1
        # One call a customer: each key of a script has to be in the slot of this customer.
        calls = [
            APPEND_EVENTS.by_sha(
                append_keys(CustomerKeys.for_customer(customer_id)),
                *self._limits,
                *chain.from_iterable(event_arguments(events[i]) for i in group),
            )
            for (customer_id, _), group in positions.items()
        ]
        replies = await self._connection.run_each(APPEND_EVENTS, calls, doing="appending events")
        failures = [reply for reply in replies if isinstance(reply, StoreUnavailableError)]
        if failures:
            if len(failures) == len(replies):
                raise failures[0]
            self._log.warning(
                "events of some customers are not taken: they have to be sent again",
                reason=str(failures[0]),
            )
        outcomes: dict[int, EventOutcome] = {}
        for group, reply in zip(positions.values(), replies, strict=True):
            if isinstance(reply, StoreUnavailableError):
                away = EventOutcome(EventStatus.UNAVAILABLE, reply.code, str(reply))
                outcomes.update(dict.fromkeys(group, away))
            else:
                codes = cast("list[int]", reply)
                outcomes.update(zip(group, (OUTCOMES[code] for code in codes), strict=True))
        return [outcomes[position] for position in range(len(events))]

    async def describe(self, customer_id: str) -> KnownCustomer:
        """Return all that is stored of a customer; an unknown one is empty."""
        keys = CustomerKeys.for_customer(customer_id)
        names = [keys.window, keys.shown, keys.profile, keys.recent, keys.listed]
        reply = await self._connection.run(DESCRIBE_CUSTOMER, names, doing="reading a customer")
        now_us, events, shown, profile, n_damaged, expires_ms, n_remembered, listed = cast(
            "tuple[int, bytes, bytes, bytes, int, int, int, bytes]", reply
        )
        window, total = self._readable(events, shown, profile, n_damaged=n_damaged)
        return KnownCustomer(
            now_us=now_us,
            window=window,
            profile=total,
            listed=self._readable_list(listed),
            n_remembered=n_remembered,
            expires_us=expires_ms * (SECOND_US // MS_PER_S) if expires_ms > 0 else None,
        )

    async def erase(self, customer_id: str) -> Erasure:
        """Erase a customer, atomically, and log the erasure.

        Events with ``at`` up to that moment are answered `EventStatus.ERASED` from then on,
        later ones start a new customer. To repeat it is safe.
        """
        keys = CustomerKeys.for_customer(customer_id)
        names = [
            keys.window,
            keys.shown,
            keys.profile,
            keys.recent,
            keys.erased,
            keys.erasures,
            keys.listed,
        ]
        # The secret counts only if the partition has none: scripts cannot make random bytes.
        arguments = (token_hex(), TOMBSTONE_TTL_S, customer_id)
        reply = await self._connection.run(
            ERASE_CUSTOMER, names, *arguments, doing="erasing a customer"
        )
        return Erasure(*cast("tuple[int, int, int, int, int]", tuple(cast("list[int]", reply))))

    async def erase_again(self, erasures: Sequence[tuple[str, int]]) -> list[tuple[int, int, int]]:
        """Erase customers as of earlier moments, in a store that was restored from before.

        Args:
            erasures: Customers, and when each was erased, microseconds since the epoch.

        Returns:
            How many events, sales shown and profiles of each went.
        """
        calls: list[Command] = []
        for customer_id, erased_us in erasures:
            of = CustomerKeys.for_customer(customer_id)
            names = [of.window, of.shown, of.profile, of.recent, of.erased, of.erasures, of.listed]
            arguments = (token_hex(), TOMBSTONE_TTL_S, customer_id, erased_us)
            calls.append(APPLY_ERASURE.by_sha(names, *arguments))
        replies = await self._connection.run_many(APPLY_ERASURE, calls, doing="applying erasures")
        return [cast("tuple[int, int, int]", tuple(cast("list[int]", one))) for one in replies]

    async def merge(self, customers: Sequence[LoadedCustomer]) -> int:
        """Merge windows from files into those of the store, and replace profiles or attributes.

        A window is the union of both sides, so that merging again changes nothing.

        Returns:
            The number of events that were left out, because their customers were erased.
        """
        calls: list[Command] = []
        for customer in customers:
            of, window = CustomerKeys.for_customer(customer.customer_id), customer.window
            packed = window.pack_events()
            members = [packed[i : i + MEMBER_BYTES] for i in range(0, len(packed), MEMBER_BYTES)]
            sales = [sale_key.to_bytes(8, "big") for sale_key in window.shown.sale_keys.tolist()]
            calls.append(
                MERGE_CUSTOMER.by_sha(
                    [of.window, of.shown, of.profile, of.recent, of.erased],
                    WINDOW_EVENTS,
                    SHOWN_SALES,
                    customer.last_us // SECOND_US + CUSTOMER_TTL_S,
                    b"" if customer.profile == Profile.empty() else customer.profile.pack(),
                    customer.profile.first_us,
                    RECENT_TTL_S,
                    len(members),
                    len(sales),
                    HEAD_BYTES if customer.keeps_totals else 0,
                    *_scored(window.at_us, members),
                    *_scored(window.shown.stamps, sales),
                    *customer.recent.ravel().tolist(),
                )
            )
        replies = await self._connection.run_many(MERGE_CUSTOMER, calls, doing="loading customers")
        return sum(cast("list[int]", replies))

    def _readable_list(self, packed: bytes) -> CustomerList:
        try:
            return CustomerList.unpack(packed)
        except ValueError as exc:
            left_out = "the damaged list of a customer is left out: load lists again"
            self._log.warning(left_out, reason=str(exc))
            return CustomerList.empty()

    def _readable(
        self, events: bytes, shown: bytes, profile: bytes, *, n_damaged: int
    ) -> tuple[Window, Profile]:
        """Read window and profile, without what is damaged."""
        window, total, reason = Window.from_parts(events, _shown(shown)), Profile.empty(), ""
        is_event = (window.kinds < len(KINDS)) & (window.at_us <= LAST_US)
        if not is_event.all():
            n_damaged += int((~is_event).sum())
            window = replace(window, members=window.members[is_event])
        try:
            total = Profile.unpack(profile)
        except ValueError as exc:
            reason = str(exc)
        if n_damaged or reason:
            self._log.warning(
                "damaged parts of a stored customer are left out: another program wrote them, and"
                " they go with the erasure of the customer",
                n_members=n_damaged,
                profile=reason or "whole",
            )
        return window, total


def _shown(scored: bytes) -> RecentImpressions:
    found = np.frombuffer(scored, dtype=_SCORED)
    # Of 128 stamps NumPy's own reading of text takes 15 µs, and this one 3 (2026-11-30).
    stamps = (found["digits"] - np.uint8(_ZERO)) @ _PLACES
    return RecentImpressions(found["key"].astype(np.uint64), stamps)


def _scored(scores: NDArray[np.int64], members: Sequence[bytes]) -> Iterator[Argument]:
    return chain.from_iterable(zip(scores.tolist(), members, strict=True))
