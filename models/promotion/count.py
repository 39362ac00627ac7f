"""Counts of a promotion, summed over workers: integers, so that sums are exact."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Final, Self

import numpy as np

from models.experiments.analysis.moments import Moments

SHADOW: Final = "shadow"
CANDIDATE: Final = "candidate"
SERVING: Final = "serving"

MILLION: Final = 1_000_000
# 0.1 ms: squares of microseconds would overflow the store's 64-bit sums.
TICK_US: Final = 100
"""Unit of squared times, microseconds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ShadowCounts:
    """Answers that a candidate re-ranked in shadow, without showing them.

    Attributes:
        scored: Rankings that it made.
        failed: Rankings that it failed to make.
        serving_us: Computing time of the serving bundle for the same requests, microseconds.
        candidate_us: Computing time of the candidate.
        shown: Sales of the answers.
        shared: Those of them that the candidate shows too.
        serving_ppm: Purchase probabilities shown, summed, in millionths.
        candidate_ppm: The same of the candidate.
        serving_cells: Feature values of all candidate sales, of the serving bundle.
        serving_missing: Those of them that are missing.
        candidate_cells: The same of the candidate bundle.
        candidate_missing: Those of them that are missing.
    """

    scored: int = 0
    failed: int = 0
    serving_us: int = 0
    candidate_us: int = 0
    shown: int = 0
    shared: int = 0
    serving_ppm: int = 0
    candidate_ppm: int = 0
    serving_cells: int = 0
    serving_missing: int = 0
    candidate_cells: int = 0
    candidate_missing: int = 0

    @property
    def slower(self) -> float | None:
        """Additional computing time, as a share of the serving bundle's; None if unknown."""
        return self.candidate_us / self.serving_us - 1 if self.serving_us else None

    @property
    def overlap(self) -> float | None:
        """Share of the sales shown that the candidate shows too; None if unknown."""
        return self.shared / self.shown if self.shown else None

    @property
    def drift(self) -> float | None:
        """Distance of the mean probability shown, as a share of the serving bundle's."""
        return abs(self.candidate_ppm / self.serving_ppm - 1) if self.serving_ppm else None

    @property
    def more_missing(self) -> float | None:
        """Share of missing features beyond the serving bundle's; None if unknown."""
        if not (self.candidate_cells and self.serving_cells):
            return None
        own = self.candidate_missing / self.candidate_cells
        return own - self.serving_missing / self.serving_cells

    @classmethod
    def from_counts(cls, counts: Mapping[str, int]) -> Self:
        """Select these counts from all counts of a promotion."""
        return cls(**{one.name: counts.get(f"{SHADOW}.{one.name}", 0) for one in fields(cls)})

    def named(self) -> dict[str, int]:
        """Return the counts that are not 0, by their names in the store."""
        return {f"{SHADOW}.{name}": n for name, n in asdict(self).items() if n}


@dataclass(frozen=True, slots=True, kw_only=True)
class ArmCounts:
    """Answers of one side of a canary.

    Attributes:
        answers: All of them.
        degraded: Answers below the full degradation level.
        took: Total time, in tenths of a millisecond.
        took_squared: Sum of the squares of each.
    """

    answers: int = 0
    degraded: int = 0
    took: int = 0
    took_squared: int = 0

    @classmethod
    def from_counts(cls, arm: str, counts: Mapping[str, int]) -> Self:
        """Select the counts of an arm, `CANDIDATE` or `SERVING`, from all counts of a promotion."""
        return cls(**{one.name: counts.get(f"{arm}.{one.name}", 0) for one in fields(cls)})

    @classmethod
    def one(cls, *, took_us: int, is_degraded: bool) -> Self:
        """Count one answer."""
        ticks = round(took_us / TICK_US)
        return cls(answers=1, degraded=int(is_degraded), took=ticks, took_squared=ticks**2)

    def named(self, arm: str) -> dict[str, int]:
        """Return the counts that are not 0, by their names in the store."""
        return {f"{arm}.{name}": n for name, n in asdict(self).items() if n}

    def degraded_share(self) -> Moments:
        """Return the moments of an answer's degradation, 1 or 0."""
        return _moments(self.answers, self.degraded, squares=self.degraded)

    def mean_time(self) -> Moments:
        """Return the moments of an answer's time, in tenths of a millisecond."""
        return _moments(self.answers, self.took, squares=self.took_squared)


def _moments(n: int, total: int, *, squares: int) -> Moments:
    # Numerator, denominator of 1, and no covariate.
    sums = np.array([total, n, 0], dtype=np.float64)
    products = np.array([[squares, total, 0], [total, n, 0], [0, 0, 0]], dtype=np.float64)
    return Moments(n, sums, products)
