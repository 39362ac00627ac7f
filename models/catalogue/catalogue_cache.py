"""What is made of a catalogue's sales once, whatever their counts are."""

from collections.abc import Callable
from typing import Generic, TypeVar

from models.catalogue.catalogue import Catalogue
from models.catalogue.columns import Vocabulary

T = TypeVar("T")


class CatalogueCache(Generic[T]):
    """Remembers what was made of the last two catalogues.

    Catalogues that differ in their counts alone share their vocabulary, and so what is made.
    """

    def __init__(self, make: Callable[[Catalogue], T]) -> None:
        """Remember nothing yet.

        Args:
            make: Computes from a catalogue what does not depend on its counts.
        """
        self._make = make
        self._kept: tuple[tuple[Vocabulary, T], ...] = ()

    def of(self, catalogue: Catalogue) -> T:
        """Return what is made of a catalogue."""
        kept = self._kept
        for vocabulary, made in kept:
            if vocabulary is catalogue.vocabulary:
                return made
        made = self._make(catalogue)
        # One assignment: another thread sees what was kept before, or all of what is now.
        self._kept = ((catalogue.vocabulary, made), *kept[:1])
        return made
