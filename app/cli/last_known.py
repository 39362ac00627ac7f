"""Last known catalogue of this machine, and the sales that files would open again."""

import asyncio
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from app.catalogue.known_catalogue import KnownCatalogue, SavedCatalogue
from app.catalogue.snapshot_archive import SnapshotArchive
from app.resources import SNAPSHOTS
from app.stores.store import Stores
from models.catalogue.catalogue import closing_us
from models.domain.event import to_us
from models.domain.sale import Sale


async def last_known(stores: Stores, state_dir: Path) -> KnownCatalogue:
    """Compare the store with the last catalogue of this machine, as a starting worker does.

    Nothing is marked in the store. An unreadable catalogue counts as none.

    Raises:
        StoreUnavailableError: If the store does not answer.
    """
    archive = SnapshotArchive(state_dir / SNAPSHOTS)

    async def saved() -> SavedCatalogue | None:
        try:
            return await asyncio.to_thread(archive.last_sales)
        except (OSError, ValueError):
            return None

    known = KnownCatalogue(stores.sales, saved)
    await known.update(await stores.server.time_us())
    return known


@dataclass(frozen=True, slots=True)
class Reopening:
    """Sales that are over or deleted as last known, and that a load would open again.

    Attributes:
        opened: Ids of those that a load opens: its files are newer, as far as is known.
        kept: Those that stay over, as last known: the store lost sales, so that the load restores
            it, and the state of a moment ago is newer than any file.
        deleted: Ids of those that stay deleted, for the same reason, open or not.
        unknown_loss: Whether the store lost sales whose last states this machine does not know.
    """

    opened: tuple[str, ...]
    kept: Mapping[str, Sale]
    deleted: tuple[str, ...]
    unknown_loss: bool

    @classmethod
    def of(cls, sales: Iterable[Sale], known: KnownCatalogue, *, now_us: int) -> "Reopening":
        """Compare the sales of files with the last known states.

        A sale that opens at another time is another one under the same id: it is opened. The files
        need not hold a sale that a restored store still has: a load makes workers trust its state.
        """
        of_files = {sale.sale_id: sale for sale in sales}
        outdated = known.loss.outdated if known.loss else {}
        of_store = {one: sale for one, sale in outdated.items() if sale and one not in of_files}
        loaded = of_files | of_store
        deleted = tuple(one for one in known.deleted if one in loaded)
        over = {
            one: one in of_store or sale.opens_at == known.sales[one].opens_at
            for one, sale in loaded.items()
            if one in known.sales
            and _is_over(known.sales[one], now_us)
            and not _is_over(sale, now_us)
        }
        unknown_loss = known.loss is not None and not known.loss.is_known
        if known.loss is None:
            again = (one for one in deleted if not _is_over(loaded[one], now_us))
            return cls((*over, *again), {}, (), unknown_loss)
        kept = {one: known.sales[one] for one, is_same in over.items() if is_same}
        opened = tuple(one for one in over if one not in kept)
        return cls(opened, kept, deleted, unknown_loss)

    def restored(self, sales: Iterable[Sale]) -> tuple[Sale, ...]:
        """Return the sales to put: those of files, or their last known states, none deleted."""
        states = {sale.sale_id: sale for sale in sales} | dict(self.kept)
        for sale_id in self.deleted:
            _ = states.pop(sale_id, None)
        return tuple(states.values())


def _is_over(sale: Sale, now_us: int) -> bool:
    """Tell whether a sale will never be shown again; one may sell out before it opens."""
    return closing_us(sale) <= max(now_us, to_us(sale.opens_at))
