"""Calibration of purchase probabilities, against purchases and against the simulator's truth."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final, Self

import numpy as np
from numpy.typing import NDArray

from training.evaluation.protocol import SlateEvaluator
from training.evaluation.truth import Truth
from training.examples.slates import Slates
from training.statistics.bootstrap import Interval, percentile_interval
from training.statistics.metrics import auc, calibration_line, expected_calibration_error, log_loss

N_RESAMPLES: Final = 200  # a fifth of `bootstrap.N_RESAMPLES`: a resample takes a sort
N_BINS: Final = 10  # usual of expected calibration errors
N_OPEN: Final = 10  # open sales drawn per slate: few enough to resample; chosen, not measured

AS_SHOWN: Final = "as_shown"
UNPLACED: Final = "shown_without_position"
AS_SHOWN_TRUE: Final = "as_shown_against_truth"
FIRST_TRUE: Final = "at_position_1_against_truth"
OPEN_TRUE: Final = "open_at_position_1_against_truth"


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
            ``slope`` and ``intercept``.
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
        "slope": slope,
        "intercept": intercept,
    }


def predict(
    evaluator: SlateEvaluator, slates: Slates, *, truth: Truth | None
) -> dict[str, Predictions]:
    """Predict purchases of shown sales and, where the truth is known, of open sales.

    Args:
        evaluator: The bundle's scorer and the state at every moment.
        slates: Shown slates, ordered by time, settled.
        truth: True probabilities, if there are any.

    Returns:
        By name: `AS_SHOWN`, at the position shown against what was bought, or `UNPLACED` of lists
        whose positions are not on record; `AS_SHOWN_TRUE`,
        against the true probability at that position; `FIRST_TRUE`, the same sales at
        position 1; `OPEN_TRUE`, ten open sales drawn a slate, at position 1.
    """
    rng = np.random.default_rng(evaluator.seed)
    parts: dict[str, list[Predictions]] = {}
    queries = evaluator.past.queries(slates, caller_orders=evaluator.config.caller_orders)
    for slate, query in enumerate(queries):
        entries, customer = slates.entries(slate), int(slates.customers[slate])
        as_shown = evaluator.scorer.probabilities(query)
        positions = slates.known_positions(slate)
        kind = UNPLACED if positions is None else AS_SHOWN
        pairs = {kind: (as_shown, slates.bought[entries].astype(np.float64))}
        known = evaluator.known(truth, slates, slate=slate)
        if truth is not None and known is not None and positions is not None:
            # Positions count from 1.
            examined = truth.examined[positions - 1]
            first = replace(query, positions=None, listing=None)
            drawn = replace(first, rows=rng.permutation(evaluator.candidates(query))[:N_OPEN])
            pairs |= {
                AS_SHOWN_TRUE: _known(as_shown, known.truth[query.rows] * examined),
                FIRST_TRUE: _known(evaluator.scorer.probabilities(first), known.truth[query.rows]),
                OPEN_TRUE: _known(evaluator.scorer.probabilities(drawn), known.truth[drawn.rows]),
            }
        for name, (probabilities, targets) in pairs.items():
            part = Predictions(probabilities, targets, np.full(len(targets), customer))
            parts.setdefault(name, []).append(part)
    return {name: Predictions.joined(found) for name, found in parts.items()}


def _known(
    probabilities: NDArray[np.float64], truth: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Leave out sales without a true probability."""
    given = ~np.isnan(truth)
    return probabilities[given], truth[given]
