"""The catalogue as one model sees it: with the pictures that it understands, and its topics."""

from collections.abc import Iterable, Mapping

from app.serving.history import by_row
from app.serving.model import Model
from app.serving.ports import EventCounts, LabelledPicture
from app.serving.served import ServedCatalogue, Source
from models.sale import PictureScores, Sale
from models.scoring import Scorer
from models.snapshot import Snapshot


class ModelView:
    """A model and the catalogue built for it: who holds a view holds a pair that fits.

    Attributes:
        model: The model; it never changes.
        served: The catalogue that answers see; None before there is any.
        n_unread: Pictures in the store that another scene model labelled. Scores of different
            models do not compare, so this one takes the sale for one without a new picture.
    """

    def __init__(self, model: Model) -> None:
        """Know the pictures that the bundle was trained with."""
        self.model = model
        self.served: ServedCatalogue | None = None
        self._known: Mapping[str, PictureScores] = model.scorer.pictures if model.scorer else {}
        self._pictures = dict(self._known)
        self._unread: set[str] = set()

    @property
    def n_unread(self) -> int:
        """How many of the store's pictures this model does not understand."""
        return len(self._unread)

    def see(self, pictures: Iterable[LabelledPicture]) -> None:
        """Take over pictures of the store; the served catalogue shows them once it is built."""
        for picture in pictures:
            # A picture that replaced another one leaves nothing of it.
            self.forget([picture.sale_id])
            if self.model.scorer and picture.scene_model == self.model.scorer.scene_model:
                self._pictures[picture.sale_id] = picture.scores
            else:
                self._unread.add(picture.sale_id)

    def forget(self, sale_ids: Iterable[str]) -> None:
        """Know of these what a worker that starts now would know of them."""
        for sale_id in sale_ids:
            self._unread.discard(sale_id)
            self._pictures.pop(sale_id, None)
            if sale_id in self._known:
                self._pictures[sale_id] = self._known[sale_id]

    def forget_all(self) -> None:
        """Know the pictures that the bundle was trained with, and no others."""
        self._pictures = dict(self._known)
        self._unread.clear()

    def build(self, sales: Mapping[str, Sale], counts: EventCounts, *, grid_us: int) -> None:
        """Serve these sales with the counts up to a grid time; blocks."""
        before = self.served
        content = Snapshot.of(sales, self._pictures, before=before.content if before else None)
        catalogue = content.catalogue(
            self.model.topics, before=before.catalogue if before else None
        )
        catalogue = catalogue.with_counts(by_row(counts, catalogue, grid_us=grid_us))
        self.served = ServedCatalogue.of(
            content, catalogue, source=Source.STORE, scorer=self.model.scorer
        )

    def count(self, counts: EventCounts, *, grid_us: int) -> None:
        """Serve the same sales with other counts; a seed has those of its training."""
        if self.served is not None and self.served.source is not Source.SEED:
            rows = by_row(counts, self.served.catalogue, grid_us=grid_us)
            self.served = self.served.with_counts(rows)

    def serve_seed(self) -> None:
        """Serve what the bundle was trained on, if there is one."""
        scorer = self.model.scorer
        self.served = seed(scorer) if scorer else None


def seed(scorer: Scorer) -> ServedCatalogue:
    """Return the catalogue that a bundle brings along."""
    return ServedCatalogue.of(
        scorer.snapshot, scorer.seed_catalogue(), source=Source.SEED, scorer=scorer
    )
