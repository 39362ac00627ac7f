"""Golden rows: scores recorded when a bundle was made, recomputed at every load."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from models.arrays.array_file import Arrays
from models.catalogue.catalogue import Catalogue
from models.domain.customer import Window
from models.domain.profile import Profile
from models.query.query import Context, Query

Orders = Callable[[Query], NDArray[np.float64]]
"""Computes the sort keys of every policy, shape ``(n_sales, n_policies)``."""


@dataclass(frozen=True, eq=False)
class GoldenVisit:
    """Recorded visit of the golden rows.

    Attributes:
        window: The customer's window.
        profile: Totals of events before the window.
        context: Time and place.
    """

    window: Window
    profile: Profile
    context: Context

    def query(self, catalogue: Catalogue) -> Query:
        """Return the query for all eligible sales of a catalogue."""
        rows = catalogue.eligible(self.context.market, self.context.now_us)
        return Query(self.window, self.profile, catalogue, self.context, rows)


@dataclass(frozen=True)
class GoldenRows:
    """Golden rows: recorded visits, and the sort keys of every policy for the eligible sales.

    Probabilities alone would not do: a small change of a recommender may cross no threshold of
    the trees, and still change the order where the recommender serves alone.

    Attributes:
        visits: The visits.
        orders: One array a visit, of shape ``(n_sales, n_policies)``, sales in row order.
    """

    visits: tuple[GoldenVisit, ...]
    orders: tuple[NDArray[np.float64], ...]

    @classmethod
    def record(cls, visits: Iterable[GoldenVisit], catalogue: Catalogue, *, orders: Orders) -> Self:
        """Score the visits on a catalogue."""
        visits = tuple(visits)
        return cls(visits, tuple(orders(visit.query(catalogue)) for visit in visits))

    def worst_difference(self, catalogue: Catalogue, *, orders: Orders) -> float:
        """Score the visits again and return the largest difference.

        Differences are relative above 1 and absolute below. Infinite where another number
        of sales is eligible, NaN where a value is NaN.
        """
        again = GoldenRows.record(self.visits, catalogue, orders=orders)
        worst = 0.0
        for old, new in zip(self.orders, again.orders, strict=True):
            if old.shape != new.shape:
                return float("inf")
            # Infinities are equal, but their difference is NaN.
            differs = old != new
            scale = np.maximum(np.abs(old[differs]), 1.0)
            difference = np.max(np.abs(old[differs] - new[differs]) / scale, initial=0.0)
            # Unlike `max`, it keeps NaN, whichever visit has it.
            worst = np.maximum(worst, difference)
        return float(worst)

    def to_bytes(self) -> bytes:
        """Serialise; see `from_bytes`."""
        windows = [visit.window.pack() for visit in self.visits]
        profiles = [visit.profile.pack() for visit in self.visits]
        contexts = [visit.context for visit in self.visits]
        return Arrays(
            {
                "windows": np.frombuffer(b"".join(windows), dtype=np.uint8),
                "window_bytes": np.array([len(window) for window in windows]),
                "profiles": np.frombuffer(b"".join(profiles), dtype=np.uint8),
                "profile_bytes": np.array([len(profile) for profile in profiles]),
                "now_us": np.array([context.now_us for context in contexts]),
                "markets": np.array([context.market or "" for context in contexts], dtype=np.str_),
                "orders": np.concatenate(self.orders),
                "n_sales": np.array([len(rows) for rows in self.orders]),
            }
        ).to_bytes()

    @classmethod
    def from_bytes(cls, content: bytes) -> Self:
        """Read what `to_bytes` wrote.

        Raises:
            ValueError: If the content is not such a file.
        """
        arrays = Arrays.from_bytes(content)
        windows = _split(arrays.octets("windows"), arrays.integers("window_bytes"))
        profiles = _split(arrays.octets("profiles"), arrays.integers("profile_bytes"))
        contexts = zip(arrays.integers("now_us").tolist(), arrays.strings("markets"), strict=True)
        ends = np.cumsum(arrays.integers("n_sales"))
        orders = np.split(arrays.floats("orders"), ends)[:-1]
        visits = (
            GoldenVisit(
                Window.unpack(window),
                Profile.unpack(profile),
                Context(now_us, market or None),
            )
            for window, profile, (now_us, market) in zip(windows, profiles, contexts, strict=True)
        )
        return cls(tuple(visits), tuple(orders))


def _split(joined: bytes, lengths: NDArray[np.int64]) -> Sequence[bytes]:
    ends = np.cumsum(lengths).tolist()
    return [joined[end - length : end] for end, length in zip(ends, lengths.tolist(), strict=True)]
