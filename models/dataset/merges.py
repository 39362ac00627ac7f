"""Merges of guests into customers: visitors who turned out to be a customer, and when.

From that moment on, what was received of the guest is the customer's as well. Until then it was the
guest's alone: windows and profiles of before do not know it.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Self

import numpy as np
import polars as pl
from numpy.typing import NDArray

from models.dataset.checks import Check, find_faults, without_refused
from models.dataset.conversion import convert
from models.dataset.erasures import Erasures
from models.dataset.faults import FaultCode, FaultReport
from models.dataset.schema import MERGES
from models.dataset.tables import Table


@dataclass(frozen=True, slots=True, eq=False)
class MergeTable:
    """Guests with their customers: a guest has one customer, and no customer is a guest.

    Attributes:
        guest_ids: Ids of the guests, each once, ascending, shape ``(n,)``.
        customer_ids: The customer of each, same shape.
        merged_us: When each was merged, microseconds since the epoch, same shape.
    """

    guest_ids: pl.Series
    customer_ids: pl.Series
    merged_us: NDArray[np.int64]

    @classmethod
    def none(cls) -> Self:
        """Return no merges."""
        nobody = pl.Series(dtype=pl.String)
        return cls(nobody, nobody, np.empty(0, dtype=np.int64))

    def __len__(self) -> int:
        """Return the number of merges."""
        return len(self.merged_us)

    def known(self, until_us: int) -> Self:
        """Return the merges up to a moment, microseconds since the epoch."""
        kept = self.merged_us <= until_us
        mask = pl.Series(kept)
        return type(self)(
            self.guest_ids.filter(mask), self.customer_ids.filter(mask), self.merged_us[kept]
        )

    def from_the_beginning(self) -> Self:
        """Return the same merges, as if each customer had been one from their first event on."""
        return type(self)(self.guest_ids, self.customer_ids, np.zeros_like(self.merged_us))

    def guests_of(self, ids: pl.Series) -> Mapping[int, list[tuple[int, int]]]:
        """Return the guests of customers.

        Args:
            ids: Distinct ids of guests and customers.

        Returns:
            Index and time of each guest by index of the customer, by ascending id of the guest;
            without guests and customers that are not among the ids.
        """
        found: dict[int, list[tuple[int, int]]] = {}
        indices = pl.int_range(len(ids), eager=True)
        guests, customers = (
            each.replace_strict(ids, indices, default=-1, return_dtype=pl.Int64).to_list()
            for each in (self.guest_ids, self.customer_ids)
        )
        for guest, customer, at_us in zip(guests, customers, self.merged_us.tolist(), strict=True):
            if guest >= 0 and customer >= 0:
                found.setdefault(customer, []).append((guest, at_us))
        return found


def erased_together(erasures: Erasures, merges: MergeTable) -> Erasures:
    """Return erasures with those of all ids that were one customer with an erased one by then."""
    pairs = zip(merges.guest_ids, merges.customer_ids, merges.merged_us.tolist(), strict=True)
    links = [(str(guest), str(customer), merged_us) for guest, customer, merged_us in pairs]
    moments = list(erasures.moments())
    erased_us = dict(moments)
    roots = [
        (customer, erased_us[guest])
        for guest, customer, merged_us in links
        if merged_us <= erased_us.get(guest, -1)
    ]
    last_us = dict(Erasures.from_moments([*moments, *roots]).moments())
    guests = [
        (guest, last_us[customer])
        for guest, customer, merged_us in links
        if merged_us <= last_us.get(customer, -1)
    ]
    return Erasures.from_moments([*moments, *roots, *guests])


def read_merges(table: Table, erasures: Erasures) -> tuple[MergeTable, FaultReport]:
    """Validate the rows of a merges file.

    Args:
        table: The unconverted table.
        erasures: Customers whose earlier merges are left out.

    Returns:
        The merges, none if the file as a whole cannot be used, and the faults.
    """
    frame, faults = convert(table, MERGES, extra=FaultCode.UNKNOWN_COLUMN)
    if faults.unusable():
        return MergeTable.none(), faults
    frame, faults = erasures.apply(frame, faults, file=table.file, times=("merged_at",))
    faults += find_faults(frame, _CHECKS, file=table.file)
    frame = without_refused(frame, faults, file=table.file)
    first = frame.sort("merged_at").unique("guest_id", keep="first").sort("guest_id")
    return MergeTable(
        first["guest_id"], first["customer_id"], first["merged_at"].to_numpy()
    ), faults


_CHECKS: Final = (
    Check(
        FaultCode.CONFLICTING_MERGE,
        "guest_id",
        pl.col("guest_id").eq(pl.col("customer_id")),
        "be another id than the customer's",
    ),
    Check(
        FaultCode.CONFLICTING_MERGE,
        "guest_id",
        pl.col("customer_id").ne(pl.col("customer_id").first().over("guest_id")),
        "be of one customer; an earlier row names another",
    ),
    Check(
        FaultCode.CONFLICTING_MERGE,
        "customer_id",
        pl.col("customer_id").is_in(pl.col("guest_id").implode()),
        "be no guest of another customer",
    ),
)
