"""Fits the meta-model on slates: stopped, calibrated and measured on the later, then on all."""

from dataclasses import dataclass, replace

from models.domain.errors import UserError
from models.ranker.logistic import LogisticRanker
from models.ranker.ranker import sigmoid
from training.ranker.calibration import fit_calibration, recentred
from training.ranker.early_stopping import Learning, MetaModel
from training.ranker.fit_logistic import fit_logistic
from training.ranker.training_rows import TrainingRows
from training.statistics.metrics import auc, expected_calibration_error, log_loss

MIN_PURCHASES = 10


class TooFewPurchasesError(UserError):
    """Data from which no purchase probability can be learned."""


@dataclass(frozen=True)
class FittedRanker:
    """A meta-model, and what one that learned from the earlier slates scored on the later.

    Attributes:
        ranker: The meta-model, fitted on all slates.
        logistic: The baseline, fitted on the same slates.
        metrics: Sizes, and figures on the held-out slates, positions as shown, of meta-model
            and baseline as fitted on the others.
    """

    ranker: MetaModel
    logistic: LogisticRanker
    metrics: dict[str, float]


def fit_ranker(learning: Learning) -> FittedRanker:
    """Fit the meta-model and its baseline; see `training.ranker.early_stopping`.

    Raises:
        TooFewPurchasesError: If either side of the split has too few purchases.
    """
    bought, seed = learning.slates.bought, learning.seed
    early, late = learning.split(bought)
    judged, ranker = _fitted(learning)
    return FittedRanker(
        ranker,
        fit_logistic(learning.rows(bought), seed=seed),
        _metrics(judged, early, late) | _baseline_metrics(fit_logistic(early, seed=seed), late),
    )


def fit_meta_model(learning: Learning) -> MetaModel:
    """Fit the meta-model alone; see `fit_ranker`.

    Raises:
        TooFewPurchasesError: If either side of the split has too few purchases.
    """
    return _fitted(learning)[1]


def _fitted(learning: Learning) -> tuple[MetaModel, MetaModel]:
    """Return the meta-model that later slates judge, and that of all slates; both calibrated.

    Whether log-odds are too wide can be told by what nothing was learned from only: the second
    one takes over the slope of the first. How many purchases there are can be told by all.
    """
    early, late = learning.split(learning.slates.bought)
    _require_purchases(early, late)
    judged = learning.judged()
    line = fit_calibration(
        judged.ranker.log_odds(late.matrix),
        judged.ranker.examination(late.matrix),
        labels=late.labels,
        weights=late.weights,
    )
    whole, rows = learning.whole(judged), learning.rows(learning.slates.bought)
    centred = recentred(
        line,
        whole.log_odds(rows.matrix),
        examination=whole.examination(rows.matrix),
        labels=rows.labels,
        weights=rows.weights,
    )
    return replace(judged.ranker, calibration=line), replace(whole, calibration=centred)


def _require_purchases(early: TrainingRows, late: TrainingRows) -> None:
    for when, rows in (("earlier", early), ("later", late)):
        n = int(rows.labels.sum())
        if n < MIN_PURCHASES:
            msg = (
                f"the {when} part of the slates has {n} purchases of what was shown, at least "
                f"{MIN_PURCHASES} are needed: give more data (1,000 purchases are a good start)"
            )
            raise TooFewPurchasesError(msg)


def _metrics(ranker: MetaModel, early: TrainingRows, late: TrainingRows) -> dict[str, float]:
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
