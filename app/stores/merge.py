"""Store of merges: visitors (guests) who turned out to be a customer.

Merges are stars: any number of guests points to one customer, who points to no other. So a merge
takes no lock over two slots of a cluster, and only guests need a further round trip. Its steps:
mark the guest at the customer, redirect the guest, take what was stored of them into the customer,
and remove it from the guest. To repeat it after any of them is safe.

Scripts: ``mark_guest``, ``redirect_guest``, ``take_guest``, ``forget_guest``, ``unmark_guest``.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import reduce
from typing import Final, Self, cast

from app.errors import MergeRefusal, MergeRefusedError
from app.stores.connection import Argument, Connection, Script
from app.stores.keys import CUSTOMER_TTL_S, RECENT_TTL_S, CustomerKeys
from models.domain.customer import WINDOW_EVENTS
from models.domain.profile import Profile
from models.domain.recent_impressions import SHOWN_SALES

# Chosen: a customer who removes cookies each week has as many in two years.
MOST_GUESTS: Final = 100
# An erasure between two steps of a merge is rare, and two are no chance.
_ATTEMPTS: Final = 3
_DOING: Final = "merging customers"

MARK_GUEST: Final = Script.named("mark_guest", after=["first_event"])
REDIRECT_GUEST: Final = Script.named("redirect_guest", after=["first_event", "recent_event_keys"])
TAKE_GUEST: Final = Script.named("take_guest", after=["bounded"])
FORGET_GUEST: Final = Script.named("forget_guest", after=["recent_event_keys"])
UNMARK_GUEST: Final = Script.named("unmark_guest")

_OTHER: Final = 1
_CUSTOMER: Final = 2


@dataclass(frozen=True, slots=True)
class Merges:
    """Merges of a customer.

    Attributes:
        customer_id: Whom the others were merged into.
        first_id: Whoever of them was there first: experiments know all of them by this id.
        guests: When each guest was merged, microseconds since the epoch; 0 while it is under way.
        profiles: Packed profiles of guests whom the customer's own profile does not count yet.
    """

    customer_id: str
    first_id: str
    guests: Mapping[str, int] = field(default_factory=dict[str, int])
    profiles: Mapping[str, bytes] = field(default_factory=dict[str, bytes])

    @classmethod
    def none(cls, customer_id: str) -> Self:
        """Return the merges of a customer without merges."""
        return cls(customer_id, customer_id)

    @classmethod
    def from_reply(cls, customer_id: str, fields: Sequence[bytes]) -> Self | str | None:
        """Read the fields of a customer's merges.

        Returns:
            None for a customer without merges, and the customer's id for a guest.
        """
        if not fields:
            return None
        named = dict(zip(fields[::2], fields[1::2], strict=True))
        if b"into" in named:
            return named[b"into"].decode()
        guests = {
            name[2:].decode(): int(at_us or 0)
            for name, at_us in sorted(named.items())
            if name.startswith(b"g:")
        }
        profiles = {
            name[2:].decode(): packed
            for name, packed in sorted(named.items())
            if name.startswith(b"p:")
        }
        return cls(customer_id, named.get(b"first", b"").decode() or customer_id, guests, profiles)

    def joined_profile(self, own: Profile) -> Profile:
        """Return the customer's profile with those of the guests.

        Raises:
            ValueError: If one cannot be read.
        """
        return reduce(Profile.join, map(Profile.unpack, self.profiles.values()), own)


@dataclass(frozen=True, slots=True)
class Merge:
    """A guest who was merged into a customer.

    Attributes:
        customer_id: The customer; another one than was named if that one is a guest themselves.
        guest_id: The guest.
        merged_us: When, by the store's clock, microseconds since the epoch.
    """

    customer_id: str
    guest_id: str
    merged_us: int


class MergeStore:
    """Merges of guests into customers, in Redis 7 or Valkey."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def merge(self, guest_id: str, customer_id: str) -> Merge:
        """Merge a guest into a customer: from then on both ids are one customer.

        Windows become their union, profiles their sum, and later events and answers of the guest
        are the customer's. To repeat it changes nothing.

        Raises:
            MergeRefusedError: If both are the same id, the guest belongs to another customer or has
                guests, or the customer has too many.
            StoreUnavailableError: If the store does not answer: repeat it.
        """
        if guest_id == customer_id:
            raise MergeRefusedError(MergeRefusal.SAME_ID)
        for _ in range(_ATTEMPTS):
            into = await self._marked(guest_id, customer_id)
            if into == guest_id:  # the customer is this guest's guest: both are one already
                return await self._known(customer_id, guest_id)
            merged = await self._merged(guest_id, into)
            if merged is not None:
                return merged
        raise MergeRefusedError(MergeRefusal.CHANGED)

    async def _marked(self, guest_id: str, customer_id: str) -> str:
        """Mark a guest at a customer, or at whom that one was merged into; return whom."""
        for _ in range(_ATTEMPTS):
            of = CustomerKeys.for_customer(customer_id)
            names = [of.merges, of.window, of.shown, of.profile]
            reply = await self._run(
                MARK_GUEST, names, guest_id, customer_id, MOST_GUESTS, CUSTOMER_TTL_S
            )
            if reply == 0:
                raise MergeRefusedError(MergeRefusal.TOO_MANY)
            if not isinstance(reply, bytes):
                return customer_id
            customer_id = reply.decode()
            if customer_id == guest_id:
                return guest_id
        raise MergeRefusedError(MergeRefusal.CHANGED)

    async def _merged(self, guest_id: str, customer_id: str) -> Merge | None:
        """Redirect a marked guest, and take what is stored; None if the mark is gone."""
        of, guest = CustomerKeys.for_customer(customer_id), CustomerKeys.for_customer(guest_id)
        names = [guest.merges, guest.window, guest.shown, guest.profile, guest.recent]
        reply = await self._run(REDIRECT_GUEST, names, customer_id, CUSTOMER_TTL_S)
        status, *stored = cast("list[int]", reply)
        if status in {_OTHER, _CUSTOMER}:
            await self._run(UNMARK_GUEST, [of.merges], guest_id)
            is_other = status == _OTHER
            raise MergeRefusedError(
                MergeRefusal.OTHER_CUSTOMER if is_other else MergeRefusal.HAS_GUESTS
            )
        first_us, events, shown, profile, recent = cast(
            "tuple[bytes, list[bytes], list[bytes], bytes, list[bytes]]", tuple(stored)
        )
        reply = await self._run(
            TAKE_GUEST,
            [of.merges, of.window, of.shown, of.profile, of.recent, of.merged],
            guest_id,
            customer_id,
            WINDOW_EVENTS,
            SHOWN_SALES,
            CUSTOMER_TTL_S,
            RECENT_TTL_S,
            first_us,
            profile,
            len(events) // 2,
            len(shown) // 2,
            *events,
            *shown,
            *recent,
        )
        taken = cast("list[int]", reply)
        if not taken:
            return None
        names = [guest.merges, guest.window, guest.shown, guest.profile, guest.recent, guest.listed]
        await self._run(FORGET_GUEST, names, customer_id)
        return Merge(customer_id, guest_id, taken[0])

    async def _known(self, guest_id: str, customer_id: str) -> Merge:
        """Return a merge that took place the other way round."""
        merges = CustomerKeys.for_customer(customer_id).merges
        merged = await self._connection.execute("HGET", merges, f"g:{guest_id}", doing=_DOING)
        return Merge(customer_id, guest_id, int(cast("bytes | None", merged) or 0))

    async def _run(self, script: Script, keys: Sequence[str], *arguments: Argument) -> object:
        return await self._connection.run(script, keys, *arguments, doing=_DOING)
