"""Fits the meta-model on slates: trees on the earlier, stopping and calibration on the later."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
from numpy.typing import NDArray

from models.features.schema import FeatureSchema
from models.logistic import LogisticRanker
from models.margin import Margin
from models.ranker import (
    LightGbmRanker,
    TrainingRows,
    TreeConfig,
    fit_trees,
    sigmoid,
)
from models.staged import UNCALIBRATED, StagedRanker
from training.calibration import fit_calibration
from training.configuration import RunConfig
from training.logistic import fit_logistic
from training.margin import fit_buying_margin, fit_margin, flat_margin
from training.metric import auc, expected_calibration_error, log_loss
from training.position import sale_days
from training.slates import Slates

MIN_PURCHASES = 10

BUYING_LEAVES = 7
"""Leaves of a tree of the second step, which has few examples."""

MIN_OPENED_A_PURCHASE = 2
"""Below so many opened sales a purchase, clicks say hardly more than purchases do."""


class TooFewPurchasesError(ValueError):
    """Data from which no purchase probability can be learned."""


@dataclass(frozen=True)
class FittedRanker:
    """A meta-model and what it scored on the slates that it was not fitted on.

    Attributes:
        ranker: The meta-model.
        logistic: The baseline, fitted on the same slates.
        metrics: Sizes, and figures on the held-out slates, positions as shown.
    """

    ranker: LightGbmRanker | StagedRanker
    logistic: LogisticRanker
    metrics: dict[str, float]


def settled(slates: Slates, until_us: int, *, outcome_us: int) -> Slates:
    """Return the slates whose outcome is known: a purchase can no longer be credited to them."""
    return slates.select(np.flatnonzero(slates.now_us <= until_us - outcome_us))


def fit_ranker(
    slates: Slates,
    matrix: NDArray[np.float32],
    *,
    schema: FeatureSchema,
    config: RunConfig,
    seed: int,
    n_threads: int = 1,
) -> FittedRanker:
    """Fit the trees and the calibration, split by time.

    Args:
        slates: Settled slates, ordered by time.
        matrix: Features of their entries, shape ``(n_entries, n_features)``.
        schema: Names of the columns.
        config: Shares and hyper-parameters.
        seed: Seed of the trees.
        n_threads: Threads; results are the same for any number.

    Raises:
        TooFewPurchasesError: If either side of the split has too few purchases.
    """
    ranker = fit_meta_model(
        slates, matrix, schema=schema, config=config, seed=seed, n_threads=n_threads
    )
    early, late = split_by_time(
        slates, matrix, labels=slates.bought, late_share=config.holdout_share
    )
    logistic = fit_logistic(early, seed=seed)
    baseline = _baseline_metrics(logistic, late)
    return FittedRanker(ranker, logistic, _metrics(ranker, early, late) | baseline)


def fit_meta_model(
    slates: Slates,
    matrix: NDArray[np.float32],
    *,
    schema: FeatureSchema,
    config: RunConfig,
    seed: int,
    n_threads: int = 1,
) -> LightGbmRanker | StagedRanker:
    """Fit the meta-model alone; see `fit_ranker`.

    Raises:
        TooFewPurchasesError: If either side of the split has too few purchases.
    """
    early, late = split_by_time(
        slates, matrix, labels=slates.bought, late_share=config.holdout_share
    )
    _require_purchases(early, late)
    ranker = _fit_steps(
        slates, matrix, schema=schema, config=config, seed=seed, n_threads=n_threads
    )
    calibration = fit_calibration(
        ranker.log_odds(late.matrix),
        ranker.looks(late.matrix),
        labels=late.labels,
        weights=late.weights,
    )
    return replace(ranker, calibration=calibration)


def _fit_steps(
    slates: Slates,
    matrix: NDArray[np.float32],
    *,
    schema: FeatureSchema,
    config: RunConfig,
    seed: int,
    n_threads: int,
) -> LightGbmRanker | StagedRanker:
    """Fit the steps: two where clicks that led to nothing are on record, else one."""
    opened = slates.clicked | slates.bought
    split = partial(split_by_time, slates, matrix, late_share=config.holdout_share)
    fit = partial(_fit_step, schema=schema, seed=seed, n_threads=n_threads)
    line = partial(fit_margin, schema=schema, seed=seed)
    days = sale_days(slates)

    def start(rows: TrainingRows, line: Callable[[TrainingRows], Margin]) -> Margin:
        return flat_margin(rows, schema=schema) if config.caller_orders else line(rows)

    if not config.through_clicks or opened.sum() < MIN_OPENED_A_PURCHASE * slates.bought.sum():
        early, late = split(labels=slates.bought)
        margin = start(early, partial(line, groups=days[: len(early.labels)]))
        return fit(early, late, margin=margin, trees=config.trees)
    early, late = split(labels=opened)
    n_early = len(early.labels)
    margin = start(early, partial(line, groups=days[:n_early]))
    opening = fit(early, late, margin=margin, trees=config.trees)
    early, late = split(labels=slates.bought)
    early, late = early.select(opened[:n_early]), late.select(opened[n_early:])
    margin = start(early, partial(fit_buying_margin, opening=margin, schema=schema))
    buying = fit(early, late, margin=margin, trees=_smaller(config.trees))
    return StagedRanker(opening, buying, UNCALIBRATED)


def _fit_step(
    early: TrainingRows,
    late: TrainingRows,
    *,
    margin: Margin,
    trees: TreeConfig,
    schema: FeatureSchema,
    seed: int,
    n_threads: int,
) -> LightGbmRanker:
    booster = fit_trees(
        early,
        late,
        names=schema.names,
        decreasing=schema.decreasing,
        config=trees,
        seed=seed,
        margin=margin,
        n_threads=n_threads,
    )
    return LightGbmRanker(booster, UNCALIBRATED, margin)


def _smaller(trees: TreeConfig) -> TreeConfig:
    """Return trees for a tenth of the examples."""
    return trees.model_copy(update={"leaves": min(trees.leaves, BUYING_LEAVES)})


def split_by_time(
    slates: Slates, matrix: NDArray[np.float32], *, labels: NDArray[np.bool_], late_share: float
) -> tuple[TrainingRows, TrainingRows]:
    """Split entries so that the last share of the slates comes after all others."""
    n_early = int(len(slates) * (1 - late_share))
    cut = int(slates.starts[n_early])
    targets = labels.astype(np.float64)
    return (
        TrainingRows(matrix[:cut], targets[:cut], slates.weights[:cut]),
        TrainingRows(matrix[cut:], targets[cut:], slates.weights[cut:]),
    )


def _require_purchases(early: TrainingRows, late: TrainingRows) -> None:
    for when, rows in (("earlier", early), ("later", late)):
        n = int(rows.labels.sum())
        if n < MIN_PURCHASES:
            msg = (
                f"the {when} part of the slates has {n} purchases of what was shown, at least "
                f"{MIN_PURCHASES} are needed: give more data (1,000 purchases are a good start)"
            )
            raise TooFewPurchasesError(msg)


def _metrics(
    ranker: LightGbmRanker | StagedRanker, early: TrainingRows, late: TrainingRows
) -> dict[str, float]:
    scores, labels, weights = ranker.probabilities(late.matrix), late.labels, late.weights
    return {
        "n_trees": float(ranker.n_trees),
        "n_fitting": float(len(early.labels)),
        "n_fitting_purchases": float(early.labels.sum()),
        "n_holdout": float(len(late.labels)),
        "n_holdout_purchases": float(late.labels.sum()),
        "holdout_auc": auc(scores, labels, weights=weights),
        "holdout_log_loss": log_loss(scores, labels, weights=weights),
        "holdout_calibration_error": expected_calibration_error(scores, labels, weights=weights),
    }


def _baseline_metrics(logistic: LogisticRanker, late: TrainingRows) -> dict[str, float]:
    scores = sigmoid(logistic.log_odds(late.matrix))
    return {
        "holdout_logistic_auc": auc(scores, late.labels, weights=late.weights),
        "holdout_logistic_log_loss": log_loss(scores, late.labels, weights=late.weights),
    }
