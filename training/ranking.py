"""Fits the meta-model on slates: trees on the earlier, stopping and calibration on the later."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from models.features.schema import FeatureSchema
from models.ranker import Calibration, LightGbmRanker, TrainingRows, fit_trees
from training.calibration import fit_calibration
from training.configuration import RunConfig
from training.metric import auc, expected_calibration_error, log_loss
from training.slates import Slates

MIN_PURCHASES = 10


class TooFewPurchasesError(ValueError):
    """Data from which no purchase probability can be learned."""


@dataclass(frozen=True)
class FittedRanker:
    """A meta-model and what it scored on the slates that it was not fitted on.

    Attributes:
        ranker: The meta-model.
        metrics: Sizes, and figures on the held-out slates, positions as shown.
    """

    ranker: LightGbmRanker
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
) -> FittedRanker:
    """Fit the trees and the calibration, split by time.

    Args:
        slates: Settled slates, ordered by time.
        matrix: Features of their entries, shape ``(n_entries, n_features)``.
        schema: Names of the columns.
        config: Shares and hyper-parameters.
        seed: Seed of the trees.

    Raises:
        TooFewPurchasesError: If either side of the split has too few purchases.
    """
    early, late = split_by_time(slates, matrix, late_share=config.holdout_share)
    _require_purchases(early, late)
    booster = fit_trees(
        early,
        late,
        names=schema.names,
        decreasing=schema.decreasing,
        config=config.trees,
        seed=seed,
    )
    raw = LightGbmRanker(booster, Calibration(1.0, 0.0)).probabilities(late.matrix)
    calibration = fit_calibration(raw, late.labels, weights=late.weights)
    ranker = LightGbmRanker(booster, calibration)
    return FittedRanker(ranker, _metrics(ranker, early, late))


def split_by_time(
    slates: Slates, matrix: NDArray[np.float32], *, late_share: float
) -> tuple[TrainingRows, TrainingRows]:
    """Split entries so that the last share of the slates comes after all others."""
    n_early = int(len(slates) * (1 - late_share))
    cut = int(slates.starts[n_early])
    labels = slates.bought.astype(np.float64)
    return (
        TrainingRows(matrix[:cut], labels[:cut], slates.weights[:cut]),
        TrainingRows(matrix[cut:], labels[cut:], slates.weights[cut:]),
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


def _metrics(ranker: LightGbmRanker, early: TrainingRows, late: TrainingRows) -> dict[str, float]:
    scores, labels, weights = ranker.probabilities(late.matrix), late.labels, late.weights
    return {
        "n_trees": float(ranker.booster.num_trees()),
        "n_fitting": float(len(early.labels)),
        "n_fitting_purchases": float(early.labels.sum()),
        "n_holdout": float(len(late.labels)),
        "n_holdout_purchases": float(late.labels.sum()),
        "holdout_auc": auc(scores, labels, weights=weights),
        "holdout_log_loss": log_loss(scores, labels, weights=weights),
        "holdout_calibration_error": expected_calibration_error(scores, labels, weights=weights),
    }
