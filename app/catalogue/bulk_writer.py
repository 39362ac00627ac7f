"""Bulk writer: writes many sales in one request, with an outcome for each."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from app.catalogue.catalogue_follower import CatalogueFollower
from app.catalogue.sale_writer import with_sell_out
from app.errors import CatalogueFullError
from app.stores.sale import SaleStore
from app.stores.server import StoreServer
from models.domain.sale import Sale


class Upsert(StrEnum):
    """Outcome of writing a sale."""

    CREATED = "created"
    UPDATED = "updated"
    UNCHANGED = "unchanged"
    REJECTED = "rejected"


@dataclass(frozen=True, slots=True)
class Upserted:
    """Outcome of one sale, with the reason if it was rejected."""

    sale_id: str
    status: Upsert
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class BulkWriter:
    """Writes many sales to the store, by its clock."""

    sales: SaleStore
    server: StoreServer
    live: CatalogueFollower

    async def put(self, sales: Sequence[Sale]) -> list[Upserted]:
        """Insert or replace sales, one after the other; their readable pictures stay.

        Safe to repeat: a sale that is stored already is left unchanged.

        Returns:
            The outcome of each, in the order given.
        """
        known = await self.sales.read_many([sale.sale_id for sale in sales])
        now = await self.server.now()
        outcomes: list[Upserted] = []
        for sale in sales:
            before = known.get(sale.sale_id)
            known[sale.sale_id] = after = with_sell_out(sale, before, now=now)
            status = Upsert.UNCHANGED if before == after else Upsert.UPDATED
            outcomes.append(Upserted(sale.sale_id, status if before else Upsert.CREATED))
        changed = {one.sale_id for one in outcomes if one.status is not Upsert.UNCHANGED}
        unreadable = [place for place in self.live.unreadable_pictures if place[0] in known]
        refusals: dict[str, CatalogueFullError] = {}
        while True:
            accepted = changed - refusals.keys()
            try:
                accepted_sales = [sale for i, sale in known.items() if i in accepted]
                without = [place for place in unreadable if place[0] not in refusals]
                await self.sales.put(accepted_sales, without=without)
                break
            except CatalogueFullError as exc:  # of one kind; the next attempt may meet others
                refusals |= {sale_id: exc.of(sale_id) for sale_id in exc.sale_ids}
        return [
            Upserted(one.sale_id, Upsert.REJECTED, str(refusals[one.sale_id]))
            if one.sale_id in refusals
            else one
            for one in outcomes
        ]
