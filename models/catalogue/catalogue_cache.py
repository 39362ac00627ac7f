"""Memoisation of what is derived from a catalogue, or from a catalogue and its candidates."""

from collections.abc import Callable, Hashable
from typing import Any, TypeVar

T = TypeVar("T")


class CatalogueCache:
    """Derived values by key; lives and dies with the object that they are derived from.

    A catalogue has one for what follows from its sales (`Catalogue.cache`), and the eligible
    sales of a market have one for what follows from their rows, too (`EligibleSales.cache`).
    """

    def __init__(self) -> None:
        """Start empty."""
        self._values: dict[Hashable, Any] = {}

    def get_or_make(self, key: Hashable, make: Callable[[], T]) -> T:
        """Return the value of a key; compute and keep it on first use.

        Without a lock: two threads may compute a value at the same time. Both results are equal,
        and one of them is kept.

        Args:
            key: Names the value; an object stands for itself, so that no other has its key.
            make: Computes the value, not None.
        """
        value: T | None = self._values.get(key)
        if value is None:
            value = self._values[key] = make()
        return value
