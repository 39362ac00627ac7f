"""Estimates what a position does to a sale's chance, apart from what stands there."""
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false

from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import isotonic_regression

from models.counters import HOUR_US
from models.ranker import POSITION, Booster, TrainingRows, step_tree
from training.slates import Slates

MAX_POSITION: Final = 32
"""Positions from here on count as one: few customers look so far down."""

_DAY_US: Final = 24 * HOUR_US
_ROUNDS: Final = 200
_CLOSE: Final = 1e-6
_ALMOST_ONE: Final = 0.99


def position_tree(
    rows: TrainingRows, groups: NDArray[np.int64], *, names: Sequence[str]
) -> Booster | None:
    """Return what positions do as a tree that comes before all others.

    Trees that learn it beside everything else shrink it, and leave what they miss to features
    that go with it, such as how often a sale was opened where it stood.

    Args:
        rows: Examples to learn from.
        groups: See `position_effect`.
        names: Feature names, by column.

    Returns:
        The tree; None where all stood at one place, or nothing was a success.
    """
    column = names.index(POSITION)
    positions = np.minimum(rows.matrix[:, column], MAX_POSITION).astype(np.int64)
    if not rows.labels.any() or np.ptp(positions) == 0:
        return None
    effect = position_effect(positions, groups, labels=rows.labels, weights=rows.weights)
    return step_tree(rows, column, log_odds=effect, names=names)


def sale_days(slates: Slates) -> NDArray[np.int64]:
    """Number every sale on every day that it was shown, by entry, shape ``(n_entries,)``."""
    days = np.repeat(slates.now_us // _DAY_US, np.diff(slates.starts))
    pairs = days * (int(slates.rows.max(initial=0)) + 1) + slates.rows
    return np.unique(pairs, return_inverse=True)[1].astype(np.int64)


def position_effect(
    positions: NDArray[np.int64],
    groups: NDArray[np.int64],
    *,
    labels: NDArray[np.float64],
    weights: NDArray[np.float64],
) -> NDArray[np.float64]:
    """Estimate log-odds by position for what is as good as the average.

    Better sales tend to stand higher, so that positions are compared inside groups of equal
    sales only: ``P(success) = position * group``, by Poisson likelihood, whose two factors are
    solved for in turn: successes over what the other factor foretells. Every position gets one
    success more, at the rate of all. Effects do not rise from one position to the next; where
    estimates do, they are pooled.

    Args:
        positions: From 1, shape ``(n,)``.
        groups: Codes of sales, each on one day, shape ``(n,)``.
        labels: 1 for a success, at least one, shape ``(n,)``.
        weights: Weight of each example, shape ``(n,)``.

    Returns:
        Log-odds at position 1, 2, and so on, shape ``(n_positions,)``, not rising.

    Source:
        The examination hypothesis of Richardson et al., Predicting Clicks, WWW 2007.
    """
    places, won = positions - 1, weights * labels
    n_positions, n_groups = int(positions.max()), int(groups.max()) + 1
    by_group = np.bincount(groups, weights=won, minlength=n_groups)
    by_place = np.bincount(places, weights=won, minlength=n_positions)
    effect, average = np.ones(n_positions), 1.0
    for _ in range(_ROUNDS):
        told = np.bincount(groups, weights=weights * effect[places], minlength=n_groups)
        quality = by_group / np.where(told > 0, told, 1.0)
        expected = np.bincount(places, weights=weights * quality[groups], minlength=n_positions)
        found = (by_place + 1) / (expected + expected.sum() / by_place.sum())
        found /= found[0]
        moved, effect = float(np.abs(found - effect).max()), found
        average = float(np.average(quality[groups], weights=weights))
        if moved < _CLOSE:
            break
    shown = np.bincount(places, weights=weights, minlength=n_positions)
    pooled = isotonic_regression(effect, weights=np.maximum(shown, _CLOSE), increasing=False)
    chances = np.minimum(np.asarray(pooled.x, dtype=np.float64) * average, _ALMOST_ONE)
    return np.log(chances / (1 - chances))
