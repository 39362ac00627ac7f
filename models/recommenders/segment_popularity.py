"""Popularity by market, device and segment, and activity of groups and of the customer."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import astuple, dataclass, fields
from functools import cached_property
from typing import ClassVar, Final, Self

import numpy as np
from numpy.typing import NDArray

from models.arrays.array_file import Arrays
from models.catalogue.catalogue import Catalogue
from models.catalogue.catalogue_cache import cached
from models.domain.event import CLICK, IMPRESSION, PURCHASE, VIEW
from models.domain.profile import Profile
from models.kernel.steps import Step
from models.query.query import Batch, Query
from models.recommenders.popularity import Popularity
from models.recommenders.recommender import Recommender

# Chosen.
HOT_EVENTS: Final = 10
"""Known events from which a customer is hot; one or more: warm; none: cold."""

# The last columns depend on the customer's profile, the others on market, device and segment.
_N_OWN: Final = 2

SEGMENTS: Final = ("cold", "warm", "hot")


def segment_for(n_events: int) -> str:
    """Return the segment of a customer by the number of known events without impressions."""
    return SEGMENTS[2 if n_events >= HOT_EVENTS else int(n_events > 0)]


@dataclass(frozen=True, eq=False)
class SaleLift:
    """Open rate of each sale by group of customers, relative to all customers.

    Attributes:
        groups: Names of the groups.
        keys: Keys of the sales with known factors, ascending, shape ``(n,)``.
        factors: Relative open rates, 1 for the average, shape ``(n, n_groups)``.
    """

    groups: tuple[str, ...]
    keys: NDArray[np.uint64]
    factors: NDArray[np.float64]

    def lookup(self, batch: Batch, groups: Sequence[str | None]) -> NDArray[np.float64]:
        """Return the factors of each query's group for its candidates, 1 where unknown.

        Args:
            batch: The queries.
            groups: The group of each.

        Returns:
            Shape ``(n_queries, n_sales)``.
        """
        column: dict[str | None, int] = {group: place for place, group in enumerate(self.groups)}
        columns = [column.get(group, -1) for group in groups]
        return self.table(batch.catalogue)[batch.rows, np.array(columns)[:, None]]

    @cached
    def table(self, catalogue: Catalogue) -> NDArray[np.float64]:
        """Return the factors of every sale, shape ``(n_catalogue, n_groups + 1)``.

        The last column is for unknown groups.
        """
        table = np.ones((len(catalogue), len(self.groups) + 1))
        rows = catalogue.rows_for(self.keys)
        known = rows >= 0
        table[rows[known], :-1] = self.factors[known]
        return table

    def to_arrays(self, prefix: str) -> dict[str, NDArray[np.generic]]:
        """Return the fitted arrays, their names with a prefix."""
        return {
            f"{prefix}_groups": np.array(self.groups, dtype=np.str_),
            f"{prefix}_keys": self.keys.view(np.int64),
            f"{prefix}_factors": self.factors,
        }

    @classmethod
    def from_arrays(cls, arrays: Arrays, prefix: str) -> Self:
        """Restore what `to_arrays` returned.

        Raises:
            ValueError: If an array is missing or its shape does not fit the others.
        """
        groups: Sequence[str] = arrays.strings(f"{prefix}_groups")
        keys, factors = arrays.integers(f"{prefix}_keys"), arrays.floats(f"{prefix}_factors")
        if factors.shape != (len(keys), len(groups)):
            msg = f"{factors.shape} factors of {len(keys)} sales and {len(groups)} groups"
            raise ValueError(msg)
        return cls(tuple(groups), keys.view(np.uint64), factors)


@dataclass(frozen=True, eq=False)
class GroupActivity:
    """Open and purchase rates of groups of customers over all sales, relative to all customers.

    Attributes:
        groups: Names of the groups.
        opens: Log of observed over expected openings of examined sales, shape ``(n_groups,)``.
        buys: Log of observed over expected purchases of opened sales, same shape.
    """

    groups: tuple[str, ...]
    opens: NDArray[np.float64]
    buys: NDArray[np.float64]

    def lookup(self, groups: Sequence[str | None]) -> NDArray[np.float64]:
        """Return both logs of each group, 0 where unknown, shape ``(n, 2)``."""
        both = zip(self.opens.tolist(), self.buys.tolist(), strict=True)
        known: dict[str | None, tuple[float, float]] = dict(zip(self.groups, both, strict=True))
        return np.array([known.get(group, (0.0, 0.0)) for group in groups])

    def to_arrays(self, prefix: str) -> dict[str, NDArray[np.generic]]:
        """Return the fitted arrays, their names with a prefix."""
        return {
            f"{prefix}_habits": np.array(self.groups, dtype=np.str_),
            f"{prefix}_opens": self.opens,
            f"{prefix}_buys": self.buys,
        }

    @classmethod
    def from_arrays(cls, arrays: Arrays, prefix: str) -> Self:
        """Restore what `to_arrays` returned.

        Raises:
            ValueError: If an array is missing or its shape does not fit the others.
        """
        groups = arrays.strings(f"{prefix}_habits")
        opens, buys = arrays.floats(f"{prefix}_opens"), arrays.floats(f"{prefix}_buys")
        if not len(groups) == len(opens) == len(buys):
            msg = f"{len(groups)} groups open {len(opens)} and buy {len(buys)} times as much"
            raise ValueError(msg)
        return cls(tuple(groups), opens, buys)


@dataclass(frozen=True)
class CustomerActivity:
    """Open and purchase rates of one customer relative to all, by their profile.

    A gamma-Poisson model: a customer's rate is the rate of all times a gamma variable of mean 1
    and shape ``weight``, whose posterior mean after ``o`` observed and ``e`` expected events is
    ``(o + weight) / (e + weight)``. Events are counted as by `opened_counts`.

    Attributes:
        click_rate: Clicks per impression of all customers, 0 without impressions.
        click_weight: Shape of the prior, in expected clicks, positive.
        purchase_rate: Purchases per opened sale of all customers.
        purchase_weight: Shape of the prior, in expected purchases, positive.
    """

    click_rate: float
    click_weight: float
    purchase_rate: float
    purchase_weight: float

    @classmethod
    def from_numbers(cls, numbers: Sequence[float]) -> Self:
        """Restore what was fitted from its numbers, in the order of the attributes.

        Raises:
            ValueError: If there is another number of them, or a prior is not positive.
        """
        expected = len(fields(cls))
        if len(numbers) != expected:
            msg = f"customer activity has {expected} numbers, got {len(numbers)}"
            raise ValueError(msg)
        found = cls(*numbers)
        if min(found.click_weight, found.purchase_weight) <= 0 or min(numbers) < 0:
            msg = f"customer activity must be positive, got {found}"
            raise ValueError(msg)
        return found

    def log_factors(self, profile: Profile) -> tuple[float, float]:
        """Return the logs of the open and the purchase factor, 0 where unknown."""
        counts = profile.counts
        bought = counts[PURCHASE]
        clicks, opened = max(counts[CLICK], bought), max(counts[CLICK] + counts[VIEW], bought)
        expected = self.click_rate * counts[IMPRESSION]
        return (
            _log_factor(clicks, expected, self.click_weight) if expected else 0.0,
            _log_factor(bought, self.purchase_rate * opened, self.purchase_weight),
        )


def opened_counts(
    counts: NDArray[np.float64],
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return clicks, and clicks and views, no less of either than purchases.

    What was bought was opened, also where no click is on record. Then the rate of opening is that
    of buying.

    Args:
        counts: Events by type code, shape ``(..., n_kinds)``.

    Returns:
        Both of shape ``(...)``.
    """
    clicks, bought = counts[..., CLICK], counts[..., PURCHASE]
    return np.maximum(clicks, bought), np.maximum(clicks + counts[..., VIEW], bought)


def _log_factor(seen: float, expected: float, weight: float) -> float:
    return math.log((seen + weight) / (expected + weight))


@dataclass(frozen=True, eq=False)
class SegmentPopularity(Recommender):
    """Current popularity times the lift of the customer's market, device and segment.

    Attributes:
        popularity: Current popularity with all customers.
        markets: Lift of sales by market, as of the last night.
        devices: The same by device.
        segments: The same by segment.
        market_activity: Open and purchase rates of markets.
        device_activity: The same of devices.
        customer_activity: Open and purchase rates of single customers.
    """

    popularity: Popularity
    markets: SaleLift
    devices: SaleLift
    segments: SaleLift
    market_activity: GroupActivity
    device_activity: GroupActivity
    customer_activity: CustomerActivity

    name: ClassVar[str] = "audience"
    is_shared_first: ClassVar[bool] = True
    columns: ClassVar[Mapping[str, str]] = {
        "audience": "Popularity times the lift of the customer's market, device and segment",
        "audience_market": "Logarithm of the sale's relative open rate in the customer's market",
        "audience_device": "The same for the customer's device",
        "audience_segment": "The same for the customer's segment: cold, warm or hot",
        "audience_market_opens": "Logarithm of the relative open rate of the customer's market",
        "audience_market_buys": "The same of its purchases per opened sale",
        "audience_device_opens": "Logarithm of the relative open rate of the customer's device",
        "audience_device_buys": "The same of its purchases per opened sale",
        "audience_own_opens": "Logarithm of the customer's relative open rate before last night; "
        "what was bought was opened",
        "audience_own_buys": "The same of the customer's purchases per opened sale",
    }

    def shared_scores(self, batch: Batch) -> NDArray[np.float64]:
        """Score by group, shape ``(n_queries, n_sales, 8)``; see `Recommender.shared_scores`."""
        groups = [self.shared_by(query) for query in batch.queries]
        markets, devices, segments = zip(*groups, strict=True)
        lifts = np.array(
            [
                self.markets.lookup(batch, markets),
                self.devices.lookup(batch, devices),
                self.segments.lookup(batch, segments),
            ]
        )
        market, device, segment = lifts
        scores = np.empty((*batch.rows.shape, len(self.columns) - _N_OWN))
        scores[..., 0] = self.popularity.order(batch) * market * device * segment
        scores[..., 1:4] = np.log(lifts).transpose(1, 2, 0)
        scores[..., 4:6] = self.market_activity.lookup(markets)[:, None]
        scores[..., 6:8] = self.device_activity.lookup(devices)[:, None]
        return scores

    def step(self, catalogue: Catalogue) -> Step:
        """Return the step of the customer's own activity; see `Recommender.step`."""
        del catalogue
        return Step.copying(_N_OWN)

    def given(self, query: Query) -> Sequence[float]:
        """Return the customer's own activity; see `Recommender.given`."""
        return self.customer_activity.log_factors(query.profile)

    def shared_by(self, query: Query) -> tuple[str | None, str | None, str]:
        """Return market, device and segment; None for an unknown one, which bounds the cache."""
        market, device = query.context.market, query.context.device
        known_markets, known_devices = self._known
        return (
            market if market in known_markets else None,
            device if device in known_devices else None,
            segment_for(query.n_known_events),
        )

    @cached_property
    def _known(self) -> tuple[frozenset[str], frozenset[str]]:
        # Markets and devices; a set, as a request looks one up before it knows its cache's key.
        return (
            frozenset([*self.markets.groups, *self.market_activity.groups]),
            frozenset([*self.devices.groups, *self.device_activity.groups]),
        )

    def to_arrays(self) -> Mapping[str, NDArray[np.generic]]:
        """Return the fitted arrays; see `Recommender.to_arrays`."""
        return {
            **self.popularity.to_arrays(),
            **self.markets.to_arrays("markets"),
            **self.devices.to_arrays("devices"),
            **self.segments.to_arrays("segments"),
            **self.market_activity.to_arrays("markets"),
            **self.device_activity.to_arrays("devices"),
            "ways": np.array(astuple(self.customer_activity)),
        }

    @classmethod
    def from_arrays(cls, arrays: Arrays) -> Self:
        """Restore the recommender; see `Recommender.from_arrays`."""
        return cls(
            popularity=Popularity.from_arrays(arrays),
            markets=SaleLift.from_arrays(arrays, "markets"),
            devices=SaleLift.from_arrays(arrays, "devices"),
            segments=SaleLift.from_arrays(arrays, "segments"),
            market_activity=GroupActivity.from_arrays(arrays, "markets"),
            device_activity=GroupActivity.from_arrays(arrays, "devices"),
            customer_activity=CustomerActivity.from_numbers(arrays.floats("ways").tolist()),
        )
