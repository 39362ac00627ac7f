"""Model catalogue: a catalogue with the picture scores and topics of one model."""

from collections.abc import Iterable, Mapping

from app.catalogue.catalogue_version import CatalogueVersion, Source
from app.catalogue.count_history import by_row
from app.catalogue.model import Model
from app.stores.count import EventCounts
from app.stores.picture import RemovedPicture, StoredPicture, join_pictures
from models.catalogue.catalogue import Catalogue
from models.catalogue.event_counts import SaleCounts
from models.catalogue.snapshot import Snapshot
from models.domain.sale import PictureScores, Sale
from models.scoring.scorer import Scorer


class ModelCatalogue:
    """A model, and the catalogue built for it.

    Attributes:
        model: The model; it never changes.
        served: The catalogue with this model; None before the first build.
    """

    def __init__(self, model: Model) -> None:
        """Begin with the pictures that the bundle was trained with."""
        self.model = model
        self.served: CatalogueVersion | None = None
        self._known: Mapping[str, PictureScores] = model.scorer.pictures if model.scorer else {}
        self._pictures = dict(self._known)
        # Pictures of the store that the model understands, and removed ones.
        self._own: dict[str, dict[int, StoredPicture]] = {}
        self._unread: set[tuple[str, int]] = set()

    @property
    def n_other_scene_model(self) -> int:
        """Number of the store's pictures that another scene model labelled.

        Scores of different scene models do not compare: such a picture is left out.
        """
        return len(self._unread)

    def add_pictures(self, pictures: Iterable[StoredPicture]) -> None:
        """Add pictures of the store; the next build shows them."""
        for picture in pictures:
            # Also drops an earlier picture of this number.
            self._forget(picture.sale_id, picture.number)
            if isinstance(picture, RemovedPicture) or (
                self.model.scorer and picture.scene_model == self.model.scene_model
            ):
                self._own.setdefault(picture.sale_id, {})[picture.number] = picture
            else:
                self._unread.add((picture.sale_id, picture.number))
            self._combine(picture.sale_id)

    def forget_pictures(self, picture_keys: Iterable[tuple[str, int]]) -> None:
        """Drop pictures of the store, by sale id and number; those of the bundle are back."""
        for sale_id, number in picture_keys:
            self._forget(sale_id, number)
            self._combine(sale_id)

    def forget_all(self) -> None:
        """Drop all pictures of the store."""
        self._pictures = dict(self._known)
        self._own.clear()
        self._unread.clear()

    def build(self, sales: Mapping[str, Sale], counts: EventCounts, *, grid_us: int) -> None:
        """Build and serve a catalogue of sales with the counts up to a grid time; blocks."""
        before = self.served
        content = Snapshot.from_sales(
            sales, self._pictures, before=before.content if before else None
        )
        catalogue = content.catalogue(
            self.model.topics, before=before.catalogue if before else None
        )
        catalogue = catalogue.with_counts(self._counted(counts, catalogue, grid_us))
        if self.model.scorer:
            # Before any answer is made from it: what is cached per catalogue costs none its time.
            self.model.scorer.prepare(catalogue)
        self.served = CatalogueVersion.from_content(
            content, catalogue, source=Source.STORE, scorer=self.model.scorer
        )

    def set_counts(self, counts: EventCounts, *, grid_us: int) -> None:
        """Serve the same sales with other counts; a seed keeps those of its training."""
        if self.served is not None and self.served.source is not Source.SEED:
            counted = self._counted(counts, self.served.catalogue, grid_us)
            served = self.served.with_counts(counted)
            if self.model.scorer:
                self.model.scorer.prepare(served.catalogue)
            self.served = served

    def _counted(self, counts: EventCounts, catalogue: Catalogue, grid_us: int) -> SaleCounts:
        return by_row(counts, catalogue, grid_us=grid_us, half_lives=self.model.half_lives)

    def _forget(self, sale_id: str, number: int) -> None:
        self._unread.discard((sale_id, number))
        self._own.get(sale_id, {}).pop(number, None)

    def _combine(self, sale_id: str) -> None:
        own, known = self._own.get(sale_id, {}), self._known.get(sale_id)
        self._pictures.pop(sale_id, None)
        if known and not own:
            self._pictures[sale_id] = known
            return
        scene_model = self.model.scene_model
        joined = join_pictures(sale_id, known, stored=own.values(), scene_model=scene_model)
        if scores := {number: picture.scores for number, picture in joined.items()}:
            self._pictures[sale_id] = PictureScores.combine(scores)


def seed(scorer: Scorer) -> CatalogueVersion:
    """Return the catalogue of a bundle's training data."""
    catalogue = scorer.seed_catalogue()
    scorer.prepare(catalogue)
    return CatalogueVersion.from_content(
        scorer.snapshot, catalogue, source=Source.SEED, scorer=scorer
    )
