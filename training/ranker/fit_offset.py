"""Fits what the trees of the meta-model start from."""

import math
from typing import Final

import numpy as np
from numpy.typing import NDArray

from models.features.feature import Scope
from models.features.schema import FeatureSchema
from models.ranker.linear_offset import LinearOffset
from models.ranker.logistic import LogisticRanker, Scale
from models.ranker.ranker import POSITION, TrainingRows
from training.ranker.fit_logistic import fit_leaning, fit_logistic
from training.ranker.position_bias import MAX_POSITION, position_effect

RIDGE: Final = 30.0
"""Precision of the prior of a weight: a standard deviation of a feature adds about 0.2."""


def fit_margin(
    rows: TrainingRows, groups: NDArray[np.int64], *, schema: FeatureSchema, seed: int
) -> LinearOffset:
    """Fit who looks where, and then a logistic regression of what they open.

    A regression that learns the position beside everything else leaves some of it to features
    that go with it, such as how often a sale was opened where it stood.

    Args:
        rows: Examples to learn from.
        groups: See `training.ranker.position_bias.position_effect`.
        schema: The features.
        seed: Draws a sample of many examples.
    """
    column = schema.names.index(POSITION)
    places = np.minimum(rows.matrix[:, column], MAX_POSITION).astype(np.int64)
    examined = np.ones(1)
    if np.ptp(places):
        examined = position_effect(places, groups, labels=rows.labels, weights=rows.weights)
    looks = examined[np.minimum(places, len(examined)) - 1]
    regression = fit_logistic(rows, seed=seed, looks=looks, ridge=RIDGE, blind=_moments(schema))
    return LinearOffset(regression, column, examined)


def flat_margin(rows: TrainingRows, *, schema: FeatureSchema) -> LinearOffset:
    """Start from what all examples have in common, and leave the rest to the trees.

    A line goes on where trees have seen little. Who ranks the lists that a caller gives has
    seen such lists: there a line stands in the way (decision 0024).

    Args:
        rows: Examples to learn from.
        schema: The features.
    """
    n = len(schema.names)
    # Half an example of either kind, lest all were bought.
    odds = (rows.weights @ rows.labels + 0.5) / (rows.weights @ (1 - rows.labels) + 0.5)
    regression = LogisticRanker(
        scale=Scale(logarithmic=np.zeros(n), centres=np.zeros(n), scales=np.ones(n)),
        weights=np.zeros(n),
        unknown_weights=np.zeros(n),
        intercept=math.log(odds),
    )
    return LinearOffset(regression, schema.names.index(POSITION), np.ones(1))


def fit_buying_margin(
    opened: TrainingRows, opening: LinearOffset, *, schema: FeatureSchema, ridge: float
) -> LinearOffset:
    """Fit P(buys) of what was opened, near a multiple of what opens; blind to the position.

    Where a sale stood decides whether it is seen, not whether what was opened is bought.

    Args:
        opened: Examples to learn from.
        opening: The margin of P(opens).
        schema: The features.
        ridge: See `training.ranker.fit_logistic.fit_leaning`.
    """
    regression = fit_leaning(opened, opening.regression, ridge=ridge, blind=_moments(schema))
    return LinearOffset(regression, opening.column, np.ones(1))


def _moments(schema: FeatureSchema) -> list[int]:
    """Return the features of the moment: a line over days would go on rising after the last."""
    scopes = [scope for scope, _ in schema.features.values()]
    return [column for column, scope in enumerate(scopes) if scope is Scope.CONTEXT]
