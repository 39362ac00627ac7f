"""What the workers counted together for a promotion: whole numbers, so that they add up."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Final, Self

from models.experiments.analysis.estimate import Estimate

SHADOW: Final = "shadow"
CANDIDATE: Final = "candidate"
SERVING: Final = "serving"

MILLION: Final = 1_000_000
TICK_US: Final = 100
"""Times are squared in tenths of a millisecond: microseconds would overflow the store's sums."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ShadowCounts:
    """Answers that a candidate ranked again while nobody saw it.

    Attributes:
        scored: Rankings that it made.
        failed: Rankings that it failed to make.
        serving_us: Computing time of the serving bundle for the same questions, microseconds.
        candidate_us: Computing time of the candidate.
        shown: Sales of the answers.
        shared: Those of them that the candidate shows too.
        serving_ppm: Purchase probabilities shown, summed, in millionths.
        candidate_ppm: The same of the candidate.
        serving_cells: Features of all candidates for a place, of the serving bundle.
        serving_missing: Those of them that are missing.
        candidate_cells: Features of the candidate.
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

    @classmethod
    def of(cls, counts: Mapping[str, int]) -> Self:
        """Pick them out of all counts of a promotion."""
        return cls(**{one.name: counts.get(f"{SHADOW}.{one.name}", 0) for one in fields(cls)})

    def named(self) -> dict[str, int]:
        """Return those that are not 0, by the names of all counts."""
        return {f"{SHADOW}.{name}": n for name, n in asdict(self).items() if n}


@dataclass(frozen=True, slots=True, kw_only=True)
class ArmCounts:
    """Answers of one side of a canary.

    Attributes:
        answers: All of them.
        degraded: Those from a rung below the full one.
        took: Time of all, in tenths of a millisecond.
        took_squared: Sum of the squares of each.
    """

    answers: int = 0
    degraded: int = 0
    took: int = 0
    took_squared: int = 0

    @classmethod
    def of(cls, arm: str, counts: Mapping[str, int]) -> Self:
        """Pick those of an arm, `CANDIDATE` or `SERVING`, out of all counts of a promotion."""
        return cls(**{one.name: counts.get(f"{arm}.{one.name}", 0) for one in fields(cls)})

    @classmethod
    def one(cls, *, took_us: int, is_degraded: bool) -> Self:
        """Count one answer."""
        ticks = round(took_us / TICK_US)
        return cls(answers=1, degraded=int(is_degraded), took=ticks, took_squared=ticks**2)

    def named(self, arm: str) -> dict[str, int]:
        """Return those that are not 0, by the names of all counts."""
        return {f"{arm}.{name}": n for name, n in asdict(self).items() if n}

    def degraded_share(self) -> Estimate:
        """Return the share of degraded answers; NaN of no answer."""
        return _mean(self.answers, self.degraded, squares=self.degraded)

    def mean_time(self) -> Estimate:
        """Return the mean time of an answer, in tenths of a millisecond; NaN of no answer."""
        return _mean(self.answers, self.took, squares=self.took_squared)


def _mean(n: int, total: int, *, squares: int) -> Estimate:
    if not n:
        return Estimate(float("nan"), float("nan"))
    mean = total / n
    # Of whole numbers, exact until the division: no cancellation however long it took.
    scatter = (n * squares - total**2) / n
    return Estimate(mean, scatter / max(n - 1, 1) / n)
