"""What is on offer in a market for a while, and what follows from it whoever asks."""

from collections.abc import Callable, Hashable
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Final, TypeVar

import numpy as np
from numpy.typing import NDArray

from models.catalogue.catalogue import NEVER_US, Catalogue

MAX_OFFERS: Final = 8
"""Offers of a catalogue that are kept: one has about 3 kB for each of its sales."""

_ALWAYS_US: Final = np.iinfo(np.int64).min

T = TypeVar("T")


class Memoiser:
    """Remembers what was made, by what it is."""

    def __init__(self) -> None:
        """Remember nothing yet."""
        self._made: dict[Hashable, Any] = {}

    def once(self, what: Hashable, make: Callable[[], T]) -> T:
        """Return what was made under a name; make it where nothing was.

        Two threads may both make it: the same, of which one is kept.
        """
        made: T | None = self._made.get(what)
        if made is None:
            made = self._made[what] = make()
        return made


@dataclass(frozen=True, eq=False)
class Offer:
    """Candidates that many customers are asked about.

    Attributes:
        catalogue: All known sales with their counts.
        rows: Catalogue rows of the candidates, shape ``(n_sales,)``.
        from_us: The moment from which on they are what is open, microseconds since the epoch.
        until_us: The moment from which on they no longer are.
        memo: What follows from catalogue and rows alone.
    """

    catalogue: Catalogue
    rows: NDArray[np.int64]
    from_us: int
    until_us: int
    memo: Memoiser = field(default_factory=Memoiser)


class EligibleSales:
    """The offers of one catalogue: of a market, from one opening or closing to the next."""

    def __init__(self, catalogue: Catalogue) -> None:
        """Make no offer yet."""
        self._catalogue = catalogue
        self._kept: dict[int | None, Offer] = {}

    def at(self, market: str | None, now_us: int) -> Offer:
        """Return what may be shown in a market at a moment; see `Catalogue.eligible`."""
        # A caller may name any market: those that no sale names have one offer together.
        bit = None if market is None else int(self._catalogue.markets.bit(market))
        kept = self._kept.get(bit)
        if kept is not None and kept.from_us <= now_us < kept.until_us:
            return kept
        if len(self._kept) >= MAX_OFFERS:
            self._kept = {}
        offer = self._kept[bit] = self._made(market, now_us)
        return offer

    def _made(self, market: str | None, now_us: int) -> Offer:
        place = int(self._changes_us.searchsorted(now_us, side="right"))
        return Offer(
            catalogue=self._catalogue,
            rows=self._catalogue.eligible(market, now_us),
            from_us=int(self._changes_us[place - 1]),
            until_us=int(self._changes_us[place]),
        )

    @cached_property
    def _changes_us(self) -> NDArray[np.int64]:
        """When any sale opens or closes, ascending, between always and never."""
        catalogue = self._catalogue
        ends = np.array([_ALWAYS_US, NEVER_US])
        return np.unique(np.concatenate([ends, catalogue.opens_us, catalogue.closes_us]))
