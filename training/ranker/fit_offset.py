"""Fits the linear offsets from which the trees start, after the position effect."""

import math
from typing import Final

import numpy as np
from numpy.typing import NDArray

from models.features.caller_list import LIST_RANK
from models.features.context import POSITION, POSITION_DEVICE
from models.features.feature import Scope
from models.features.schema import FeatureSchema
from models.ranker.linear_offset import LinearOffset
from models.ranker.logistic import LogisticRanker, Scale
from models.ranker.position_effect import PositionEffect
from training.ranker.fit_few import FewOutcomes
from training.ranker.fit_logistic import (
    PreparedRegression,
    fit_logistic,
    fit_shrunk_towards,
)
from training.ranker.position_bias import MAX_POSITION, CurvePrior, ShownExamples, position_effect
from training.ranker.training_rows import TrainingRows

_RIDGE: Final = 30.0  # precision of a weight's prior: a standard deviation of 0.2; chosen
# Of features of the customer, which are the same in all rows of a list, most of them noise for one
# outcome each. By five folds over the customers of 64 redemptions of coupons the log loss was
# 0.0320 with 30, 0.0315 with 100, 0.0312 with 300 and 0.0311 with 1,000 for the shop's own columns.
# In shops with 110 to 300 purchases 1,000 for all of them beat 30 in every one (decision 0077).
_CUSTOMER_RIDGE: Final = 1_000.0
# Rounds of relevance and examination: logs ordered by a model took four (decision 0050).
_ROUNDS: Final = 6
# Half of what an offset is fitted on: a training takes eight to twelve such fits. Chosen.
_EXAMINATION_ROWS: Final = 50_000
# Below, the curve of a device would mostly be the common one; chosen.
_MIN_OF_DEVICE: Final = 50
_CLOSE: Final = 0.005  # change of an effect, a tenth of its error with 1,000 successes
# As the smallest of `BUYING_RIDGES`. Pages of Expedia with 151 bookings had a later log loss of
# 0.1302 with it, 0.1333 with 30, and 0.1302 by the rank alone (2026-11-30).
_RANK_RIDGE: Final = 300.0


def fit_offset(
    rows: TrainingRows,
    effect: PositionEffect,
    *,
    schema: FeatureSchema,
    seed: int,
    part: str | None = None,
    starts: NDArray[np.int64] | None = None,
) -> LinearOffset:
    """Fit a logistic regression of P(success | examined), given the position effect.

    Args:
        rows: Examples.
        effect: See `examination`.
        schema: Names of the columns.
        seed: Draws a sample of the examples.
        part: The only feature that the regression reads; None for all but those of the context.
        starts: Where outcomes are few, the first example of each slate, and the end: then the
            regression is that of `training.ranker.fit_few.FewOutcomes`.
    """
    position, device = columns = position_columns(schema)
    examined = effect.p_examined(rows.matrix[:, position], rows.matrix[:, device])
    if starts is not None and part is None:
        excluded = _context_features(schema)
        few = FewOutcomes(rows, starts, examined, schema, _ridges(schema), excluded, seed)
        return LinearOffset(few.fit_forward(), columns, effect)
    regression = fit_logistic(
        rows,
        seed=seed,
        p_examined=examined,
        ridge=_ridges(schema),
        excluded_features=_context_features(schema) if part is None else _all_but(part, schema),
    )
    return LinearOffset(regression, columns, effect)


def position_columns(schema: FeatureSchema) -> tuple[int, int]:
    """Return the indices of the position and of its device."""
    return schema.names.index(POSITION), schema.names.index(POSITION_DEVICE)


def examination(
    rows: TrainingRows, groups: NDArray[np.int64], *, schema: FeatureSchema, seed: int
) -> PositionEffect:
    """Estimate examination and relevance in turn, each given the other.

    Where lists are ordered by a model of the customer, a sale stands higher when this customer
    likes it: positions have to be compared at equal relevance. Devices with enough outcomes get
    curves of their own, shrunk towards the common one, at the relevance that is found with that.

    Args:
        rows: Examples.
        groups: See `training.ranker.position_bias.sale_days`, shape ``(n,)``.
        schema: Names of the columns.
        seed: Draws a sample of the examples.

    Returns:
        See `training.ranker.position_bias.position_effect`; 1 where positions teach nothing.
    """
    position, device = position_columns(schema)
    positions = rows.matrix[:, position]
    known = ~np.isnan(positions)
    placed = rows.select(known)
    counted = np.clip(positions[known], 1, MAX_POSITION).astype(np.int64)
    if not placed.labels.any() or not np.ptp(counted):
        return PositionEffect.none()
    shown = ShownExamples(counted, groups[known], placed.labels, placed.weights)
    effect, relevance = position_effect(shown), np.zeros(len(counted))
    prepared = PreparedRegression.from_rows(
        placed,
        seed=seed,
        ridge=_ridges(schema),
        excluded_features=_context_features(schema),
        max_rows=_EXAMINATION_ROWS,
    )
    regression = None
    for _ in range(_ROUNDS):
        regression = prepared.fit(effect[counted - 1], start=regression)
        # The logarithm of a sigmoid, finite for any log-odds.
        relevance = -np.logaddexp(0.0, -regression.log_odds(placed.matrix))
        found = position_effect(shown, relevance)
        moved, effect = float(np.abs(found - effect).max()), found
        if moved < _CLOSE:
            break
    return _by_device(shown, relevance, placed.matrix[:, device], common=effect)


def _by_device(
    shown: ShownExamples,
    relevance: NDArray[np.float64],
    devices: NDArray[np.float32],
    *,
    common: NDArray[np.float64],
) -> PositionEffect:
    """Fit a curve of each device, as far as they differ.

    Source:
        DerSimonian and Laird, Meta-analysis in clinical trials, 1986, for the variance between
        devices: ``(sum(y d^2) - n) / sum(y)`` of logarithms ``d`` of relative curves with ``y``
        successes and ``n`` degrees of freedom.
    """
    known, of_example = np.unique(devices, return_inverse=True)
    successes = np.bincount(of_example, weights=shown.labels)
    own = known[(successes >= _MIN_OF_DEVICE) & ~np.isnan(known)]
    parts = [(shown.select(devices == one), relevance[devices == one]) for one in own]

    def curves(pseudo_successes: float) -> NDArray[np.float64]:
        prior = CurvePrior(common, pseudo_successes)
        return np.array([position_effect(*part, prior=prior) for part in parts])

    if len(known) == 1 or not parts:
        return PositionEffect.of_all(common)
    counts = np.array([np.bincount(one.positions - 1, one.labels, len(common)) for one, _ in parts])
    relative = np.log(curves(1.0) / common)
    relative -= np.average(relative, axis=1, weights=counts)[:, None]
    freedom = np.count_nonzero(counts) - len(parts)
    between = float((counts * relative**2).sum() - freedom) / float(counts.sum())
    if between <= 0:
        return PositionEffect.of_all(common)
    return PositionEffect(np.vstack([common, curves(1 / between)]), own.astype(np.float64))


def fit_rank_offset(rows: TrainingRows, *, schema: FeatureSchema, seed: int) -> LinearOffset:
    """Fit P(success) from few lists of a caller, shrunk towards a function of the rank alone.

    With few outcomes the order of the caller is the best that is known, and each other feature
    has to show that it adds to it.
    """
    by_rank = fit_logistic(rows, seed=seed, excluded_features=_all_but(LIST_RANK, schema))
    regression = fit_shrunk_towards(
        rows,
        by_rank,
        ridge=_RANK_RIDGE,
        seed=seed,
        excluded_features=_context_features(schema),
    )
    return LinearOffset(regression, position_columns(schema), PositionEffect.none())


def flat_offset(rows: TrainingRows, *, schema: FeatureSchema) -> LinearOffset:
    """Fit an intercept only, and leave the rest to the trees.

    A regression extrapolates beyond the training data. Where the model ranks lists that a caller
    gives, training has seen such lists, and a regression does harm (decision 0024).
    """
    n = len(schema.names)
    # Half a pseudo-example of either kind keeps the odds finite.
    odds = (rows.weights @ rows.labels + 0.5) / (rows.weights @ (1 - rows.labels) + 0.5)
    regression = LogisticRanker(
        scale=Scale(logarithmic=np.zeros(n), centres=np.zeros(n), scales=np.ones(n)),
        weights=np.zeros(n),
        unknown_weights=np.zeros(n),
        intercept=math.log(odds),
    )
    return LinearOffset(regression, position_columns(schema), PositionEffect.none())


def fit_buying_offset(
    opened: TrainingRows, opening: LinearOffset, *, schema: FeatureSchema, ridge: float, seed: int
) -> LinearOffset:
    """Fit P(buys | opened), shrunk towards a multiple of P(opens); without a position effect.

    The position decides whether a sale is examined, not whether an opened one is bought. For the
    ridge see `training.ranker.fit_logistic.fit_shrunk_towards`.
    """
    regression = fit_shrunk_towards(
        opened,
        opening.regression,
        ridge=ridge,
        seed=seed,
        excluded_features=_context_features(schema),
    )
    return LinearOffset(regression, opening.columns, PositionEffect.none())


def _ridges(schema: FeatureSchema) -> NDArray[np.float64]:
    scopes = [scope for scope, _ in schema.features.values()]
    of_customer = np.array([scope is Scope.CUSTOMER for scope in scopes])
    return np.where(of_customer, _CUSTOMER_RIDGE, _RIDGE)


def _all_but(name: str, schema: FeatureSchema) -> list[int]:
    return [column for column, other in enumerate(schema.names) if other != name]


def _context_features(schema: FeatureSchema) -> list[int]:
    # A line over the day of the year, learned in three weeks of autumn, went on falling: chances of
    # the week after came out 18% too low, without it 6% (decision 0019).
    scopes = [scope for scope, _ in schema.features.values()]
    return [column for column, scope in enumerate(scopes) if scope is Scope.CONTEXT]
