"""Sale details: labels and topics of the pictures, and visually similar sales."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from app.catalogue.catalogue_follower import CatalogueFollower
from app.catalogue.catalogue_version import Source
from app.catalogue.clock import StoreClock
from app.errors import UnknownSaleError
from app.stores.picture import LabelledPicture, join_pictures
from app.stores.sale import SaleStore, StoredSale
from models.catalogue.catalogue import closing_us
from models.domain.event import key, to_us
from models.domain.sale import PictureScores, Sale
from models.neighbours.search import nearest
from models.pictures.topics import Topics


@dataclass(frozen=True, slots=True)
class Share:
    """A label or a topic of a picture; shares of all labels, and of all topics, sum to 1."""

    name: str
    share: float


@dataclass(frozen=True, slots=True)
class PictureView:
    """Labels and topics of a picture.

    Attributes:
        scene_model: Id of the model that labelled it.
        labels: Labels, the likeliest first.
        topics: Topics that are shown, the largest first; see `Topics.is_shown`.
        is_unlike: Whether it is like no scene that the model knows; None if not determined.
    """

    scene_model: str
    labels: tuple[Share, ...]
    topics: tuple[Share, ...]
    is_unlike: bool | None


@dataclass(frozen=True, slots=True)
class LookAlike:
    """A sale whose picture vector is near.

    Attributes:
        sale_id: The sale.
        similarity: Cosine of the angle between the picture vectors, in (0, 1].
        is_open: Whether it can be bought now, in some market.
    """

    sale_id: str
    similarity: float
    is_open: bool


@dataclass(frozen=True, slots=True)
class DetailedSale:
    """A sale with its pictures and look-alikes.

    Attributes:
        sale: The sale as last written.
        is_open: Whether it can be bought now, in some market.
        picture: All its pictures together; None without a picture.
        pictures: Each picture, by number.
        best_cover: Number of the picture that shows a known scene most surely; None without one.
        look_alikes: The sales with the nearest pictures.
    """

    sale: Sale
    is_open: bool
    picture: PictureView | None
    pictures: Mapping[int, PictureView]
    best_cover: int | None
    look_alikes: tuple[LookAlike, ...]


@dataclass(frozen=True, slots=True)
class SaleDetails:
    """Describes sales and compares their pictures, closed sales included."""

    sales: SaleStore
    live: CatalogueFollower
    clock: StoreClock

    async def get(self, sale_id: str, *, n_look_alikes: int) -> DetailedSale:
        """Return the details of a sale, as the store has it now.

        Raises:
            UnknownSaleError: If there is no such sale.
        """
        known = await self._known(sale_id)
        sale, together = known.sale, known.together
        # Ranking hundreds of labels and the topics of each picture takes milliseconds.
        pictures = await asyncio.to_thread(
            lambda: {number: self.view(one) for number, one in known.pictures.items()}
        )
        return DetailedSale(
            sale=sale,
            is_open=to_us(sale.opens_at) <= self.clock.now_us() < closing_us(sale),
            picture=await asyncio.to_thread(self.view, together) if together else None,
            pictures=pictures,
            best_cover=known.best_cover,
            look_alikes=await asyncio.to_thread(
                self._near, together, limit=n_look_alikes, is_open=None
            ),
        )

    async def similar(
        self, sale_id: str, *, limit: int, is_open: bool | None
    ) -> tuple[LookAlike, ...]:
        """Find the sales with the nearest pictures, the nearest first.

        Args:
            sale_id: The sale that they resemble.
            limit: Number of sales at most.
            is_open: Only open sales, only closed ones, or, with None, both.

        Raises:
            UnknownSaleError: If there is no such sale.
        """
        known = await self._known(sale_id)
        return await asyncio.to_thread(self._near, known.together, limit=limit, is_open=is_open)

    def view(self, picture: LabelledPicture) -> PictureView:
        """Name labels and topics of a picture; none if another scene model labelled it.

        Takes milliseconds: call it in a thread.
        """
        model = self.live.model
        if picture.scene_model != model.scene_model:
            return PictureView(picture.scene_model, (), (), picture.is_unlike)
        labels, topics = picture.scores.probabilities, model.topics
        return PictureView(
            scene_model=picture.scene_model,
            labels=_ranked(model.labels, labels),
            topics=_ranked_topics(topics, labels),
            is_unlike=picture.is_unlike,
        )

    async def _known(self, sale_id: str) -> "_KnownSale":
        """Return a sale, with the pictures that the served model understands."""
        stored = await self.sales.read(sale_id)
        await self.live.catch_up()
        served, scene_model = self.live.served, self.live.model.scene_model
        is_seed = served is not None and served.source is Source.SEED
        if self.live.is_outdated(sale_id, stored.sale if stored else None) or (
            stored is None and is_seed
        ):
            # The store lacks the newest state, which answers are made from.
            row = served.catalogue.row_for(sale_id) if served else None
            known = served.catalogue.sales[row] if served and row is not None else None
            stored = StoredSale(known, ()) if known else None
        if stored is None:
            raise UnknownSaleError(sale_id)
        scores = served.content.pictures.get(sale_id) if served else None
        pictures = join_pictures(sale_id, scores, stored=stored.pictures, scene_model=scene_model)
        return _KnownSale(stored.sale, pictures)

    def _near(
        self, picture: LabelledPicture | None, *, limit: int, is_open: bool | None
    ) -> tuple[LookAlike, ...]:
        """Find the nearest sales.

        At 100,000 sales this takes tens of milliseconds, in which no answer may wait: call it in
        a thread.
        """
        served = self.live.served
        if picture is None or served is None:
            return ()
        catalogue = served.catalogue
        opened = np.zeros(len(catalogue), dtype=np.bool_)
        opened[catalogue.eligible(None, self.clock.now_us())] = True
        wanted = catalogue.pictured & (catalogue.keys != np.uint64(key(picture.sale_id)))
        if is_open is not None:
            wanted &= opened == is_open
        found, similarities = nearest(
            catalogue.embeddings, picture.scores.embedding, rows=np.flatnonzero(wanted), k=limit
        )
        near: list[tuple[int, float]] = list(
            zip(found.tolist(), similarities.tolist(), strict=True)
        )
        return tuple(
            LookAlike(catalogue.sales[row].sale_id, similarity, bool(opened[row]))
            for row, similarity in near
        )


@dataclass(frozen=True, slots=True)
class _KnownSale:
    sale: Sale
    pictures: Mapping[int, LabelledPicture]

    @property
    def together(self) -> LabelledPicture | None:
        """All pictures as one: like no known scene only if none of them is like one."""
        if not self.pictures:
            return None
        first, *others = self.pictures.values()
        if not others:
            return first
        scores = {number: one.scores for number, one in self.pictures.items()}
        known = {one.is_unlike for one in self.pictures.values()}
        is_unlike = False if False in known else None if None in known else True
        return replace(first, scores=PictureScores.combine(scores), is_unlike=is_unlike)

    @property
    def best_cover(self) -> int | None:
        """Number of the picture with the surest label, of those like a known scene if any is."""

        def sureness(number: int) -> tuple[bool, float]:
            picture = self.pictures[number]
            # Labels of a picture like no known scene mean little, however sure.
            return not picture.is_unlike, float(picture.scores.probabilities.max(initial=0.0))

        return max(self.pictures, key=sureness, default=None)


def _ranked_topics(topics: Topics, labels: NDArray[np.float32]) -> tuple[Share, ...]:
    if not topics.names:
        return ()
    shown = np.flatnonzero(topics.is_shown)
    names = tuple(topics.names[topic] for topic in shown.tolist())
    return _ranked(names, topics.shares(labels[None])[0, shown])


def _ranked(names: tuple[str, ...], shares: NDArray[np.float32]) -> tuple[Share, ...]:
    order: list[int] = np.argsort(-shares, kind="stable").tolist()
    return tuple(Share(names[i], float(shares[i])) for i in order) if names else ()
