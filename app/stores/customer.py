"""Store of customers: windows, profiles, and the keys of their recent events.

Scripts: ``read_customer``, ``append_events``, ``merge_customer``, ``describe_customer``,
``erase_customer``, ``apply_erasure``.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import chain
from secrets import token_hex
from time import monotonic
from typing import Final, Self, cast

import numpy as np
from numpy.typing import NDArray

from app.bounded_log import BoundedLog
from app.errors import MergingError, StoreUnavailableError
from app.settings import STREAM_BYTES
from app.stores.connection import Argument, Command, Connection, Script
from app.stores.customer_state import CustomerState, KnownCustomer, StateReader
from app.stores.deadline import within
from app.stores.event_arguments import append_keys, append_limits, event_arguments
from app.stores.event_outcome import OUTCOMES, EventOutcome, EventStatus
from app.stores.keys import (
    CUSTOMER_TTL_S,
    RECENT_TTL_S,
    TOMBSTONE_TTL_S,
    CustomerKeys,
)
from app.stores.merge import Merges
from models.domain.customer import MEMBER_BYTES, WINDOW_EVENTS, Window
from models.domain.event import Event, to_us
from models.domain.profile import HEAD_BYTES, Profile
from models.domain.recent_impressions import SHOWN_SALES
from models.domain.units import MS_PER_S, SECOND_US

# Events of a customer that one call appends: no other client is served in between.
AT_ONCE: Final = 100

# A guest points to a customer, who points to no other; one more, as merges may be under way.
MOST_HOPS: Final = 3

READ_CUSTOMER: Final = Script.named("read_customer", after=["joined"])
APPEND_EVENTS: Final = Script.named(
    "append_events",
    after=["tombstone", "bounded", "recent_event_keys", "counter", "stream", "refund_matching"],
)
MERGE_CUSTOMER: Final = Script.named("merge_customer", after=["tombstone", "bounded"])
DESCRIBE_CUSTOMER: Final = Script.named("describe_customer", after=["joined", "recent_event_keys"])
ERASE_CUSTOMER: Final = Script.named("erase_customer", after=["tombstone", "recent_event_keys"])
APPLY_ERASURE: Final = Script.named("apply_erasure", after=["tombstone", "recent_event_keys"])


@dataclass(frozen=True, slots=True)
class Erasure:
    """Result of an erasure.

    Attributes:
        erased_us: When, by the store's clock, microseconds since the epoch.
        n_events: Events of the window.
        n_shown: Sales that the customer was shown last.
        n_profiles: 1 if there was a profile, else 0.
        n_remembered: Events of the last days that were remembered by key.
        others: Ids that were one customer with the erased one, and went with it.
    """

    erased_us: int
    n_events: int
    n_shown: int
    n_profiles: int
    n_remembered: int
    others: tuple[str, ...] = ()

    @classmethod
    def total(cls, erasures: Sequence[Self], others: Iterable[str]) -> Self:
        """Sum the erasures of all ids of one customer, of which the last one was asked for."""
        columns = zip(*map(_counts, erasures), strict=True)
        return cls(erasures[-1].erased_us, *map(sum, columns), others=tuple(others))


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
        guests: Guests whose events the profile counts.
    """

    customer_id: str
    window: Window
    profile: Profile
    last_us: int
    recent: NDArray[np.int64] = field(default_factory=lambda: np.empty((0, 2), dtype=np.int64))
    keeps_totals: bool = False
    guests: tuple[str, ...] = ()


class CustomerStore:
    """Customers in Redis 7 or Valkey.

    A read is one script call, an append one call per customer, all in one round trip. Of what is
    stored of a customer, damaged parts are left out as if absent, and named in the log.
    """

    def __init__(self, connection: Connection, *, stream_bytes: int = STREAM_BYTES) -> None:
        self._connection = connection
        self._log = BoundedLog(__name__)
        self._reader = StateReader(self._log)
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
        asked = customer_id
        ends_s = None if within_s is None else monotonic() + within_s
        for _ in range(MOST_HOPS):
            reply = await self._connection.ask(
                READ_CUSTOMER,
                _read_keys(asked),
                doing="reading a customer",
                within_s=None if ends_s is None else max(ends_s - monotonic(), 0.0),
            )
            state = self._state(asked, reply, is_redirected=asked != customer_id)
            if not isinstance(state, str):
                return state
            asked = state
        raise MergingError

    async def read_each(
        self, customer_ids: Iterable[str], *, within_s: float | None = None
    ) -> dict[str, CustomerState]:
        """Read several customers in one round trip, without those that the store refuses.

        Raises:
            StoreUnavailableError: If the store is down, slow, or refuses all.
            TimeoutError: If it takes longer than `within_s`.
        """
        return await within(within_s, self._read_each(list(dict.fromkeys(customer_ids))))

    async def _read_each(self, customer_ids: Sequence[str]) -> dict[str, CustomerState]:
        asked = {customer_id: customer_id for customer_id in customer_ids}
        found: dict[str, CustomerState] = {}
        for _ in range(MOST_HOPS):
            calls = [READ_CUSTOMER.by_sha(_read_keys(one)) for one in asked.values()]
            replies = await self._connection.run_each(
                READ_CUSTOMER, calls, doing="reading customers"
            )
            failures = [reply for reply in replies if isinstance(reply, StoreUnavailableError)]
            if failures and len(failures) == len(replies):
                raise failures[0]
            redirected: dict[str, str] = {}
            for (customer_id, one), reply in zip(asked.items(), replies, strict=True):
                if isinstance(reply, StoreUnavailableError):
                    continue
                state = self._state(one, reply, is_redirected=one != customer_id)
                if isinstance(state, str):
                    redirected[customer_id] = state
                else:
                    found[customer_id] = state
            if not redirected:
                break
            asked = redirected
        return found

    def _state(
        self, customer_id: str, reply: object, *, is_redirected: bool
    ) -> CustomerState | str:
        """Return the state of a customer, or whom they were merged into."""
        now_us, events, shown, profile, n_damaged, listed, fields = cast(
            "tuple[int, bytes, bytes, bytes, int, bytes, list[bytes]]", reply
        )
        merges = Merges.from_reply(customer_id, fields)
        if isinstance(merges, str):
            return merges
        if merges is None and is_redirected:
            merges = Merges.none(customer_id)
        window, total = self._reader.parts(
            events, shown, profile=profile, n_damaged=n_damaged, merges=merges
        )
        return CustomerState(now_us, window, total, self._reader.listed(listed), merges)

    async def append(self, events: Sequence[Event]) -> list[EventOutcome]:
        """Accept or refuse each event, atomically per event, in the order given.

        When this returns, every later `read` of any worker sees the accepted events. A failure
        half-way may leave earlier events accepted: to repeat the batch is safe.

        Raises:
            StoreUnavailableError: If the store takes no event; those of single customers that it
                cannot take are `EventStatus.UNAVAILABLE`.
        """
        outcomes = await self._append(events)
        for _ in range(MOST_HOPS):
            moved = [place for place, one in enumerate(outcomes) if isinstance(one, str)]
            if not moved:
                break
            theirs = [
                events[place].model_copy(update={"customer_id": outcomes[place]}) for place in moved
            ]
            for place, one in zip(moved, await self._append(theirs), strict=True):
                outcomes[place] = one
        away = EventOutcome(EventStatus.UNAVAILABLE, MergingError.code, str(MergingError()))
        return [away if isinstance(one, str) else one for one in outcomes]

    async def _append(self, events: Sequence[Event]) -> list[EventOutcome | str]:
        """Append events; where a guest was merged into a customer, return the customer's id."""
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
        outcomes: dict[int, EventOutcome | str] = {}
        for group, reply in zip(positions.values(), replies, strict=True):
            if isinstance(reply, StoreUnavailableError):
                away = EventOutcome(EventStatus.UNAVAILABLE, reply.code, str(reply))
                outcomes.update(dict.fromkeys(group, away))
            else:
                outcomes.update(
                    zip(group, _outcomes(reply, [events[i] for i in group]), strict=True)
                )
        return [outcomes[position] for position in range(len(events))]

    async def describe(self, customer_id: str) -> KnownCustomer:
        """Return all that is stored of a customer; an unknown one is empty."""
        asked = customer_id
        for _ in range(MOST_HOPS):
            of = CustomerKeys.for_customer(asked)
            names = [of.window, of.shown, of.profile, of.recent, of.listed, of.merges]
            reply = await self._connection.run(DESCRIBE_CUSTOMER, names, doing="reading a customer")
            *parts, expires_ms, n_remembered, listed, fields = cast("list[object]", reply)
            state = self._state(asked, [*parts, listed, fields], is_redirected=asked != customer_id)
            if not isinstance(state, str):
                return KnownCustomer(
                    state.now_us,
                    state.window,
                    state.profile,
                    state.listed,
                    state.merges,
                    n_remembered=cast("int", n_remembered),
                    expires_us=_expiry_us(cast("int", expires_ms)),
                )
            asked = state
        raise MergingError

    async def erase(self, customer_id: str) -> Erasure:
        """Erase a customer, atomically, and log the erasure.

        Events with ``at`` up to that moment are answered `EventStatus.ERASED` from then on,
        later ones start a new customer. To repeat it is safe.
        """
        found = await self._erase(customer_id, is_known=False)
        if isinstance(found, Erasure):
            return found
        root = customer_id
        if isinstance(found, str):
            root = found
            key = CustomerKeys.for_customer(root).merges
            reply = await self._connection.execute("HGETALL", key, doing="erasing a customer")
            fields = cast("dict[bytes, bytes]", reply)
            found = Merges.from_reply(root, [*chain.from_iterable(fields.items())])
        guests = found.guests if isinstance(found, Merges) else ()
        # Last the one that was asked for: repeated after a failure, it still leads to the others.
        others = [one for one in (*guests, root) if one != customer_id]
        erased = [await self._erase(one, is_known=True) for one in (*others, customer_id)]
        return Erasure.total([one for one in erased if isinstance(one, Erasure)], others)

    async def _erase(self, customer_id: str, *, is_known: bool) -> Erasure | Merges | str | None:
        """Erase one id, or return its merges where they are not known."""
        # The secret counts only if the partition has none: scripts cannot make random bytes.
        arguments = (token_hex(), TOMBSTONE_TTL_S, customer_id, int(is_known))
        names = _erasure_keys(customer_id)
        reply = await self._connection.run(
            ERASE_CUSTOMER, names, *arguments, doing="erasing a customer"
        )
        found = cast("list[int] | list[bytes]", reply)
        if isinstance(found[0], bytes):
            return Merges.from_reply(customer_id, cast("list[bytes]", found))
        return Erasure(*cast("tuple[int, int, int, int, int]", tuple(found)))

    async def erase_again(self, erasures: Sequence[tuple[str, int]]) -> list[tuple[int, int, int]]:
        """Erase customers as of earlier moments, in a store that was restored from before.

        Args:
            erasures: Customers, and when each was erased, microseconds since the epoch.

        Returns:
            How many events, sales shown and profiles of each went.
        """
        calls: list[Command] = []
        for customer_id, erased_us in erasures:
            arguments = (token_hex(), TOMBSTONE_TTL_S, customer_id, erased_us)
            calls.append(APPLY_ERASURE.by_sha(_erasure_keys(customer_id), *arguments))
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
                    [of.window, of.shown, of.profile, of.recent, of.erased, of.merges],
                    WINDOW_EVENTS,
                    SHOWN_SALES,
                    customer.last_us // SECOND_US + CUSTOMER_TTL_S,
                    b"" if customer.profile == Profile.empty() else customer.profile.pack(),
                    customer.profile.first_us,
                    RECENT_TTL_S,
                    len(members),
                    len(sales),
                    HEAD_BYTES if customer.keeps_totals else 0,
                    len(customer.guests),
                    *customer.guests,
                    *_scored(window.at_us, members),
                    *_scored(window.shown.stamps, sales),
                    *customer.recent.ravel().tolist(),
                )
            )
        replies = await self._connection.run_many(MERGE_CUSTOMER, calls, doing="loading customers")
        return sum(cast("list[int]", replies))


def _scored(scores: NDArray[np.int64], members: Sequence[bytes]) -> Iterator[Argument]:
    return chain.from_iterable(zip(scores.tolist(), members, strict=True))


def _outcomes(reply: object, events: Sequence[Event]) -> list[EventOutcome | str]:
    """Read the reply of ``append_events.lua``."""
    first, *others = cast("list[int | bytes]", reply)
    if isinstance(first, bytes):
        # What a guest had erased before the merge does not come back as the customer's.
        erased_us, into = int(others[0]), first.decode()
        erased = EventOutcome(EventStatus.ERASED)
        return [erased if to_us(event.at) <= erased_us else into for event in events]
    return [OUTCOMES[code] for code in cast("list[int]", [first, *others])]


def _read_keys(customer_id: str) -> list[str]:
    of = CustomerKeys.for_customer(customer_id)
    return [of.window, of.shown, of.profile, of.listed, of.merges]


def _erasure_keys(customer_id: str) -> list[str]:
    of = CustomerKeys.for_customer(customer_id)
    first = [of.window, of.shown, of.profile, of.recent, of.erased]
    return [*first, of.erasures, of.listed, of.merges]


def _expiry_us(expires_ms: int) -> int | None:
    return expires_ms * (SECOND_US // MS_PER_S) if expires_ms > 0 else None


def _counts(erasure: Erasure) -> tuple[int, int, int, int]:
    return erasure.n_events, erasure.n_shown, erasure.n_profiles, erasure.n_remembered
