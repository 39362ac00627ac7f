"""Sales that come, change and go while the service runs."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime

from app.catalogue.catalogue_follower import CatalogueFollower
from app.catalogue.picture_labeller import PictureLabeller
from app.errors import UnknownPictureError, UnknownSaleError
from app.stores.picture import LabelledPicture, RemovedPicture
from app.stores.sale import SaleStore
from app.stores.server import StoreServer
from models.domain.event import from_us
from models.domain.sale import Sale


@dataclass(frozen=True, slots=True)
class Registered:
    """A sale as it was put.

    Attributes:
        sale: With the time of its sell-out, where its stock says that it is sold out.
        is_new: Whether the store did not know it.
    """

    sale: Sale
    is_new: bool


@dataclass(frozen=True, slots=True)
class SaleWriter:
    """Puts sales and pictures into the store, which every worker follows.

    Attributes:
        sales: The catalogue's source of truth.
        server: Says what time it is.
        live: The catalogue that answers see.
        labelling: Looks at pictures.
    """

    sales: SaleStore
    server: StoreServer
    live: CatalogueFollower
    labelling: PictureLabeller

    async def put(self, sale: Sale) -> Registered:
        """Insert or replace a sale; its picture stays.

        Raises:
            CatalogueFullError: If the catalogue would have more markets or attributes than it
                can.
        """
        before = await self.sales.read(sale.sale_id)
        if sale.stock is not None:
            now = from_us(await self.server.time_us())
            sale = settled(sale, before.sale if before else None, now=now)
        await self.sales.put([sale])
        return Registered(sale, is_new=before is None)

    async def put_picture(
        self, sale_id: str, receive: Callable[[], Awaitable[bytes]], *, number: int
    ) -> LabelledPicture:
        """Label a picture and keep what it shows; the picture itself is not kept.

        Args:
            sale_id: The sale that it shows.
            receive: Reads the picture; not called where it could not be labelled.
            number: Which picture of the sale; an earlier one of this number is replaced.

        Raises:
            UnknownSaleError: If the sale was not put before, or deleted while it was labelled.
            SceneModelMissingError: If the bundle labels no pictures.
            LabellingBusyError: If too many pictures come at once.
            PictureError: If the picture is refused.
        """
        if await self.sales.read(sale_id) is None:
            raise UnknownSaleError(sale_id)
        with self.labelling.place():
            picture = await self.labelling.label(sale_id, await receive(), number=number)
        if await self.sales.put_pictures([picture]):
            raise UnknownSaleError(sale_id)
        return picture

    async def remove_picture(self, sale_id: str, number: int) -> None:
        """Remove one picture of a sale, also one that the bundle was trained with.

        Raises:
            UnknownSaleError: If the store does not know the sale.
            UnknownPictureError: If the sale has no such picture.
        """
        stored = await self.sales.read(sale_id)
        if stored is None:
            raise UnknownSaleError(sale_id)
        served = self.live.served
        known = served.content.pictures.get(sale_id) if served else None
        numbers = {*(known.each if known else ())}
        for picture in stored.pictures:
            is_there = isinstance(picture, LabelledPicture)
            (numbers.add if is_there else numbers.discard)(picture.number)
        if number not in numbers:
            raise UnknownPictureError(sale_id, number)
        await self.sales.put_pictures([RemovedPicture(sale_id, number)])

    async def delete(self, sale_id: str) -> None:
        """Delete a sale and what its pictures show.

        Raises:
            UnknownSaleError: If the store does not know it.
        """
        if not await self.sales.delete(sale_id):
            raise UnknownSaleError(sale_id)


def settled(sale: Sale, before: Sale | None, *, now: datetime) -> Sale:
    """Let the stock decide whether a sale is sold out.

    Args:
        sale: As it is put.
        before: As it was; None for a new one.
        now: The store's clock.

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
