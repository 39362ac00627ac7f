"""What sells now to customers like him: popularity by market, device and how well he is known."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar, Final, Self

import numpy as np
from numpy.typing import NDArray

from models.arrays import Arrays
from models.catalogue import Catalogue
from models.kept import Kept
from models.query import Query
from models.recommenders.popularity import Popularity

HOT_EVENTS: Final = 10
"""A customer with so many known events is hot; with fewer, but at least one, warm; else cold."""

SEGMENTS: Final = ("cold", "warm", "hot")


def segment_of(n_events: int) -> str:
    """Return the segment of a customer with so many known events, impressions apart."""
    return SEGMENTS[2 if n_events >= HOT_EVENTS else int(n_events > 0)]


@dataclass(frozen=True, eq=False)
class Appeal:
    """How much more, or less, each group of customers opens a sale than all do.

    Attributes:
        groups: Names of the groups.
        keys: Keys of the sales that something is known of, ascending, shape ``(n,)``.
        factors: 1 where a group opens a sale as often as all do, shape ``(n, n_groups)``.
    """

    groups: tuple[str, ...]
    keys: NDArray[np.uint64]
    factors: NDArray[np.float64]

    def of(self, query: Query, group: str | None) -> NDArray[np.float64]:
        """Return the factors of a group for the candidates, 1 where nothing is known."""
        if group not in self.groups:
            return np.ones(len(query.rows))
        table = self._tables.of(query.catalogue)
        return table[query.rows, self.groups.index(group)]

    @cached_property
    def _tables(self) -> Kept[NDArray[np.float64]]:
        return Kept(self._table)

    def _table(self, catalogue: Catalogue) -> NDArray[np.float64]:
        table = np.ones((len(catalogue), len(self.groups)))
        rows = catalogue.rows_of(self.keys)
        known = rows >= 0
        table[rows[known]] = self.factors[known]
        return table

    def to_arrays(self, prefix: str) -> dict[str, NDArray[np.generic]]:
        """Return what was fitted, under names that begin with a prefix."""
        return {
            f"{prefix}_groups": np.array(self.groups, dtype=np.str_),
            f"{prefix}_keys": self.keys.view(np.int64),
            f"{prefix}_factors": self.factors,
        }

    @classmethod
    def from_arrays(cls, arrays: Arrays, prefix: str) -> Self:
        """Restore what `to_arrays` returned.

        Raises:
            ValueError: If an array is missing or does not fit its partners.
        """
        groups: Sequence[str] = arrays.strings(f"{prefix}_groups")
        keys, factors = arrays.integers(f"{prefix}_keys"), arrays.floats(f"{prefix}_factors")
        if factors.shape != (len(keys), len(groups)):
            msg = f"{factors.shape} factors of {len(keys)} sales and {len(groups)} groups"
            raise ValueError(msg)
        return cls(tuple(groups), keys.view(np.uint64), factors)


@dataclass(frozen=True, eq=False)
class Habits:
    """How much more, or less, groups of customers open and buy than all do, whatever the sale.

    Attributes:
        groups: Names of the groups.
        opens: Logarithm of opened by expected of what each looked at, shape ``(n_groups,)``.
        buys: Logarithm of bought by expected of what each opened, same shape.
    """

    groups: tuple[str, ...]
    opens: NDArray[np.float64]
    buys: NDArray[np.float64]

    def of(self, group: str | None) -> tuple[float, float]:
        """Return what a group opens and buys, 0 where nothing is known."""
        if group not in self.groups:
            return 0.0, 0.0
        place = self.groups.index(group)
        return float(self.opens[place]), float(self.buys[place])

    def to_arrays(self, prefix: str) -> dict[str, NDArray[np.generic]]:
        """Return what was fitted, under names that begin with a prefix."""
        return {
            f"{prefix}_habits": np.array(self.groups, dtype=np.str_),
            f"{prefix}_opens": self.opens,
            f"{prefix}_buys": self.buys,
        }

    @classmethod
    def from_arrays(cls, arrays: Arrays, prefix: str) -> Self:
        """Restore what `to_arrays` returned.

        Raises:
            ValueError: If an array is missing or does not fit its partners.
        """
        groups = arrays.strings(f"{prefix}_habits")
        opens, buys = arrays.floats(f"{prefix}_opens"), arrays.floats(f"{prefix}_buys")
        if not len(groups) == len(opens) == len(buys):
            msg = f"{len(groups)} groups open {len(opens)} and buy {len(buys)} times as much"
            raise ValueError(msg)
        return cls(tuple(groups), opens, buys)


@dataclass(frozen=True, eq=False)
class Audience:
    """Popularity of this minute times what last night knew of customers like him.

    Attributes:
        popularity: How well sales sell now, to all.
        markets: Appeal of sales by market.
        devices: The same by device.
        segments: The same by segment.
        market_habits: What markets open and buy, whatever the sale.
        device_habits: The same of devices.
    """

    popularity: Popularity
    markets: Appeal
    devices: Appeal
    segments: Appeal
    market_habits: Habits
    device_habits: Habits

    name: ClassVar[str] = "audience"
    columns: ClassVar[Mapping[str, str]] = {
        "audience": "Popularity times the appeal to his market, his device and his segment",
        "audience_market": "Logarithm of the appeal to his market against all, by last night",
        "audience_device": "The same to customers with his device",
        "audience_segment": "The same to customers known as much as he: cold, warm or hot",
        "audience_market_opens": "Logarithm of how much his market opens, against all",
        "audience_market_buys": "The same of how much it buys of what it opens",
        "audience_device_opens": "Logarithm of how much is opened with his device, against all",
        "audience_device_buys": "The same of how much is bought of what is opened with it",
    }

    def scores(self, query: Query) -> NDArray[np.float64]:
        """Score by audience; see `Recommender.scores`."""
        context = query.context
        market = self.markets.of(query, context.market)
        device = self.devices.of(query, context.device)
        segment = self.segments.of(query, segment_of(query.n_known_events))
        scores = np.empty((len(query.rows), len(self.columns)))
        scores[:, 0] = self.popularity.scores(query)[:, 0] * market * device * segment
        scores[:, 1:4] = np.log([market, device, segment]).T
        scores[:, 4:6] = self.market_habits.of(context.market)
        scores[:, 6:8] = self.device_habits.of(context.device)
        return scores

    def to_arrays(self) -> Mapping[str, NDArray[np.generic]]:
        """Return what was fitted; see `Recommender.to_arrays`."""
        return {
            **self.popularity.to_arrays(),
            **self.markets.to_arrays("markets"),
            **self.devices.to_arrays("devices"),
            **self.segments.to_arrays("segments"),
            **self.market_habits.to_arrays("markets"),
            **self.device_habits.to_arrays("devices"),
        }

    @classmethod
    def from_arrays(cls, arrays: Arrays) -> Self:
        """Restore the recommender; see `Recommender.from_arrays`."""
        return cls(
            popularity=Popularity.from_arrays(arrays),
            markets=Appeal.from_arrays(arrays, "markets"),
            devices=Appeal.from_arrays(arrays, "devices"),
            segments=Appeal.from_arrays(arrays, "segments"),
            market_habits=Habits.from_arrays(arrays, "markets"),
            device_habits=Habits.from_arrays(arrays, "devices"),
        )
