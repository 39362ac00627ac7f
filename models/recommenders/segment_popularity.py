"""What sells now to customers like him, and how much such customers, and he himself, buy at all."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import astuple, dataclass, fields
from functools import cached_property
from typing import ClassVar, Final, Self

import numpy as np
from numpy.typing import NDArray

from models.arrays.array_file import Arrays
from models.catalogue.catalogue import Catalogue
from models.catalogue.catalogue_cache import CatalogueCache
from models.domain.event import KIND, EventType
from models.domain.profile import Profile
from models.query.query import Batch, Query
from models.recommenders.popularity import Popularity
from models.recommenders.recommender import Recommender

_IMPRESSION: Final = KIND[EventType.IMPRESSION]
_VIEW: Final = KIND[EventType.VIEW]
_CLICK: Final = KIND[EventType.CLICK]
_PURCHASE: Final = KIND[EventType.PURCHASE]

HOT_EVENTS: Final = 10
"""A customer with so many known events is hot; with fewer, but at least one, warm; else cold."""

_N_OWN: Final = 2
"""Columns of the customer himself, the last ones."""

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

    def of(self, batch: Batch, groups: Sequence[str | None]) -> NDArray[np.float64]:
        """Return the factors of each query's group for its candidates, 1 where nothing is known.

        Args:
            batch: The queries.
            groups: The group of each.

        Returns:
            Shape ``(n_queries, n_sales)``.
        """
        table = self._tables.of(batch.catalogue)
        columns = [self._column.get(group, -1) for group in groups]
        return table[batch.rows, np.array(columns)[:, None]]

    @cached_property
    def _column(self) -> Mapping[str | None, int]:
        return {group: column for column, group in enumerate(self.groups)}

    @cached_property
    def _tables(self) -> CatalogueCache[NDArray[np.float64]]:
        return CatalogueCache(self._table)

    def _table(self, catalogue: Catalogue) -> NDArray[np.float64]:
        """Lay out the factors, and those of unknown groups last."""
        table = np.ones((len(catalogue), len(self.groups) + 1))
        rows = catalogue.rows_of(self.keys)
        known = rows >= 0
        table[rows[known], :-1] = self.factors[known]
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

    def of(self, groups: Sequence[str | None]) -> NDArray[np.float64]:
        """Return what each group opens and buys, 0 where nothing is known, shape ``(n, 2)``."""
        return np.array([self._known.get(group, (0.0, 0.0)) for group in groups])

    @cached_property
    def _known(self) -> Mapping[str | None, tuple[float, float]]:
        both = zip(self.opens.tolist(), self.buys.tolist(), strict=True)
        return dict(zip(self.groups, both, strict=True))

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


@dataclass(frozen=True)
class Ways:
    """How much more, or less, one customer opens and buys than all do, by his profile.

    A customer's rate is that of all times a factor that varies over customers around 1, as a
    gamma variable of shape ``weight`` does: after ``o`` events where ``e`` were expected its
    mean is ``(o + weight) / (e + weight)``.

    Attributes:
        click_rate: Clicks per impression of all, 0 where no impressions are on record.
        click_weight: Expected clicks that his own weigh as much as, positive.
        purchase_rate: Purchases per view or click of all.
        purchase_weight: Expected purchases that his own weigh as much as, positive.
    """

    click_rate: float
    click_weight: float
    purchase_rate: float
    purchase_weight: float

    def of(self, profile: Profile) -> tuple[float, float]:
        """Return the logarithms of both factors, 0 where nothing is known."""
        counts = profile.counts
        clicks, opened = counts[_CLICK], counts[_CLICK] + counts[_VIEW]
        looked = self.click_rate * counts[_IMPRESSION]
        return (
            _log_factor(clicks, looked, self.click_weight) if looked else 0.0,
            _log_factor(counts[_PURCHASE], self.purchase_rate * opened, self.purchase_weight),
        )


def _log_factor(seen: float, expected: float, weight: float) -> float:
    return math.log((seen + weight) / (expected + weight))


@dataclass(frozen=True, eq=False)
class SegmentPopularity(Recommender):
    """Popularity of this minute times what last night knew of customers like him.

    Attributes:
        popularity: How well sales sell now, to all.
        markets: Appeal of sales by market.
        devices: The same by device.
        segments: The same by segment.
        market_habits: What markets open and buy, whatever the sale.
        device_habits: The same of devices.
        ways: How much he opens and buys himself.
    """

    popularity: Popularity
    markets: Appeal
    devices: Appeal
    segments: Appeal
    market_habits: Habits
    device_habits: Habits
    ways: Ways

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
        "audience_own_opens": "Logarithm of how much he opened before last night, against all",
        "audience_own_buys": "The same of how much he bought of what he opened",
    }

    def batch_scores(self, batch: Batch) -> NDArray[np.float64]:
        """Score by audience; see `Recommender.batch_scores`."""
        audiences = tuple(map(self._audience, batch.queries))
        shared = batch.memo.once((self, audiences), lambda: self._shared(batch, audiences))
        scores = np.empty((*batch.rows.shape, len(self.columns)))
        scores[..., :-_N_OWN] = shared
        own = [self.ways.of(query.profile) for query in batch.queries]
        scores[..., -_N_OWN:] = np.array(own)[:, None]
        return scores

    def _audience(self, query: Query) -> tuple[str | None, str | None, str]:
        """Return market, device and segment; callers may name others than are known."""
        market, device = query.context.market, query.context.device
        return (
            market if market in self._known_markets else None,
            device if device in self._known_devices else None,
            segment_of(query.n_known_events),
        )

    @cached_property
    def _known_markets(self) -> frozenset[str]:
        return frozenset([*self.markets.groups, *self.market_habits.groups])

    @cached_property
    def _known_devices(self) -> frozenset[str]:
        return frozenset([*self.devices.groups, *self.device_habits.groups])

    def _shared(
        self, batch: Batch, audiences: Sequence[tuple[str | None, str | None, str]]
    ) -> NDArray[np.float64]:
        markets, devices, segments = zip(*audiences, strict=True)
        appeals = np.array(
            [
                self.markets.of(batch, markets),
                self.devices.of(batch, devices),
                self.segments.of(batch, segments),
            ]
        )
        market, device, segment = appeals
        scores = np.empty((*batch.rows.shape, len(self.columns) - _N_OWN))
        scores[..., 0] = self.popularity.order(batch) * market * device * segment
        scores[..., 1:4] = np.log(appeals).transpose(1, 2, 0)
        scores[..., 4:6] = self.market_habits.of(markets)[:, None]
        scores[..., 6:8] = self.device_habits.of(devices)[:, None]
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
            "ways": np.array(astuple(self.ways)),
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
            ways=_ways(arrays.floats("ways").tolist()),
        )


def _ways(numbers: Sequence[float]) -> Ways:
    if len(numbers) != len(fields(Ways)):
        msg = f"{len(numbers)} numbers of how much customers open and buy"
        raise ValueError(msg)
    ways = Ways(*numbers)
    if min(ways.click_weight, ways.purchase_weight) <= 0 or min(numbers) < 0:
        msg = f"how much customers open and buy cannot be {ways}"
        raise ValueError(msg)
    return ways
