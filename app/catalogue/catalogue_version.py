"""One immutable state of catalogue and model, as answers see it."""

from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property
from typing import Self

from models.catalogue.catalogue import Catalogue
from models.catalogue.eligible_sales import EligibleSales
from models.catalogue.event_counts import SaleCounts
from models.catalogue.snapshot import Snapshot
from models.scoring.scorer import Scorer


class Source(StrEnum):
    """Where a catalogue comes from."""

    STORE = "store"
    SAVED = "saved"
    SEED = "seed"


@dataclass(frozen=True, eq=False)
class CatalogueVersion:
    """A catalogue with its counts, the id under which it is kept, and who scores it.

    An answer that is made from one of these mixes neither catalogues nor bundles.

    Attributes:
        snapshot_id: Hashes of content and counts, with a dot between them.
        content: The sales and what their pictures show.
        catalogue: The same as columns, with counts.
        source: The store; a file of this machine; or the bundle, for a store that is empty.
        scorer: The model that it was built for; None without a bundle.
    """

    snapshot_id: str
    content: Snapshot
    catalogue: Catalogue
    source: Source
    scorer: Scorer | None

    @property
    def bundle_id(self) -> str:
        """The bundle that scores, empty without."""
        return self.scorer.bundle_id if self.scorer else ""

    @cached_property
    def offers(self) -> EligibleSales:
        """What may be shown, and what follows from it for all who look at once."""
        return EligibleSales(self.catalogue)

    @classmethod
    def of(
        cls, content: Snapshot, catalogue: Catalogue, *, source: Source, scorer: Scorer | None
    ) -> Self:
        """Name a catalogue built from a content for a model."""
        return cls(f"{content.id}.{catalogue.counts.id}", content, catalogue, source, scorer)

    def with_counts(self, counts: SaleCounts) -> Self:
        """Return the same content with other counts, under its own id."""
        return type(self).of(
            self.content,
            self.catalogue.with_counts(counts),
            source=self.source,
            scorer=self.scorer,
        )
