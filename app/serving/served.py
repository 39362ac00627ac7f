"""One immutable state of the catalogue, as answers see it."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Self

from models.catalogue import Catalogue
from models.counters import SaleCounts
from models.snapshot import Snapshot


class Source(StrEnum):
    """Where a catalogue comes from."""

    STORE = "store"
    SAVED = "saved"
    SEED = "seed"


@dataclass(frozen=True, slots=True, eq=False)
class ServedCatalogue:
    """A catalogue with its counts, and the id under which it is kept.

    Attributes:
        snapshot_id: Hashes of content and counts, with a dot between them.
        content: The sales and what their pictures show.
        catalogue: The same as columns, with counts.
        source: The store; a file of this machine; or the bundle, for a store that is empty.
    """

    snapshot_id: str
    content: Snapshot
    catalogue: Catalogue
    source: Source

    @classmethod
    def of(cls, content: Snapshot, catalogue: Catalogue, *, source: Source) -> Self:
        """Name a catalogue built from a content."""
        return cls(f"{content.id}.{catalogue.counts.id}", content, catalogue, source)

    def with_counts(self, counts: SaleCounts) -> Self:
        """Return the same content with other counts, under its own id."""
        return type(self).of(self.content, self.catalogue.with_counts(counts), source=self.source)
