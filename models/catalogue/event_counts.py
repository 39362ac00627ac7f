"""Event counts of sales by received time, with exponential decay.

A customer counts at most once per sale, event type and hour, so that no single customer can raise
a sale by sending more events. Counts are taken on a fixed 60-second grid of ``received_at``,
online and offline alike. Whole hours decay by half-life; the current hour counts in full. All sums
start from integers in one fixed order, so that equal events give equal bits on both sides.

A purchase counts until it is fully refunded: once the hour in which its refund was received is
over, it is missing from the hour that counted it.
"""

from dataclasses import dataclass
from hashlib import blake2b
from typing import Final, Self

import numpy as np
from numpy.typing import NDArray

from models.arrays.array_file import Arrays
from models.domain.event import FAVOURITE, KINDS, PURCHASE
from models.domain.units import HOUR_US, MINUTE_US

# Chosen: the running hour is cut on this grid, decision record 0005.
GRID_US: Final = MINUTE_US
# Chosen: one of the longest half-life and seven of that of two days.
RETENTION_HOURS: Final = 14 * 24
HalfLives = tuple[float, float, float, float]
"""Half-lives of counts in hours, ascending."""

# Defaults of a training run. An hour for news of the day, two weeks for offers that change little.
# Chosen, not tuned: with 6 and 48 hours and rates of clicks alone the lists of news of MIND had an
# nDCG@10 of 0.327, with these and rates without clicks 0.354 (2026-11-29).
HALF_LIVES_HOURS: Final[HalfLives] = (1.0, 6.0, 48.0, 336.0)
HOUR, HOURS, DAYS, WEEKS = range(len(HALF_LIVES_HOURS))
"""Indices of the half-lives, named by the defaults."""

N_KINDS: Final = FAVOURITE + 1
"""Types whose events are counted by sale: those before `models.domain.event.REFUND`."""

# Hours since the epoch fit until the year 2448.
_HOUR_BITS: Final = 22


def counted(
    customers: NDArray[np.int64],
    sales: NDArray[np.uint64] | NDArray[np.int64],
    *,
    kinds: NDArray[np.uint8],
    received_us: NDArray[np.int64],
) -> NDArray[np.bool_]:
    """Return which events count: the first of each customer, sale, counted type and hour.

    Later events do not change the result. The store applies the same rule when it receives an
    event, see ``append_events.lua``.

    Args:
        customers: Code of the customer, shape ``(n,)``.
        sales: Key or row of the sale, same shape.
        kinds: Type codes, same shape.
        received_us: When each was received, ascending, same shape.

    Returns:
        A mask of shape ``(n,)``.
    """
    cells = ((customers * len(KINDS) + kinds) << _HOUR_BITS) | (received_us // HOUR_US)
    order = np.lexsort((sales, cells))  # stable: by time within a cell and sale
    repeats = (np.diff(cells[order]) == 0) & (np.diff(sales[order]) == 0)
    first = kinds < N_KINDS
    first[order[1:][repeats]] = False
    return first


def grid_floor(now_us: int) -> int:
    """Return the latest grid time that is not after ``now_us``."""
    return now_us // GRID_US * GRID_US


@dataclass(frozen=True, slots=True, eq=False)
class HourlyCounts:
    """Events per (sale, type, hour of ``received_at``), as sparse columns.

    Ordered by (row, kind, hour), each combination once.

    Attributes:
        rows: Catalogue rows, shape ``(n,)``.
        kinds: Type codes, shape ``(n,)``.
        hours: Hours since the epoch, shape ``(n,)``.
        counts: Numbers of events, shape ``(n,)``.
    """

    rows: NDArray[np.int64]
    kinds: NDArray[np.int64]
    hours: NDArray[np.int64]
    counts: NDArray[np.int64]

    @classmethod
    def from_entries(
        cls,
        rows: NDArray[np.int64],
        kinds: NDArray[np.int64],
        *,
        hours: NDArray[np.int64],
        counts: NDArray[np.int64],
    ) -> Self:
        """Sum entries in any order, with repetitions, into the canonical form."""
        entries = ((rows * N_KINDS + kinds) << _HOUR_BITS) | hours
        unique, inverse = np.unique(entries, return_inverse=True)
        sums = np.zeros(len(unique), dtype=np.int64)
        np.add.at(sums, inverse, counts)
        cells, hours = unique >> _HOUR_BITS, unique & ((1 << _HOUR_BITS) - 1)
        return cls(cells // N_KINDS, cells % N_KINDS, hours, sums)

    @classmethod
    def empty(cls) -> Self:
        """Return the counts of no events."""
        none = np.empty(0, dtype=np.int64)
        return cls(none, none, none, none)

    def merge(self, other: Self) -> Self:
        """Sum the entries of both."""
        return self.from_entries(
            np.concatenate([self.rows, other.rows]),
            np.concatenate([self.kinds, other.kinds]),
            hours=np.concatenate([self.hours, other.hours]),
            counts=np.concatenate([self.counts, other.counts]),
        )

    def before(self, hour: int) -> Self:
        """Return the entries of the whole hours that count at ``hour``."""
        kept = (self.hours < hour) & (self.hours >= hour - RETENTION_HOURS)
        return type(self)(self.rows[kept], self.kinds[kept], self.hours[kept], self.counts[kept])


def refunded(rows: NDArray[np.int64], hours: NDArray[np.int64]) -> HourlyCounts:
    """Return one entry a refund: a purchase less, in the hour that counted it, shape ``(n,)``.

    Not in canonical form: entries may repeat.
    """
    return HourlyCounts(rows, np.full(len(rows), PURCHASE), hours, np.full(len(rows), -1))


@dataclass(frozen=True, slots=True, eq=False, weakref_slot=True)
class SaleCounts:
    """Counts of every sale of a catalogue at one grid time.

    Attributes:
        at_us: The grid time: events received before it are counted.
        totals: Events of the last 14 days, shape ``(n_sales, 6)``, by type code.
        decayed: The same, decayed by each half-life, shape ``(4, n_sales, 6)``.
        half_lives: The half-lives.
    """

    at_us: int
    totals: NDArray[np.float64]
    decayed: NDArray[np.float64]
    half_lives: HalfLives = HALF_LIVES_HOURS

    @classmethod
    def none(cls, n_sales: int, *, half_lives: HalfLives = HALF_LIVES_HOURS) -> Self:
        """Return zero counts."""
        totals = np.zeros((n_sales, N_KINDS))
        return cls(0, totals, np.zeros((len(half_lives), *totals.shape)), half_lives)

    def with_partial(self, partial: NDArray[np.int64], *, at_us: int) -> Self:
        """Add the events of the current hour, without decay.

        Args:
            partial: Events since the last whole hour, shape ``(n_sales, 6)``.
            at_us: The grid time up to which they were counted.
        """
        return type(self)(at_us, self.totals + partial, self.decayed + partial, self.half_lives)

    @property
    def id(self) -> str:
        """Hash of the time, the half-lives and the counts, 32 hexadecimal digits."""
        digest = blake2b(self.at_us.to_bytes(8, "big"), digest_size=16)
        digest.update(np.array(self.half_lives).tobytes())
        digest.update(self.totals.tobytes())
        digest.update(self.decayed.tobytes())
        return digest.hexdigest()

    def to_bytes(self) -> bytes:
        """Serialise; see `from_bytes`."""
        arrays = {
            "at_us": np.array([self.at_us]),
            "totals": self.totals,
            "decayed": self.decayed,
            "half_lives": np.array(self.half_lives),
        }
        # A service keeps one per minute for a month; most counts are 0, so compression pays.
        return Arrays(arrays).to_bytes(compressed=True)

    @classmethod
    def from_bytes(cls, content: bytes, *, n_sales: int) -> Self:
        """Read what `to_bytes` wrote.

        Raises:
            ValueError: If the content is malformed, or of another number of sales.
        """
        arrays = Arrays.from_bytes(content)
        expected = cls.none(n_sales)
        at_us = arrays.integers("at_us").item()
        totals, decayed = arrays.floats("totals"), arrays.floats("decayed")
        if totals.shape != expected.totals.shape or decayed.shape != expected.decayed.shape:
            msg = f"counts of {len(totals)} sales, expected {n_sales}"
            raise ValueError(msg)
        half_lives = arrays.floats("half_lives").tolist()
        if len(half_lives) != len(decayed):
            msg = f"{len(half_lives)} half-lives for {len(decayed)} decayed counts"
            raise ValueError(msg)
        hour, hours, days, weeks = half_lives
        return cls(at_us, totals, decayed, (hour, hours, days, weeks))


def decayed_counts(
    hourly: HourlyCounts, *, hour: int, n_sales: int, half_lives: HalfLives
) -> SaleCounts:
    """Sum the whole hours before ``hour``, weighted by ``2 ** (-age / half_life)``.

    Args:
        hourly: Counts by hour; entries of ``hour`` or later are ignored.
        hour: The current hour, since the epoch.
        n_sales: Number of catalogue rows.
        half_lives: The half-lives.

    Returns:
        Counts at the start of ``hour``, without the current hour.
    """
    past = hourly.before(hour)
    cells = past.rows * N_KINDS + past.kinds
    size = n_sales * N_KINDS
    age = hour - past.hours
    # Weight of an event by half-life and age in whole hours, shape (n_half_lives, n_hours).
    decays = np.exp2(-np.arange(RETENTION_HOURS + 1) / np.array(half_lives)[:, None])
    weights = [past.counts, *(past.counts * decay.take(age) for decay in decays)]
    sums = np.array([np.bincount(cells, weights=w, minlength=size) for w in weights], np.float64)
    # History that is loaded again may lack purchases that were refunded since.
    totals, *decayed = np.maximum(sums, 0.0).reshape(len(weights), n_sales, N_KINDS)
    return SaleCounts(hour * HOUR_US, totals, np.stack(decayed), half_lives)


def counts_at(
    hourly: HourlyCounts, *, at_us: int, n_sales: int, half_lives: HalfLives
) -> SaleCounts:
    """Return the counts at a grid time; the last hour may be incomplete.

    Args:
        hourly: Counts by hour of the events received before ``at_us``.
        at_us: The grid time.
        n_sales: Number of catalogue rows.
        half_lives: The half-lives.

    Raises:
        ValueError: If ``at_us`` is off the grid.
    """
    if at_us % GRID_US:
        msg = f"{at_us} is not on the grid of {GRID_US} microseconds"
        raise ValueError(msg)
    hour = at_us // HOUR_US
    running = hourly.hours == hour
    partial = np.zeros((n_sales, N_KINDS), dtype=np.int64)
    np.add.at(partial, (hourly.rows[running], hourly.kinds[running]), hourly.counts[running])
    whole = decayed_counts(hourly, hour=hour, n_sales=n_sales, half_lives=half_lives)
    return whole.with_partial(partial, at_us=at_us)
