"""Catalogue version: an immutable pair of catalogue and model, from which an answer is made."""

from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property
from typing import Self

from models.catalogue.catalogue import Catalogue
from models.catalogue.eligible_sales import EligibleSalesCache
from models.catalogue.event_counts import RETENTION_HOURS, SaleCounts
from models.catalogue.snapshot import Snapshot
from models.domain.units import HOUR_US
from models.scoring.scorer import Scorer


class Source(StrEnum):
    """Origin of a catalogue: the store, a file of this machine, or the bundle."""

    STORE = "store"
    SAVED = "saved"
    SEED = "seed"


@dataclass(frozen=True, eq=False)
class CatalogueVersion:
    """A catalogue with its counts, and the scorer that it was built for.

    An answer made from one version mixes neither catalogues nor bundles.

    Attributes:
        snapshot_id: Id of its files: the hashes of content and counts, joined by a dot.
        content: The sales with the scores of their pictures.
        catalogue: The same as columns, with counts.
        source: The store; a file of this machine; or the bundle, for an empty store.
        scorer: The model that it was built for; None without a bundle.
    """

    snapshot_id: str
    content: Snapshot
    catalogue: Catalogue
    source: Source
    scorer: Scorer | None

    @property
    def bundle_id(self) -> str:
        """Id of the bundle that scores, empty without."""
        return self.scorer.bundle_id if self.scorer else ""

    @cached_property
    def eligible_sales(self) -> EligibleSalesCache:
        """Eligible sales per market, shared by all requests."""
        return EligibleSalesCache(self.catalogue)

    def has_stale_counts(self, now_us: int) -> bool:
        """Tell whether no recent event is known, and the model learned from counts that are old.

        Args:
            now_us: The moment; events of the last 14 days before it are recent.
        """
        if self.scorer is None or self._has_counts or not self.scorer.counts.totals.any():
            return False
        return self.scorer.counts.at_us < now_us - RETENTION_HOURS * HOUR_US

    @cached_property
    def _has_counts(self) -> bool:
        return bool(self.catalogue.counts.totals.any())

    @classmethod
    def from_content(
        cls, content: Snapshot, catalogue: Catalogue, *, source: Source, scorer: Scorer | None
    ) -> Self:
        """Return a version, with the id of its content and counts."""
        return cls(f"{content.id}.{catalogue.counts.id}", content, catalogue, source, scorer)

    def with_counts(self, counts: SaleCounts) -> Self:
        """Return the same content with other counts, under its own id."""
        return self.from_content(
            self.content, self.catalogue.with_counts(counts), source=self.source, scorer=self.scorer
        )
