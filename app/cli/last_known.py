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
    """Sales that are over as last known, and open or still to open by the files.

    Attributes:
        opened: Ids of those that a load opens: its files are newer, as far as is known.
        kept: Those that stay over, as last known: the store lost sales, so that the load restores
            it, and the state of a moment ago is newer than any file.
        unknown_loss: Whether the store lost sales whose last states this machine does not know.
    """

    opened: tuple[str, ...]
    kept: Mapping[str, Sale]
    unknown_loss: bool

    @classmethod
    def of(cls, sales: Iterable[Sale], known: KnownCatalogue, *, now_us: int) -> "Reopening":
        """Compare the sales of files with the last known states.

        A sale that opens at another time is another one under the same id: it is opened.
        """
        before = known.sales
        over = {
            sale.sale_id: sale.opens_at == before[sale.sale_id].opens_at
            for sale in sales
            if sale.sale_id in before
            and _is_over(before[sale.sale_id], now_us)
            and not _is_over(sale, now_us)
        }
        kept = {one: before[one] for one, is_same in over.items() if is_same and known.loss}
        unknown_loss = known.loss is not None and not known.loss.is_known
        return cls(tuple(one for one in over if one not in kept), kept, unknown_loss)

    def restored(self, sales: Iterable[Sale]) -> tuple[Sale, ...]:
        """Return the sales of files, and the last known states of those that stay over."""
        return tuple(self.kept.get(sale.sale_id, sale) for sale in sales)


def _is_over(sale: Sale, now_us: int) -> bool:
    """Tell whether a sale will never be shown again; one may sell out before it opens."""
    return closing_us(sale) <= max(now_us, to_us(sale.opens_at))
