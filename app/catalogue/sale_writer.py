"""Sale writer: writes single sales and their pictures to the store."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime

import numpy as np

from app.catalogue.catalogue_follower import CatalogueFollower
from app.catalogue.picture_labeller import PictureLabeller
from app.errors import UnknownPictureError, UnknownSaleError
from app.stores.picture import ALL_PICTURES, LabelledPicture, RemovedPicture
from app.stores.sale import SaleStore, StoredSale
from app.stores.server import StoreServer
from models.domain.sale import PictureScores, Sale


@dataclass(frozen=True, slots=True)
class WrittenSale:
    """A sale as it was written, with the time of its sell-out if its stock is 0."""

    sale: Sale
    is_new: bool


@dataclass(frozen=True, slots=True)
class WrittenPicture:
    """A picture as it was written, with the number of another one that is the same, if any."""

    picture: LabelledPicture
    same_as: int | None


@dataclass(frozen=True, slots=True)
class SaleWriter:
    """Writes sales and pictures to the store, by its clock."""

    sales: SaleStore
    server: StoreServer
    live: CatalogueFollower
    labeller: PictureLabeller

    async def put(self, sale: Sale) -> WrittenSale:
        """Insert or replace a sale; its pictures stay, except those that cannot be read.

        Raises:
            CatalogueFullError: If the catalogue would exceed its number of markets or
                attributes.
        """
        before = await self.sales.read(sale.sale_id)
        if sale.stock is not None:
            now = await self.server.now()
            sale = with_sell_out(sale, before.sale if before else None, now=now)
        # The follower may know of some where the sale itself cannot be read.
        known = {place for place in self.live.unreadable_pictures if place[0] == sale.sale_id}
        await self.sales.put([sale], without=known.union(before.unreadable if before else ()))
        return WrittenSale(sale, is_new=before is None)

    async def put_picture(
        self, sale_id: str, receive: Callable[[], Awaitable[bytes]], *, number: int
    ) -> WrittenPicture:
        """Label a picture and store labels and vector; the picture itself is not stored.

        Args:
            sale_id: The sale that it shows.
            receive: Reads the picture; see `PictureLabeller.label`.
            number: Number of the picture; an earlier picture of this number is replaced.

        Raises:
            UnknownSaleError: If the store does not have the sale, before or after the labelling.
            SceneModelMissingError: If the bundle labels no pictures.
            LabellingBusyError: If too many pictures are uploaded at once.
            PictureError: If the picture is refused.
        """
        before = await self.sales.read(sale_id)
        if before is None:
            raise UnknownSaleError(sale_id)
        picture = await self.labeller.label(sale_id, receive, number=number)
        if await self.sales.put_pictures([picture]):
            raise UnknownSaleError(sale_id)
        others = self._pictures(sale_id, before).items()
        vector = picture.scores.embedding
        same = [
            one
            for one, scores in others
            if one != number and np.array_equal(scores.embedding, vector)
        ]
        return WrittenPicture(picture, min(same, default=None))

    async def remove_picture(self, sale_id: str, number: int) -> None:
        """Remove one picture of a sale, also one that the bundle was trained with.

        Raises:
            UnknownSaleError: If the store does not have the sale.
            UnknownPictureError: If the sale has no such picture.
        """
        stored = await self.sales.read(sale_id)
        if stored is None:
            raise UnknownSaleError(sale_id)
        if number not in self._pictures(sale_id, stored):
            raise UnknownPictureError(sale_id, number)
        await self.sales.put_pictures([RemovedPicture(sale_id, number)])

    def _pictures(self, sale_id: str, stored: StoredSale) -> dict[int, PictureScores]:
        """Return a sale's pictures by number: of the bundle, and as they were put since."""
        served = self.live.served
        known = served.content.pictures.get(sale_id) if served else None
        found = dict(known.each) if known else {}
        for picture in stored.pictures:
            if isinstance(picture, LabelledPicture):
                found[picture.number] = picture.scores
            elif picture.number == ALL_PICTURES:
                found.clear()  # it comes first: those of a sale of this id that was deleted
            else:
                found.pop(picture.number, None)
        return found

    async def delete(self, sale_id: str) -> None:
        """Delete a sale with the labels of its pictures.

        Raises:
            UnknownSaleError: If the store does not have it.
        """
        if not await self.sales.delete(sale_id):
            raise UnknownSaleError(sale_id)


def with_sell_out(sale: Sale, before: Sale | None, *, now: datetime) -> Sale:
    """Set the time of the sell-out by the stock.

    Returns:
        The sale. A stock of 0 keeps the time of the sell-out, given or known before, or is
        sold out now; a stock above 0 opens it again; without a stock nothing changes.
    """
    if sale.stock is None:
        return sale
    if sale.stock > 0:
        return sale.model_copy(update={"sold_out_at": None})
    known = before.sold_out_at if before is not None and before.stock == 0 else None
    return sale.model_copy(update={"sold_out_at": sale.sold_out_at or known or now})
