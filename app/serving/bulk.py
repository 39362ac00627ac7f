"""Many sales put at once, each with what became of it."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from app.errors import TooManyMarketsError
from app.serving.ports import SaleStore
from app.serving.registration import settled
from app.serving.server_port import StoreServer
from models.events import from_us
from models.sale import Sale


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
class BulkRegistration:
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
        try:
            await self.sales.put([known[sale_id] for sale_id in changed])
        except TooManyMarketsError as exc:
            return [_unless_refused(outcome, exc) for outcome in outcomes]
        return outcomes


_CHANGES = frozenset({Upsert.CREATED, Upsert.UPDATED})


def _status(before: Sale | None, after: Sale) -> Upsert:
    if before is None:
        return Upsert.CREATED
    return Upsert.UNCHANGED if before == after else Upsert.UPDATED


def _unless_refused(outcome: Upserted, refusal: TooManyMarketsError) -> Upserted:
    if outcome.sale_id not in refusal.sale_ids:
        return outcome
    reason = TooManyMarketsError(frozenset({outcome.sale_id}), refusal.limit)
    return Upserted(outcome.sale_id, Upsert.REJECTED, str(reason))
