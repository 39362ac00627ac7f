"""Calibration of predicted probabilities, with a bootstrap over customers."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Self

import numpy as np
from numpy.typing import NDArray

from training.statistics.bootstrap import Interval, percentile_interval
from training.statistics.metrics import auc, calibration_line, expected_calibration_error, log_loss

N_RESAMPLES: Final = 200  # a fifth of `bootstrap.N_RESAMPLES`: a resample takes a sort
N_BINS: Final = 10  # usual of expected calibration errors


@dataclass(frozen=True, eq=False)
class Predictions:
    """Predicted probabilities with their outcomes.

    Attributes:
        probabilities: Predicted, shape ``(n,)``.
        targets: 1 if bought, else 0; or the true probability, shape ``(n,)``.
        customers: Customer of each, shape ``(n,)``.
    """

    probabilities: NDArray[np.float64]
    targets: NDArray[np.float64]
    customers: NDArray[np.int64]

    @classmethod
    def joined(cls, parts: Sequence[Self]) -> Self:
        """Put parts behind each other; at least one."""
        return cls(
            np.concatenate([part.probabilities for part in parts]),
            np.concatenate([part.targets for part in parts]),
            np.concatenate([part.customers for part in parts]),
        )


@dataclass(frozen=True, slots=True)
class Bin:
    """A tenth of the predictions, by size.

    Attributes:
        predicted: Mean prediction.
        observed: Mean target.
    """

    predicted: float
    observed: float


@dataclass(frozen=True)
class Reliability:
    """Calibration of some predictions.

    Attributes:
        figures: Intervals by metric: ``base_rate``, ``auc``, ``log_loss``,
            ``calibration_error``, the same as a ``calibration_error_share`` of the base rate,
            ``predicted_over_observed``, of their sums, ``slope`` and ``intercept``.
        bins: From the smallest to the largest predictions.
    """

    figures: dict[str, Interval]
    bins: tuple[Bin, ...]


def reliability(predictions: Predictions, *, seed: int) -> Reliability:
    """Measure predictions, with a bootstrap over customers; see `training.statistics.metrics`.

    A calibration error is never below 0: with few predictions its interval lies above its value.

    Args:
        predictions: At least one.
        seed: Seed of the resamples.
    """
    _, group = np.unique(predictions.customers, return_inverse=True)
    rng = np.random.default_rng(seed)
    value = _figures(predictions, np.ones(len(group)))
    drawn = [
        _figures(predictions, rng.poisson(1.0, size=int(group.max()) + 1)[group].astype(np.float64))
        for _ in range(N_RESAMPLES)
    ]
    figures: dict[str, Interval] = {}
    for name, own in value.items():
        found = np.array([one[name] for one in drawn if one])
        if not np.isnan(own) and not np.isnan(found).all():
            figures[name] = percentile_interval(own, found, n=len(group))
    # Bins of equal size, not width: nearly all purchase probabilities are below 10%.
    order = np.argsort(predictions.probabilities, kind="stable")
    bins = tuple(
        Bin(
            float(predictions.probabilities[rows].mean()),
            float(predictions.targets[rows].mean()),
        )
        for rows in np.array_split(order, N_BINS)
        if len(rows)
    )
    return Reliability(figures, bins)


def _figures(predictions: Predictions, weights: NDArray[np.float64]) -> dict[str, float]:
    if not weights.any():
        return {}
    # A Poisson weight is 0 for 37% of customers: the sort of each resample is that much shorter.
    kept = weights > 0
    p, y, w = predictions.probabilities[kept], predictions.targets[kept], weights[kept]
    base_rate = float(np.average(y, weights=w))
    error = expected_calibration_error(p, y, weights=w, n_bins=N_BINS)
    slope, intercept = calibration_line(p, y, weights=w)
    return {
        "base_rate": base_rate,
        "auc": auc(p, y, weights=w),
        "log_loss": log_loss(p, y, weights=w),
        "calibration_error": error,
        "calibration_error_share": error / base_rate if base_rate else float("nan"),
        "predicted_over_observed": float(np.average(p, weights=w)) / base_rate
        if base_rate
        else float("nan"),
        "slope": slope,
        "intercept": intercept,
    }
