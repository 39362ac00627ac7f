"""Withdrawal of stored sales that a full dump of the shop no longer holds (``load --full``)."""

from collections.abc import Collection
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

from app.errors import MAX_NAMED
from app.stores.store import Stores
from models.catalogue.catalogue import closing_us
from models.dataset import Dataset
from models.domain.errors import UserError
from models.domain.event import from_us
from models.domain.sale import Sale


class WithdrawalError(UserError):
    """A dataset that does not look like a full dump; nothing was loaded."""


@dataclass(frozen=True, slots=True)
class Absent:
    """Current sales of the store (open, or still to open) that a dump does not hold, by id."""

    sales: tuple[Sale, ...]
    n_current: int
    now: datetime

    @property
    def first(self) -> tuple[str, ...]:
        """The first ids."""
        return tuple(sale.sale_id for sale in self.sales[:MAX_NAMED])

    def without(self, sale_ids: Collection[str]) -> "Absent":
        """Return the others: these are closed or deleted by the load itself."""
        others = tuple(sale for sale in self.sales if sale.sale_id not in sale_ids)
        return replace(self, sales=others)


async def absent_from(held: Collection[str], stores: Stores) -> Absent:
    """Compare the store's sales with the ids of a dump."""
    now_us = await stores.server.time_us()
    stored = (await stores.sales.changes(0)).sales
    current = [sale for sale in stored if closing_us(sale) > now_us]
    absent = sorted(
        (sale for sale in current if sale.sale_id not in held), key=lambda sale: sale.sale_id
    )
    return Absent(tuple(absent), len(current), from_us(now_us))


def require_full(dataset: Dataset, absent: Absent, *, confirmed: bool) -> None:
    """Check that the sales a dump does not hold may be withdrawn.

    Raises:
        WithdrawalError: If rows of sales were left out, which would be taken for withdrawn sales;
            or if more than half of the current sales would go without confirmation.
    """
    refused = dataset.faults.n_refused().items()
    n_refused = sum(n for file, n in refused if Path(file).stem == "sales")
    if n_refused:
        msg = (
            f"{n_refused} rows of sales were left out: they would be withdrawn though the dump"
            " holds them; repair them (`python -m training validate`), or load without --full"
        )
        raise WithdrawalError(msg)
    n_absent = len(absent.sales)
    # Chosen: the dump of one market, or one that broke off, lacks more than half.
    if 2 * n_absent > absent.n_current and not confirmed:
        msg = (
            f"{n_absent} of {absent.n_current} current sales of the store are not in the dump, such"
            f" as {', '.join(absent.first)}: to withdraw more than half of them, add --yes"
        )
        raise WithdrawalError(msg)


async def withdraw(absent: Absent, stores: Stores) -> None:
    """Close sales as sold out from now on; a later dump that holds one opens it again.

    ``closes_at`` stays: features read it, and before the withdrawal it was what was known.
    """
    sold_out = {"sold_out_at": absent.now, "stock": 0}
    closed = [sale.model_copy(update=sold_out) for sale in absent.sales]
    await stores.sales.put(closed)
