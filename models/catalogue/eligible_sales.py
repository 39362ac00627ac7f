"""Eligible sales of a market, cached until the next sale opens or closes."""

from dataclasses import dataclass, field
from functools import cached_property
from typing import Final

import numpy as np
from numpy.typing import NDArray

from models.catalogue.catalogue import NEVER_US, Catalogue
from models.catalogue.catalogue_cache import CatalogueCache

# Chosen: an entry takes about 3 kB per sale.
MAX_MARKETS_CACHED: Final = 8
"""Markets cached at most per catalogue."""

_ALWAYS_US: Final = np.iinfo(np.int64).min


@dataclass(frozen=True, eq=False)
class EligibleSales:
    """Eligible sales of a market, with the time for which they stay the same.

    Attributes:
        catalogue: All known sales with their counts.
        rows: Catalogue rows of the candidates, shape ``(n_sales,)``.
        from_us: Start of validity, microseconds since the epoch.
        until_us: End of validity, exclusive.
        cache: Values derived from the catalogue and the rows.
    """

    catalogue: Catalogue
    rows: NDArray[np.int64]
    from_us: int
    until_us: int
    cache: CatalogueCache = field(default_factory=CatalogueCache)


class EligibleSalesCache:
    """Cache of the eligible sales of one catalogue, by market."""

    def __init__(self, catalogue: Catalogue) -> None:
        """Start empty."""
        self._catalogue = catalogue
        self._by_market: dict[int | None, EligibleSales] = {}

    def at(self, market: str | None, now_us: int) -> EligibleSales:
        """Return the eligible sales of a market at a time; see `Catalogue.eligible`."""
        # Callers may send any market. All markets without a sale of their own share one entry, so
        # that unknown names cannot fill the memory.
        bit = None if market is None else int(self._catalogue.markets.bit(market))
        found = self._by_market.get(bit)
        if found is not None and found.from_us <= now_us < found.until_us:
            return found
        if len(self._by_market) >= MAX_MARKETS_CACHED:
            self._by_market = {}
        place = int(self._changes_us.searchsorted(now_us, side="right"))
        found = self._by_market[bit] = EligibleSales(
            catalogue=self._catalogue,
            rows=self._catalogue.eligible(market, now_us),
            from_us=int(self._changes_us[place - 1]),
            until_us=int(self._changes_us[place]),
        )
        return found

    @cached_property
    def _changes_us(self) -> NDArray[np.int64]:
        # Openings and closings of all sales, ascending, between minus and plus infinity.
        catalogue = self._catalogue
        ends = np.array([_ALWAYS_US, NEVER_US])
        return np.unique(np.concatenate([ends, catalogue.opens_us, catalogue.closes_us]))
