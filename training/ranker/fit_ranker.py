"""Fits the ranker: stopped, calibrated and measured on the later slates, then fitted on all."""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from models.domain.errors import UserError
from models.ranker.logistic import LogisticRanker
from models.ranker.objective import TrainingObjective
from models.ranker.ranker import Calibration, sigmoid
from training.examples.outcomes import outcome_noun
from training.examples.slates import Slates
from training.ranker.calibration import RATE_PRIOR, fit_calibration, out_of_fold, recentred
from training.ranker.early_stopping import EarlyFit, MetaModel, RankerTraining
from training.ranker.fit_logistic import fit_logistic
from training.statistics.metrics import auc, expected_calibration_error, log_loss

MIN_PURCHASES = 10  # on either side of the split; chosen, not measured
# The slope of 957 outcomes has an error of 0.035 (decision 0073): that of as many is 0.02.
_ENOUGH_OUTCOMES = 3_000
# With half of 200 outcomes slopes were as near to the truth as with all, with half of 300 nearer.
_ENOUGH_LATER = 100
_N_FOLDS = 3  # five had no better slopes (decision 0050)


class TooFewPurchasesError(UserError):
    """Too few outcomes to fit probabilities."""


class NothingToRankError(UserError):
    """Lists of one sale each."""


@dataclass(frozen=True)
class FittedRanker:
    """A ranker and its baseline, with their metrics on held-out slates.

    Attributes:
        ranker: The ranker, fitted on all slates.
        stopped: The ranker that was fitted on the earlier slates.
        part: Name of the only feature that the ranker reads, None if it reads all; see
            `training.ranker.better_part`.
        logistic: The baseline, a logistic regression fitted on the same slates.
        metrics: Sizes, and metrics of ranker and baseline on the later slates, at the positions
            shown, when fitted on the earlier ones.
    """

    ranker: MetaModel
    stopped: MetaModel
    part: str | None
    logistic: LogisticRanker
    metrics: dict[str, float]


def fit_ranker(training: RankerTraining) -> FittedRanker:
    """Fit the ranker and its baseline; see `training.ranker.early_stopping`.

    Raises:
        NothingToRankError: If no slate has two sales.
        TooFewPurchasesError: If either side of the split has too few purchases.
    """
    bought = training.slates.bought
    fit, ranker, log_odds = _fitted(training)
    stopped, slates = fit.ranker, training.slates
    late, shown = training.shown_later, training.is_shown
    customers = np.repeat(slates.customers, np.diff(slates.starts))[shown][-len(late.labels) :]
    p_examined = stopped.p_examined(late.matrix)
    scores = p_examined * stopped.calibration.apply(log_odds)
    # The calibration was fitted on the later slates: each half is judged by the other's.
    calibrated = out_of_fold(
        log_odds,
        p_examined,
        labels=late.labels,
        weights=late.weights,
        customers=customers,
    )
    baseline = sigmoid(training.early_logistic.log_odds(late.matrix))
    labels, weights = late.labels, late.weights
    metrics = {
        "n_trees": float(stopped.n_trees),
        "calibration_slope": ranker.calibration.slope,
        "n_fitting": float(shown.sum() - len(labels)),
        "n_fitting_outcomes": float(training.n_distinct(bought)[0]),
        "n_holdout": float(len(labels)),
        "n_holdout_outcomes": float(labels.sum()),
        "holdout_auc": auc(scores, labels, weights=weights),
        "holdout_log_loss": log_loss(calibrated, labels, weights=weights),
        "holdout_calibration_error": expected_calibration_error(
            calibrated, labels, weights=weights
        ),
        "holdout_logistic_auc": auc(baseline, labels, weights=weights),
        "holdout_logistic_log_loss": log_loss(baseline, labels, weights=weights),
    }
    logistic = fit_logistic(training.rows(bought), seed=training.seed)
    return FittedRanker(ranker, stopped, fit.part, logistic, metrics)


def fit_meta_model(training: RankerTraining) -> MetaModel:
    """Fit the ranker alone; see `fit_ranker`.

    Raises:
        NothingToRankError: If no slate has two sales.
        TooFewPurchasesError: If either side of the split has too few purchases.
    """
    return _fitted(training)[1]


def _too_few(training: RankerTraining, when: str, n: int) -> str:
    cut, customers = training.n_early, training.slates.customers
    customers = customers[:cut] if when == "earlier" else customers[cut:]
    learns_clicks = training.config.objective is TrainingObjective.CLICK
    outcomes = outcome_noun(training.config.objective or TrainingObjective.PURCHASE)
    clicks = "" if learns_clicks else ", or, if clicks are logged, `--objective click`"
    return (
        f"the {when} part of the slates (lists shown, or visits where no impression is logged),"
        f" {len(customers):,} slates of {len(np.unique(customers)):,} customers, has"
        f" {n} {outcomes}, at least {MIN_PURCHASES} are needed: give more data (1,000 {outcomes}"
        f" of many customers are a good start){clicks}"
    )


def require_learnable(training: RankerTraining) -> None:
    """Refuse slates that no ranker can be fitted to; no feature of them is read.

    Raises:
        NothingToRankError: If no slate has two sales.
        TooFewPurchasesError: If either side of the split has too few purchases.
    """
    bought = training.slates.bought
    for when, n_purchases in zip(("earlier", "later"), training.n_distinct(bought), strict=True):
        if n_purchases < MIN_PURCHASES:
            raise TooFewPurchasesError(_too_few(training, when, n_purchases))
    _require_choice(training.slates)


def _require_choice(slates: Slates) -> None:
    if np.diff(slates.starts).max() > 1:
        return
    msg = f"nothing to rank: each of {len(slates):,} "
    if (slates.exposures >= 0).any():
        msg += (
            "lists that were shown has one sale: give all impressions of a list the same"
            " `exposure_id`"
        )
    else:
        msg += (
            "visits has one open sale (no impression is logged, so that all open sales count):"
            " check `opens_at`, `closes_at` and `markets` of sales"
        )
    raise NothingToRankError(msg)


def _fitted(
    training: RankerTraining,
) -> tuple[EarlyFit, MetaModel, NDArray[np.float64]]:
    """Return the fit of the earlier slates and the ranker of all slates, both calibrated.

    And the former's log-odds of `RankerTraining.shown_later`, uncalibrated, shape ``(n_later,)``.

    The calibration slope needs slates outside the fit: see `_cross_fitted`. Its intercept is fitted
    on all slates, then on the later ones, as far as these are many: the next days are more like
    them.
    """
    require_learnable(training)
    # Repeated slates, with masked history, are none that the service is asked about.
    stopped, shown, late = training.fit_early(), training.shown, training.shown_later
    # Log-odds of as many rows take seconds: each ranker makes them once.
    later = stopped.ranker.log_odds(late.matrix)
    line = fit_calibration(
        later,
        stopped.ranker.p_examined(late.matrix),
        labels=late.labels,
        weights=late.weights,
    )
    ranker = training.fit_all(stopped)
    slope = _cross_fitted(training, stopped, line)
    log_odds, p_examined = ranker.log_odds(shown.matrix), ranker.p_examined(shown.matrix)
    centred = recentred(
        slope,
        log_odds,
        p_examined=p_examined,
        labels=shown.labels,
        weights=shown.weights,
    )
    recent = recentred(
        centred,
        log_odds[-len(late.labels) :],
        p_examined=p_examined[-len(late.labels) :],
        labels=late.labels,
        weights=late.weights,
        precision=RATE_PRIOR,
    )
    early = replace(stopped, ranker=replace(stopped.ranker, calibration=line))
    return early, replace(ranker, calibration=recent), later


def _cross_fitted(training: RankerTraining, stopped: EarlyFit, line: Calibration) -> Calibration:
    """Return the line of slates that are judged by rankers that were fitted without their customer.

    A ranker of the earlier slates alone is narrower than that of all, and the later slates are few.
    As many thirds of the customers are judged as have enough outcomes. Where too few others have
    bought, that of the later slates is kept.
    """
    slates, rows = training.slates, training.rows(training.slates.bought)
    folds = np.unique(slates.customers, return_inverse=True)[1] % _N_FOLDS
    log_odds, p_examined = np.empty(len(rows.labels)), np.empty(len(rows.labels))
    judged = telling = np.zeros(len(rows.labels), dtype=np.bool_)
    for fold in range(_N_FOLDS):
        rest = training.select(folds != fold)
        if int(rest.slates.bought.sum()) < MIN_PURCHASES:
            return line
        own = np.repeat(folds == fold, np.diff(slates.starts)) & training.is_shown
        ranker = rest.fit_all(stopped)
        log_odds[own] = ranker.log_odds(rows.matrix[own])
        p_examined[own] = ranker.p_examined(rows.matrix[own])
        judged = judged | own
        telling = _telling(training, judged)
        if rows.labels[telling].sum() >= _ENOUGH_OUTCOMES:
            break
    return fit_calibration(
        log_odds[telling],
        p_examined[telling],
        labels=rows.labels[telling],
        weights=rows.weights[telling],
    )


def _telling(training: RankerTraining, judged: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Return which of the judged entries the slope is fitted on (decision 0077).

    The later half of the outcomes in lists that no ranker ordered, if these are enough, else all:
    what is known of customers and sales grows, so that log-odds of early lists are wider than what
    they say, and so are those inside a list that was chosen for being high.
    """
    slates = training.slates
    others = judged.copy()
    if training.ranked is not None:
        others &= ~np.repeat(training.ranked, np.diff(slates.starts))
    n_so_far = np.cumsum(slates.bought & others)
    later = others & (2 * n_so_far > n_so_far[-1])
    return later if (slates.bought & later).sum() >= _ENOUGH_LATER else judged
