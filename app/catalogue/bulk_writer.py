"""Many sales put at once, each with what became of it."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from app.catalogue.sale_writer import settled
from app.errors import CatalogueFullError
from app.stores.sale import SaleStore
from app.stores.server import StoreServer
from models.domain.event import from_us
from models.domain.sale import Sale


class Upsert(StrEnum):
    """What became of a sale."""

    CREATED = "created"
    UPDATED = "updated"
    UNCHANGED = "unchanged"
    REJECTED = "rejected"


@dataclass(frozen=True, slots=True)
class Upserted:
    """What became of one sale, and why if it was rejected."""

    sale_id: str
    status: Upsert
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class BulkWriter:
    """Puts many sales into the store, which every worker follows.

    Attributes:
        sales: The catalogue's source of truth.
        server: Says what time it is.
    """

    sales: SaleStore
    server: StoreServer

    async def put(self, sales: Sequence[Sale]) -> list[Upserted]:
        """Insert or replace sales, one after the other; their pictures stay.

        To repeat it is safe: what is in the store as it is put is unchanged.

        Returns:
            What became of each, in the order given.
        """
        known = await self.sales.read_many([sale.sale_id for sale in sales])
        now = from_us(await self.server.time_us())
        outcomes: list[Upserted] = []
        for sale in sales:
            before = known.get(sale.sale_id)
            known[sale.sale_id] = after = settled(sale, before, now=now)
            outcomes.append(Upserted(sale.sale_id, _status(before, after)))
        changed = dict.fromkeys(one.sale_id for one in outcomes if one.status in _CHANGES)
        refusals = await self._put([known[sale_id] for sale_id in changed])
        return [_unless_refused(outcome, refusals.get(outcome.sale_id)) for outcome in outcomes]

    async def _put(self, sales: Sequence[Sale]) -> dict[str, CatalogueFullError]:
        """Put sales and return why some were refused, by sale id."""
        refusals: dict[str, CatalogueFullError] = {}
        while True:
            try:
                await self.sales.put([sale for sale in sales if sale.sale_id not in refusals])
            except CatalogueFullError as exc:  # names one kind of refusal; there may be others
                refusals |= {sale_id: exc.of(sale_id) for sale_id in exc.sale_ids}
            else:
                return refusals


_CHANGES = frozenset({Upsert.CREATED, Upsert.UPDATED})


def _status(before: Sale | None, after: Sale) -> Upsert:
    if before is None:
        return Upsert.CREATED
    return Upsert.UNCHANGED if before == after else Upsert.UPDATED


def _unless_refused(outcome: Upserted, refusal: CatalogueFullError | None) -> Upserted:
    if refusal is None:
        return outcome
    return Upserted(outcome.sale_id, Upsert.REJECTED, str(refusal))
