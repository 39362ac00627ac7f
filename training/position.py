"""Estimates what a position does to a sale's chance, apart from what stands there."""
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false

from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import isotonic_regression

from models.logistic import transformed
from models.ranker import POSITION, Booster, TrainingRows, sigmoid, step_tree
from training.logistic import fit_logistic

MAX_POSITION: Final = 32
"""Positions from here on count as one: few customers look so far down."""

_STEPS: Final = 30
_CLOSE: Final = 1e-9


def position_tree(rows: TrainingRows, names: Sequence[str], *, seed: int) -> Booster | None:
    """Return what positions do as a tree that comes before all others.

    Trees that learn it beside everything else shrink it, and leave what they miss to features
    that go with it, such as how often a sale was opened where it stood.

    Args:
        rows: Examples to learn from.
        names: Feature names, by column.
        seed: See `position_effect`.

    Returns:
        The tree; None where all stood at one place, or labels do not differ.
    """
    column = names.index(POSITION)
    if np.ptp(rows.labels) == 0 or np.ptp(np.minimum(rows.matrix[:, column], MAX_POSITION)) == 0:
        return None
    effect = position_effect(rows, column, seed=seed)
    return step_tree(rows, column, log_odds=effect, names=names)


def position_effect(rows: TrainingRows, column: int, *, seed: int) -> NDArray[np.float64]:
    """Estimate log-odds by position for a sale that is as good as the average one.

    Better sales tend to stand higher. A logistic regression on all features and an indicator
    for every position tells what is owed to the place from what is owed to the sale. Its
    effects of positions are made not to rise from one to the next (pooled where they do), and
    shifted so that they predict as many successes as there are.

    Args:
        rows: Examples, both labels among them.
        column: Which feature is the position, from 1.
        seed: Draws the sample that the regression is fitted on.

    Returns:
        Log-odds at position 1, 2, and so on, shape ``(n_positions,)``, not rising.
    """
    places = np.minimum(rows.matrix[:, column], MAX_POSITION).astype(np.int64) - 1
    n_positions = int(places.max()) + 1
    indicators = np.eye(n_positions, dtype=np.float32)
    others = rows.matrix.copy()
    others[:, column] = 1.0
    logistic = fit_logistic(
        TrainingRows(np.hstack([others, indicators[places]]), rows.labels, rows.weights), seed=seed
    )
    there = transformed(np.ones((1, n_positions), np.float32), logistic.logarithmic[-n_positions:])
    effect = there[0] * (logistic.weights / logistic.scales)[-n_positions:]
    shown = np.bincount(places, weights=rows.weights, minlength=n_positions)
    pooled = isotonic_regression(effect, weights=np.maximum(shown, _CLOSE), increasing=False)
    effect = np.asarray(pooled.x, dtype=np.float64)
    return effect + _shift(effect[places], rows)


def _shift(offsets: NDArray[np.float64], rows: TrainingRows) -> float:
    """Return what makes offsets predict the observed rate, by Newton's method."""
    wanted = float(np.average(rows.labels, weights=rows.weights))
    shift = np.log(wanted / (1 - wanted)) - float(np.average(offsets, weights=rows.weights))
    for _ in range(_STEPS):
        fitted = sigmoid(offsets + shift)
        gap = float(np.average(fitted, weights=rows.weights)) - wanted
        slope = float(np.average(fitted * (1 - fitted), weights=rows.weights))
        shift -= gap / slope
        if abs(gap) < _CLOSE:
            break
    return float(shift)
