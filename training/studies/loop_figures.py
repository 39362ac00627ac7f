"""Figures of a closed loop: expected purchases and calibration, with what chance leaves open."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from training.nightly.publish_gate import MARGIN
from training.statistics.metrics import calibration_errors, calibration_line

_WEEK: Final = 7

# Chosen, as what a shop would notice: predictions that are a seventh off, or slopes a tenth.
SLOPE: Final = (0.9, 1.1)
PREDICTED_OVER_TRUE: Final = (0.85, 1.15)

_Z95: Final = 1.96  # of a normal interval of 95%
# Standard deviation of the ratio of what bundles of two logs bring that differ by chance alone, and
# the purchases of these logs: seven logs of one world, 2026-11-30 (docs/world.md).
_RATIO_SD: Final = 0.036
_RATIO_PURCHASES: Final = 650.0


@dataclass(frozen=True, slots=True)
class LoopFigures:
    """Figures of one day, or means of several.

    Attributes:
        n_visits: Visits.
        shown: Expected purchases@10 of a visit by what was shown, exploration included.
        certain: The same without exploration.
        popularity_log: The same by a bundle that learned from as many days of lists by popularity.
        ratio: ``certain`` over ``popularity_log``.
        ratio_se: Standard error of its logarithm: two logs differ by chance.
        slope: Of the log-odds of the truth over those predicted, all open sales at position 1.
        slope_se: Its standard error: by the purchases that calibrated, and the sales on offer.
        predicted_over_true: Sum of predictions over the sum of the true probabilities, the same.
        predicted_over_true_se: Standard error of its logarithm, as of ``slope_se``.
        examined_last: P(examined) at the last position, as the bundle estimates it.
    """

    n_visits: int
    shown: float
    certain: float
    popularity_log: float
    ratio: float
    ratio_se: float
    slope: float
    slope_se: float
    predicted_over_true: float
    predicted_over_true_se: float
    examined_last: float


@dataclass(frozen=True, eq=False, kw_only=True)
class Day:
    """One day of the loop, as it is judged.

    Attributes:
        verdict: Of the night before: what became of its bundle.
        shown: Expected purchases@10 of each visit, shape ``(n_visits,)``.
        certain: The same without exploration, same shape.
        popularity_log: The same by the other bundle, same shape.
        awaiting: The same by a bundle that needs traffic, same shape; None without one.
        predicted: P(purchase | examined) of all open sales at all visits, shape ``(n,)``.
        truth: The same in truth.
        sales: Number of the sale of each, same shape.
        examined_last: See `LoopFigures`.
        n_purchases: Purchases of the log that the night learned from.
        n_calibrating: Purchases that calibrated the bundle.
    """

    verdict: str
    shown: NDArray[np.float64]
    certain: NDArray[np.float64]
    popularity_log: NDArray[np.float64]
    awaiting: NDArray[np.float64] | None
    predicted: NDArray[np.float64]
    truth: NDArray[np.float64]
    sales: NDArray[np.int64]
    examined_last: float
    n_purchases: int
    n_calibrating: float

    @property
    def promotes(self) -> bool:
        """Whether customers would prefer the bundle that needs traffic.

        An experiment is taken to find the truth of this day.
        """
        if self.awaiting is None:
            return False
        return bool(self.awaiting.sum() >= (1 - MARGIN) * self.certain.sum())


def figures_of(days: Sequence[Day]) -> LoopFigures:
    """Summarise some days, at least one."""
    predicted, truth, shown, certain, other = (
        np.concatenate([getattr(day, name) for day in days])
        for name in ("predicted", "truth", "shown", "certain", "popularity_log")
    )
    sales = np.concatenate([day.sales for day in days])
    slope, _ = calibration_line(predicted, truth, weights=np.ones(len(truth)))
    of_slope, of_ratio = calibration_errors(predicted, truth, clusters=sales)
    per_purchase = float(np.mean([1 / day.n_calibrating for day in days]))
    spread = float(np.var(np.log(predicted / (1 - predicted))))
    by_chance = np.mean([np.sqrt(_RATIO_PURCHASES / day.n_purchases) for day in days])
    return LoopFigures(
        n_visits=len(shown),
        shown=float(shown.mean()),
        certain=float(certain.mean()),
        popularity_log=float(other.mean()),
        ratio=float(certain.sum() / other.sum()),
        ratio_se=_RATIO_SD * float(by_chance),
        slope=slope,
        slope_se=float(np.hypot(of_slope, np.sqrt(per_purchase / spread))),
        predicted_over_true=float(predicted.sum() / truth.sum()),
        predicted_over_true_se=float(np.hypot(of_ratio, np.sqrt(per_purchase))),
        examined_last=days[-1].examined_last,
    )


def weeks_of(days: Sequence[Day]) -> list[LoopFigures]:
    """Summarise each week; the last may be shorter."""
    return [figures_of(days[start : start + _WEEK]) for start in range(0, len(days), _WEEK)]


def missed_bounds(days: Sequence[Day], *, pictures_from: int) -> list[str]:
    """Return what a loop should show and certainly does not, a sentence each.

    Its lists bring no fewer purchases than those of a log by popularity, and gain no less from
    pictures that join; its probabilities are calibrated in every week. A bound is missed if the 95%
    interval lies beyond it.

    Args:
        days: All days.
        pictures_from: See `training.studies.closed_loop.Loop`; pictures join if days come before
            and after.
    """
    missed: list[str] = []
    whole = figures_of(days)
    if _certainly_below(whole.ratio, whole.ratio_se):
        missed.append(f"lists bring {whole.ratio:.3f} of those of a log by popularity")
    before, after = days[: pictures_from - 1], days[pictures_from - 1 :]
    if before and after:
        first, then = figures_of(before), figures_of(after)
        gained = then.ratio / first.ratio
        if _certainly_below(gained, float(np.hypot(first.ratio_se, then.ratio_se))):
            missed.append(f"pictures bring {gained:.3f} of what they bring on a log by popularity")
    for number, week in enumerate(weeks_of(days), start=1):
        slack = float(np.exp(_Z95 * week.predicted_over_true_se))
        for name, value, bounds, around in (
            (
                "slope",
                week.slope,
                SLOPE,
                (week.slope - _Z95 * week.slope_se, week.slope + _Z95 * week.slope_se),
            ),
            (
                "predicted_over_true",
                week.predicted_over_true,
                PREDICTED_OVER_TRUE,
                (week.predicted_over_true / slack, week.predicted_over_true * slack),
            ),
        ):
            if not (around[0] <= bounds[1] and bounds[0] <= around[1]):
                missed.append(
                    f"{name} of week {number} is {value:.3f} [{around[0]:.3f}, {around[1]:.3f}],"
                    f" not {bounds[0]} to {bounds[1]}"
                )
    return missed


def _certainly_below(ratio: float, error: float) -> bool:
    return ratio * np.exp(_Z95 * error) < 1
