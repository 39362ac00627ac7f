"""Cache of values that are derived from a catalogue or from the eligible sales of a market."""

from collections.abc import Callable, Hashable
from functools import wraps
from typing import Any, Protocol, TypeVar

T = TypeVar("T")
Owner = TypeVar("Owner", bound=Hashable)


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


class HasCache(Protocol):
    """An object with a cache: a catalogue, or a batch of queries."""

    @property
    def cache(self) -> CatalogueCache:
        """What was derived from it."""
        ...


Source = TypeVar("Source", bound=HasCache)


def cached(method: Callable[[Owner, Source], T]) -> Callable[[Owner, Source], T]:
    """Cache what a method returns for a catalogue or a batch, in that one's cache.

    Owners that are equal share the value.
    """

    @wraps(method)
    def look_up(self: Owner, source: Source) -> T:
        return source.cache.get_or_make((self, method.__name__), lambda: method(self, source))

    return look_up
