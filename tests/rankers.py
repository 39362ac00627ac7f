"""Small rankers of two features, fitted to simulated purchases."""

import numpy as np

from models.ranker.ranker import Calibration, LightGbmRanker
from tests.builders import flat_offset
from training.configuration import TreeConfig
from training.ranker.fit_trees import fit_trees
from training.ranker.training_rows import TrainingRows

NAMES = ("taste", "position")
FLAT = flat_offset(2)
SMALL = TreeConfig(max_trees=30, leaves=7, min_rows_per_leaf=10, learning_rate=0.2)


def visits(n: int, rng: np.random.Generator, *, effect: float = 0.0) -> TrainingRows:
    """Purchases that follow taste, and position with an effect on the log-odds."""
    matrix = np.column_stack([rng.normal(size=n), rng.integers(1, 11, size=n)])
    log_odds = matrix[:, 0] + effect * matrix[:, 1]
    labels = rng.random(n) < 1 / (1 + np.exp(-log_odds))
    return TrainingRows(matrix.astype(np.float32), labels.astype(np.float64), np.ones(n))


def fitted(rows: TrainingRows, *, decreasing: frozenset[str], seed: int = 1) -> LightGbmRanker:
    """Fit trees without an offset or calibration."""
    trees = fit_trees(
        rows, rows, names=NAMES, decreasing=decreasing, config=SMALL, seed=seed, offset=FLAT
    )
    return LightGbmRanker(trees, Calibration(1.0, 0.0), FLAT)
