"""State of a customer, as the store's replies say: window, profile, list and merges."""

from dataclasses import dataclass, field, replace
from typing import Final

import numpy as np

from app.bounded_log import BoundedLog
from app.stores.merge import Merges
from models.domain.customer import Window
from models.domain.customer_list import CustomerList
from models.domain.event import KINDS, LAST_US
from models.domain.profile import Profile
from models.domain.recent_impressions import RecentImpressions

# A shown sale, as scripts join members and scores: see
# `models.domain.recent_impressions.FIRST_SECOND` for the 13 digits.
_SCORED: Final = np.dtype([("key", ">u8"), ("digits", "u1", 13)])
_ZERO: Final = ord("0")
_PLACES: Final = 10 ** np.arange(12, -1, -1, dtype=np.int64)


@dataclass(frozen=True, slots=True, eq=False)
class CustomerState:
    """State of a customer: clock, window, profile and list, read in one round trip.

    Attributes:
        now_us: The store's clock in the same round trip, microseconds since the epoch:
            an acknowledged event is never later than it.
        window: The latest events, and the sales shown last; empty for an unknown customer.
        profile: Totals of older events; empty for an unknown customer.
        listed: The list of the last night, for answers without a model; empty without one.
        merges: The guests who were merged into the customer; None without any.
    """

    now_us: int
    window: Window
    profile: Profile
    listed: CustomerList = field(default_factory=CustomerList.empty)
    merges: Merges | None = None


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
class StateReader:
    """Reads replies of the store; what is damaged is left out, and named in a log."""

    log: BoundedLog

    def listed(self, packed: bytes) -> CustomerList:
        """Read a packed list, empty if it is damaged."""
        try:
            return CustomerList.unpack(packed)
        except ValueError as exc:
            left_out = "the damaged list of a customer is left out: load lists again"
            self.log.warning(left_out, reason=str(exc))
            return CustomerList.empty()

    def parts(
        self, events: bytes, shown: bytes, *, profile: bytes, n_damaged: int, merges: Merges | None
    ) -> tuple[Window, Profile]:
        """Read window and profile, with those of guests, and without what is damaged."""
        window, total, reason = Window.from_parts(events, _shown(shown)), Profile.empty(), ""
        is_event = (window.kinds < len(KINDS)) & (window.at_us <= LAST_US)
        if not is_event.all():
            n_damaged += int((~is_event).sum())
            window = replace(window, members=window.members[is_event])
        try:
            total = Profile.unpack(profile)
            if merges is not None:
                total = merges.joined_profile(total)
        except ValueError as exc:
            reason = str(exc)
        if n_damaged or reason:
            self.log.warning(
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
