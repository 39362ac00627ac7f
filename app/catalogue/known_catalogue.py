"""Known catalogue: the newest known state of every sale, which survives losses of the store.

A store can be emptied, replaced by an empty replica, or restored from a backup. The worker then
keeps what it knows, and takes only newer changes from the store, until the store is complete
again: an operator loaded it, or every lost sale was put or deleted anew.

Protocol: the store has a generation, made anew when it is filled from empty, and a version that
rises with each change. Workers that know more than the store mark it as distrusted (empty
generation), and vouch for it once it is complete. A lost generation is no such mark: they compare
all sales, and vouch for the store if it has them.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from itertools import islice
from typing import Final

from app.errors import StoreUnavailableError
from app.observability import get_logger
from app.stores.keys import SALES
from app.stores.picture import StoredPicture
from app.stores.sale import Place, SaleChanges, SaleStore
from models.catalogue.catalogue import closing_us
from models.domain.sale import Sale
from models.domain.units import SECOND_US

N_EXAMPLES: Final = 5
# Deleted sales that are remembered, the latest: a load after a loss leaves them out. Chosen; ids of
# 20 characters are 0.1 MB of a file that is written with each change of the catalogue.
N_DELETED: Final = 5000
# Between removals of lost sales that are over, which compare every one; chosen, not measured.
LOOK_EVERY_US: Final = 10 * SECOND_US

ADVICE: Final = (
    "run `python -m app load --data DIR` to fill the store again, or put or delete the sales that"
    " it lost"
)

_log = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class SavedCatalogue:
    """The catalogue last saved on this machine, complete up to a version of the store.

    Attributes:
        generation: Generation of the store that it was read from.
        version: Version of the store; see `SaleChanges`.
        sales: Sales by id.
        pictures: Their labelled pictures.
        earlier: Generations that this machine followed before.
        deleted: Ids that were deleted and not put again, the latest `N_DELETED`.
    """

    generation: str
    version: int
    sales: Mapping[str, Sale]
    pictures: tuple[StoredPicture, ...]
    earlier: tuple[str, ...] = ()
    deleted: tuple[str, ...] = ()

    def is_superseded_by(self, changes: SaleChanges) -> bool:
        """Tell whether to trust a store instead of this saved catalogue.

        Either a worker vouched for the store since, or it is another shop's. A backup of this
        shop may be of an earlier generation too: then this machine followed that generation, or
        the two have a sale in common.
        """
        if changes.vouched > self.version:
            return True
        if changes.generation in {"", self.generation, *self.earlier}:
            return False
        theirs = [sale.sale_id for sale in changes.sales]
        is_older = int(changes.generation) < self.version
        has_both = bool(theirs and self.sales)
        return is_older and has_both and self.sales.keys().isdisjoint(theirs)


@dataclass(frozen=True, slots=True)
class CatalogueUpdate:
    """Result of a read of the store.

    Attributes:
        changes: The changes; all sales and pictures if `is_replaced`.
        is_replaced: Whether everything known before is to be dropped.
        has_new: Whether there are sales that were not known.
    """

    changes: SaleChanges
    is_replaced: bool
    has_new: bool

    @property
    def is_empty(self) -> bool:
        """Whether nothing changed."""
        new = self.changes
        changed = new.sales or new.pictures or new.deleted or new.unpictured
        return not (self.is_replaced or changed or new.unreadable or new.unreadable_pictures)


@dataclass(slots=True)
class Loss:
    """Sales that the store lacks, or has in an older state than the newest known one.

    Attributes:
        outdated: The store's state of these sales, by id; None for a sale that it lacks.
        is_known: Whether the newest states are known here; a worker that started later knows
            only that other workers distrust the store, or that the records of all sales are gone.
        looked_us: Time of the last removal of sales that are over.
        n_gone: Number of sales whose records are gone, see `SaleChanges.n_lost`.
    """

    outdated: dict[str, Sale | None] = field(default_factory=dict[str, Sale | None])
    is_known: bool = True
    looked_us: int = 0
    n_gone: int = 0

    def mend(self, changes: SaleChanges, sales: Mapping[str, Sale], *, now_us: int) -> None:
        """Remove sales that were put or deleted since, and every 10 s those that are over."""
        for sale_id in (*(sale.sale_id for sale in changes.sales), *changes.deleted):
            self.outdated.pop(sale_id, None)
        if now_us >= self.looked_us + LOOK_EVERY_US:
            self.looked_us = now_us
            self.outdated = {
                sale_id: stored
                for sale_id, stored in self.outdated.items()
                if _matters(now_us, sales.get(sale_id), stored)
            }

    def __str__(self) -> str:
        if self.n_gone:
            return (
                f"the store lost all sales ({SALES}): its log of changes names {self.n_gone} that"
                " no call deleted, and none is known to this worker"
            )
        if not self.is_known:
            return "the store lost sales that are not known to this worker"
        return (
            f"the store lacks the newest state of {len(self.outdated)} sales, such as"
            f" {', '.join(islice(self.outdated, N_EXAMPLES))}; the last known states are served"
        )


class KnownCatalogue:
    """Sales and pictures as this worker knows them, updated from the store."""

    def __init__(
        self, store: SaleStore, saved: Callable[[], Awaitable[SavedCatalogue | None]]
    ) -> None:
        """Begin empty; ``saved`` is called once, at the first read of the store."""
        self._store = store
        self._saved = saved
        self._has_begun = False
        self.generation = ""
        self.version = 0
        self.sales: dict[str, Sale] = {}
        self.pictures: dict[Place, StoredPicture] = {}
        self.deleted: tuple[
            str, ...
        ] = ()  # and not put again; the latest last, `N_DELETED` of them
        self.unreadable: dict[str, str] = {}  # why, by id of a sale that the store holds
        self.unreadable_pictures: dict[Place, str] = {}
        self.loss: Loss | None = None
        self._seen = ("", 0)
        self._server = ""

    @property
    def lacking(self) -> str | None:
        """What the store lacks, see also `ADVICE`; None if it is complete."""
        is_lacking = self.loss is not None and (self.loss.outdated or not self.loss.is_known)
        return str(self.loss) if is_lacking else None

    @property
    def is_blank(self) -> bool:
        """Whether no sale was ever put into the store, as far as is known."""
        return not self.sales and not self.generation

    def is_outdated(self, sale_id: str, stored: Sale | None) -> bool:
        """Tell whether the store's state of a sale, None if it lacks it, is older than known."""
        outdated = self.loss.outdated if self.loss else {}
        return sale_id in outdated and outdated[sale_id] == stored

    async def update(self, now_us: int) -> CatalogueUpdate:
        """Read the changes of the store.

        Args:
            now_us: The store's clock: a lost sale that is over is no loss.

        Raises:
            StoreUnavailableError: If the store cannot be read; nothing changed.
        """
        if not self._has_begun:
            return await self._begin(now_us)
        changes = await self._store.changes(self.version)
        sales = _changed(self.sales, changes)
        is_same_server = changes.server == self._server
        if self.loss is None and is_same_server and self._continues(changes, sales):
            return self._take(changes, sales)
        # Where the loss is not known here, only other workers can end the distrust; where no worker
        # knows it, the first sale that is put.
        is_trusted = changes.generation != "" and changes.n_sales > 0
        is_mended = self.loss is not None and not self.loss.is_known and is_trusted
        if changes.vouched > self.version or is_mended:
            return self._replace(await self._store.changes(0))
        if self.loss is not None and is_same_server:
            self.loss.mend(changes, sales, now_us=now_us)
            return self._take(changes, sales)
        # After a failover a lost change may show neither in the version nor in the number of
        # sales, as a later change took its place: compare all sales. The changes are read after
        # them, so that those of between are in both.
        everything = await self._store.changes(0)
        changes = await self._store.changes(self.version)
        self.unreadable = dict(everything.unreadable)
        self.unreadable_pictures = dict(everything.unreadable_pictures)
        sales = _changed(self.sales, changes)
        loss = await self._find_loss(sales, everything, changes, now_us=now_us)
        is_whole = self.loss is None and not loss.outdated and self._continues(changes, sales)
        update = self._take(changes, sales)
        self.loss = None if is_whole else loss
        return update

    async def report(self) -> None:
        """Mark the store as complete or incomplete, for workers that start now.

        A store that takes no writes is not marked: `store_monitor` reports it.
        """
        if self.loss is None or not self.loss.is_known:
            return
        with suppress(StoreUnavailableError):
            # Both scripts keep what another worker or `load` wrote meanwhile: `vouch` gets a
            # version above it, and `distrust` changes no generation but the one that was read.
            if not self.loss.outdated:
                await self._store.vouch(self.version)
            elif self._seen != ("", self.version):  # else it is marked already
                await self._store.distrust(self._seen[0], self.version)

    async def _begin(self, now_us: int) -> CatalogueUpdate:
        saved = await self._saved()
        everything = await self._store.changes(0)
        self.deleted = saved.deleted if saved else ()
        if saved is None or saved.is_superseded_by(everything):
            return self._replace(everything)
        since = await self._store.changes(saved.version)
        sales = _changed(saved.sales, since)
        is_whole = saved.generation == since.generation and saved.version <= since.version
        loss = await self._find_loss(sales, everything, since, now_us=now_us)
        if is_whole and not loss.outdated:
            return self._replace(everything)
        self._has_begun = True
        self.generation, self.version = saved.generation, saved.version
        self.unreadable = dict(everything.unreadable)
        self.unreadable_pictures = dict(everything.unreadable_pictures)
        self.pictures = {(one.sale_id, one.number): one for one in saved.pictures}
        self._take(since, sales)
        self.loss = loss
        everything_known = replace(
            since,
            generation=self.generation,
            version=self.version,
            n_sales=len(self.sales),
            sales=tuple(self.sales.values()),
            pictures=tuple(self.pictures.values()),
            deleted=(),
            unpictured=(),
            unreadable=self.unreadable,
            unreadable_pictures=self.unreadable_pictures,
        )
        return CatalogueUpdate(everything_known, is_replaced=True, has_new=False)

    def _replace(self, everything: SaleChanges) -> CatalogueUpdate:
        """Trust the store, and drop everything known before but deletions.

        A store that was emptied and loaded has no mark of what was deleted before.
        """
        if self.loss is not None:
            _log.info("the store has the complete catalogue again", n_sales=everything.n_sales)
        self._has_begun = True
        self.generation, self.version = everything.generation, 0
        self.pictures.clear()
        self.unreadable, self.unreadable_pictures = {}, {}
        self._take(everything, _changed({}, everything))
        is_whole = everything.generation != "" or everything.version == 0
        is_lost = everything.n_lost > 0 or not is_whole
        self.loss = Loss(is_known=False, n_gone=everything.n_lost) if is_lost else None
        if self.loss is not None:
            _log.warning(f"{self.loss}; {ADVICE}")
        return CatalogueUpdate(everything, is_replaced=True, has_new=True)

    def _continues(self, changes: SaleChanges, sales: Mapping[str, Sale]) -> bool:
        is_same = changes.generation == self.generation or self.is_blank
        left_out = self._unreadable_after(changes)
        # Not a difference of sets, which goes through all sales at each look for changes.
        n_stored = len(sales) + sum(sale_id not in sales for sale_id in left_out)
        return is_same and changes.version >= self.version and n_stored == changes.n_sales

    def _unreadable_after(self, changes: SaleChanges) -> dict[str, str]:
        mended = {sale.sale_id for sale in changes.sales}.union(changes.deleted)
        before = {i: reason for i, reason in self.unreadable.items() if i not in mended}
        return {**before, **changes.unreadable}

    async def _find_loss(
        self, sales: Mapping[str, Sale], everything: SaleChanges, since: SaleChanges, *, now_us: int
    ) -> Loss:
        # Sales put between the two reads are only in the second.
        stored = _changed(_changed({}, everything), since)
        # In a thread: at 100,000 sales the comparison would hold up answers.
        outdated = await asyncio.to_thread(
            lambda: {
                sale_id: stored.get(sale_id)
                for sale_id in sorted(sales.keys() | stored.keys())
                if sales.get(sale_id) != stored.get(sale_id)
                and _matters(now_us, sales.get(sale_id), stored.get(sale_id))
            }
        )
        if outdated:
            _log.warning(
                f"the store lost sales or has older states of them; {ADVICE}",
                n_sales=len(outdated),
                sales=list(islice(outdated, N_EXAMPLES)),
            )
        # Other workers marked the store: they know sales that are not known here.
        is_marked = since.generation == "" and since.version > 0
        n_gone = 0 if sales else everything.n_lost
        is_known = bool(outdated) or not (is_marked or n_gone)
        return Loss(outdated, is_known=is_known, n_gone=n_gone)

    def _take(self, changes: SaleChanges, sales: dict[str, Sale]) -> CatalogueUpdate:
        """Take over changes, and the sales with these changes applied."""
        has_new = sales is not self.sales and not sales.keys() <= self.sales.keys()
        if self.is_blank:
            self.generation = changes.generation
        self.version = max(self.version, changes.version)
        self.sales = sales
        self._take_deletions(changes)
        self.unreadable = self._unreadable_after(changes)
        for one in changes.pictures:
            self.pictures[one.sale_id, one.number] = one
            self.unreadable_pictures.pop((one.sale_id, one.number), None)
        for place in (*changes.unpictured, *changes.unreadable_pictures):
            self.pictures.pop(place, None)
            self.unreadable_pictures.pop(place, None)
        self.unreadable_pictures |= changes.unreadable_pictures
        self._seen = changes.generation, changes.version
        self._server = changes.server
        return CatalogueUpdate(changes, is_replaced=False, has_new=has_new)

    def _take_deletions(self, changes: SaleChanges) -> None:
        if not (changes.sales or changes.deleted or changes.unreadable):
            return
        put = {*(sale.sale_id for sale in changes.sales), *changes.unreadable}
        again = put.union(changes.deleted)
        before = (one for one in self.deleted if one not in again)
        self.deleted = (*before, *changes.deleted)[-N_DELETED:]


def _changed(sales: Mapping[str, Sale], changes: SaleChanges) -> dict[str, Sale]:
    """Return sales with changes applied; the same object if there are none."""
    if isinstance(sales, dict) and not (changes.sales or changes.deleted or changes.unreadable):
        return sales
    after = {**sales, **{sale.sale_id: sale for sale in changes.sales}}
    for sale_id in (*changes.deleted, *changes.unreadable):
        after.pop(sale_id, None)
    return after


def _matters(now_us: int, *states: Sale | None) -> bool:
    """Tell whether one of these states of a sale is open now or will be."""
    return any(state is not None and now_us < closing_us(state) for state in states)
