"""Customer routes: stored window and profile, merges, and erasure."""

from collections.abc import Iterator
from datetime import date, datetime
from typing import Annotated, Final

import numpy as np
from fastapi import APIRouter, Path, Request
from numpy.typing import NDArray
from pydantic import BaseModel, Field
from pydantic.config import JsonDict

from app.api.dependencies import ResourcesDep
from app.api.middleware.audit import changed
from app.api.middleware.encoded_slashes import PathIdentifier
from app.api.schema.body import body_of, described, example
from app.api.schema.problem import problems
from app.catalogue.catalogue_version import CatalogueVersion
from app.stores.deadline import answered_within
from app.stores.merge import Merges
from models.domain.customer import Window
from models.domain.event import KINDS, EventType, Identifier, from_us
from models.domain.profile import Profile
from models.domain.purchase_history import PurchaseHistory
from models.domain.sale import AttributeValue
from models.domain.units import DAY_US, SECOND_US

router = APIRouter(prefix="/v1/customers", tags=["customers"])

_EVENT: Final[JsonDict] = {
    "type": "click",
    "sale_id": "s-31",
    "sale_key": "0c4a9b5d2e6f7a81",
    "at": "2026-11-22T18:04:05.123456Z",
    "cover": 2,
}
_SHOWN: Final[JsonDict] = {
    "sale_id": "s-31",
    "sale_key": "0c4a9b5d2e6f7a81",
    "at": "2026-11-22T18:03:58Z",
    "position": 3,
}
_BOUGHT: Final[JsonDict] = {
    "sale_id": "s-12",
    "sale_key": "5d2e6f7a810c4a9b",
    "days": 2,
    "first_on": "2026-02-01",
    "last_on": "2026-03-14",
}
_PROFILE: Final[JsonDict] = {
    "first_at": "2026-02-01T08:30:00Z",
    "counts": {"impression": 120, "view": 9, "click": 14, "cart": 2, "purchase": 2},
    "month": {"impression": 30, "view": 2, "click": 3},
    "bought": [_BOUGHT],
    "attributes": {"age": 41.0, "tier": "gold"},
}
_GUEST: Final[JsonDict] = {"guest_id": "v-77", "merged_at": "2026-11-22T18:05:00.000042Z"}
_KNOWN: Final[JsonDict] = {
    "customer_id": "c-1842",
    "events": [_EVENT],
    "shown": [_SHOWN],
    "profile": _PROFILE,
    "listed": ["s-31", "s-12"],
    "guests": [_GUEST],
    "remembered": 3,
    "expires_at": "2027-12-27T18:04:05Z",
}
_ERASED: Final[JsonDict] = {
    "customer_id": "c-1842",
    "erased_at": "2026-11-24T09:30:00.000123Z",
    "events": 1,
    "shown": 1,
    "profile": True,
    "remembered": 3,
    "others": ["v-77"],
}
_MERGE: Final[JsonDict] = {"guest_id": "v-77"}
_MERGED: Final[JsonDict] = {"customer_id": "c-1842", **_GUEST}


class KnownEvent(BaseModel):
    """One event of a customer's window."""

    model_config = example(_EVENT)

    type: EventType
    sale_id: str | None = Field(description="Null for a sale that the catalogue does not know.")
    sale_key: str = Field(description="The sale's key in the window, hexadecimal.")
    at: datetime = Field(description="When it happened, as the client said.")
    cover: int | None = Field(description="Of a click: number of the picture, if it was sent.")


class KnownImpression(BaseModel):
    """A sale that a customer was shown, and when last."""

    model_config = example(_SHOWN)

    sale_id: str | None = Field(description="Null for a sale that the catalogue does not know.")
    sale_key: str = Field(description="The sale's key, hexadecimal.")
    at: datetime = Field(description="When it was shown last, to the second.")
    position: int | None = Field(description="Where it stood then, up to 999; null if unknown.")


class KnownPurchase(BaseModel):
    """A sale that a customer bought before the last night."""

    model_config = example(_BOUGHT)

    sale_id: str | None = Field(description="Null for a sale that the catalogue does not know.")
    sale_key: str = Field(description="The sale's key, hexadecimal.")
    days: int = Field(ge=1, description="Days (UTC) on which it was bought.")
    first_on: date = Field(description="The first of them.")
    last_on: date = Field(description="The last of them.")


class KnownProfile(BaseModel):
    """Counts of the events before the last night, and attributes."""

    model_config = example(_PROFILE)

    first_at: datetime | None = Field(description="The customer's first event; null without one.")
    counts: dict[EventType, int] = Field(description="Events of 180 days by type.")
    month: dict[EventType, int] = Field(description="Events of the last 30 of them by type.")
    bought: list[KnownPurchase] = Field(description="Sales bought last, by key; at most 256.")
    attributes: dict[str, AttributeValue] = Field(
        description="Columns of the shop's table of customers that models can learn from."
    )


class KnownGuest(BaseModel):
    """A visitor who turned out to be the customer."""

    model_config = example(_GUEST)

    guest_id: str
    merged_at: datetime | None = Field(description="Null while the merge is under way.")


class CustomerAnswer(BaseModel):
    """All that the service stores of a customer to make answers."""

    model_config = example(_KNOWN)

    customer_id: str = Field(description="Of a guest, the customer whom they were merged into.")
    events: list[KnownEvent] = Field(description="The latest events, oldest first; at most 128.")
    shown: list[KnownImpression] = Field(
        description="Sales that the customer was shown last, the latest at the end; at most 128."
    )
    profile: KnownProfile | None = Field(description="Null before the first nightly profile.")
    listed: list[str | None] = Field(
        description="The list of the last night, by rank; null for a sale that the catalogue does "
        "not know."
    )
    guests: list[KnownGuest] = Field(description="Visitors who were merged into the customer.")
    remembered: int = Field(
        ge=0, description="Events of the last days, remembered by key alone to count none twice."
    )
    expires_at: datetime | None = Field(
        description="When all of it expires without a further event; null if there is nothing."
    )


class ErasureAnswer(BaseModel):
    """The erasure of a customer, and its effect on events that still come."""

    model_config = example(_ERASED)

    customer_id: str
    erased_at: datetime = Field(
        description="Events that happened up to then answer `erased`, and the next export takes "
        "them out of its files; later ones start a new customer."
    )
    events: int = Field(ge=0, description="Events of the window.")
    shown: int = Field(ge=0, description="Sales that the customer was shown last.")
    profile: bool = Field(description="Whether there was a profile.")
    remembered: int = Field(ge=0, description="Events of the last days, remembered by key.")
    others: list[str] = Field(
        description="Ids that were one customer with this one, and were erased with it."
    )


class MergeRequest(BaseModel):
    """The visitor who turned out to be the customer."""

    model_config = example(_MERGE, extra="forbid")

    guest_id: Identifier = Field(description="Id of the visitor until now.")


class MergeAnswer(BaseModel):
    """A visitor who is one customer with another id from now on."""

    model_config = example(_MERGED)

    customer_id: str = Field(
        description="Whom answers and events of both ids are about from now on: the customer, or "
        "whom that one was merged into."
    )
    guest_id: str
    merged_at: datetime = Field(description="By the store's clock.")


CustomerId = Annotated[PathIdentifier, Path(description="The customer.", examples=["c-1842"])]

_PROBLEMS: Final = problems(422, 503)


@router.get("/{customer_id}", responses=_PROBLEMS)
async def get_customer(customer_id: CustomerId, resources: ResourcesDep) -> CustomerAnswer:
    """Return all that is stored of a customer; an unknown customer has no events."""
    known = await resources.customers.describe(customer_id)
    window, shown, profile = known.window, known.window.shown, known.profile
    merges = known.merges or Merges.none(customer_id)
    served, expires_us = resources.live.served, known.expires_us
    return CustomerAnswer(
        customer_id=merges.customer_id,
        events=list(_events(window, served)),
        shown=[
            KnownImpression(
                sale_id=sale_id,
                sale_key=sale_key,
                at=from_us(at_s * SECOND_US),
                position=position or None,
            )
            for (sale_id, sale_key), at_s, position in zip(
                _sales(shown.sale_keys, served),
                shown.at_s.tolist(),
                shown.positions.tolist(),
                strict=True,
            )
        ],
        profile=None
        if profile == Profile.empty()
        else KnownProfile(
            first_at=from_us(profile.first_us) if profile.first_us else None,
            counts=dict(zip(KINDS, profile.counts, strict=True)),
            month=dict(zip(KINDS, profile.month, strict=True)),
            bought=list(_bought(profile, served)),
            attributes=dict(profile.attributes),
        ),
        listed=[sale_id for sale_id, _ in _sales(known.listed.sale_keys, served)],
        guests=list(_guests(merges)),
        remembered=known.n_remembered,
        expires_at=None if expires_us is None else from_us(expires_us),
    )


@router.delete("/{customer_id}", responses=_PROBLEMS)
async def delete_customer(
    customer_id: CustomerId, request: Request, resources: ResourcesDep
) -> ErasureAnswer:
    """Erase a customer with all ids merged into them, and list what was erased. Safe to repeat."""
    erasure = await resources.customers.erase(customer_id)
    changed(request, erased_at=from_us(erasure.erased_us).isoformat())
    return ErasureAnswer(
        customer_id=customer_id,
        erased_at=from_us(erasure.erased_us),
        events=erasure.n_events,
        shown=erasure.n_shown,
        profile=erasure.n_profiles > 0,
        remembered=erasure.n_remembered,
        others=list(erasure.others),
    )


@router.post(
    "/{customer_id}/merge", openapi_extra=described(MergeRequest), responses=problems(409, 422, 503)
)
async def merge_customer(
    customer_id: CustomerId,
    body: Annotated[MergeRequest, body_of(MergeRequest)],
    request: Request,
    resources: ResourcesDep,
) -> MergeAnswer:
    """Merge a visitor into a customer: from now on both ids are one customer. Safe to repeat."""
    async with answered_within(resources.write_timeout_s, "merging customers", then="repeat it"):
        merge = await resources.merges.merge(body.guest_id, customer_id)
    changed(request, merged_at=from_us(merge.merged_us).isoformat())
    return MergeAnswer(
        customer_id=merge.customer_id,
        guest_id=merge.guest_id,
        merged_at=from_us(merge.merged_us),
    )


def _events(window: Window, served: CatalogueVersion | None) -> Iterator[KnownEvent]:
    """Yield the events of a window."""
    kinds: list[int] = window.kinds.tolist()
    columns = zip(kinds, window.at_us.tolist(), window.covers.tolist(), strict=True)
    named = _sales(window.sale_keys, served)
    for (sale_id, sale_key), (kind, at_us, cover) in zip(named, columns, strict=True):
        yield KnownEvent(
            type=KINDS[kind],
            sale_id=sale_id,
            sale_key=sale_key,
            at=from_us(at_us),
            cover=cover or None,
        )


def _guests(merges: Merges) -> Iterator[KnownGuest]:
    for guest_id, at_us in merges.guests.items():
        yield KnownGuest(guest_id=guest_id, merged_at=from_us(at_us) if at_us else None)


def _sales(
    keys: NDArray[np.uint64], served: CatalogueVersion | None
) -> Iterator[tuple[str | None, str]]:
    """Yield the id, if known, and the key in hexadecimal of each sale."""
    rows: list[int] = served.catalogue.rows_for(keys).tolist() if served else [-1] * len(keys)
    sales = served.catalogue.sales if served else ()
    for key, row in zip(keys.tolist(), rows, strict=True):
        yield (sales[row].sale_id if row >= 0 else None), f"{key:016x}"


def _bought(profile: Profile, served: CatalogueVersion | None) -> Iterator[KnownPurchase]:
    """Yield the purchases of a profile."""
    found = PurchaseHistory.unpack(profile.bought)
    days = zip(
        found.n_days.tolist(), found.first_days.tolist(), found.last_days.tolist(), strict=True
    )
    named = _sales(found.sale_keys, served)
    for (sale_id, sale_key), (n_days, first, last) in zip(named, days, strict=True):
        yield KnownPurchase(
            sale_id=sale_id,
            sale_key=sale_key,
            days=n_days,
            first_on=from_us(first * DAY_US).date(),
            last_on=from_us(last * DAY_US).date(),
        )
