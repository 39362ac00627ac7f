"""Cache of values that are derived from a catalogue or from the eligible sales of a market."""

from collections.abc import Callable, Hashable
from typing import Any, TypeVar

T = TypeVar("T")


class CatalogueCache:
    """Cache of derived values by key, with the lifetime of the object they are derived from.

    A catalogue has one for values that depend on its sales (`Catalogue.cache`), and the eligible
    sales of a market have one for values that depend on their rows as well
    (`EligibleSales.cache`).
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
