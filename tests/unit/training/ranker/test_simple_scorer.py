"""A scorer that learns next to nothing."""

import numpy as np
import pytest

from models.features.schema import FeatureSchema
from training.ranker.simple_scorer import simple_scorer
from training.ranker.training_rows import TrainingRows

SCHEMA = FeatureSchema(())


def test_purchases_and_touches_count_in_standard_deviations() -> None:
    """Of four rows one is bought before and touched: means of 1/4, deviations of sqrt(3) / 4."""
    matrix = np.zeros((4, len(SCHEMA.names)), dtype=np.float32)
    matrix[:, SCHEMA.names.index("same_sale_purchases")] = [1, 0, 0, 0]
    matrix[1:, SCHEMA.names.index("same_sale_recency")] = np.nan
    rows = TrainingRows(matrix, np.zeros(4), np.ones(4))

    scores = simple_scorer(rows, schema=SCHEMA).log_odds(matrix)

    # (1 - 1/4) / (sqrt(3) / 4) = sqrt(3) where it was bought, -1 / sqrt(3) elsewhere; untouched
    # ones lose 1 / (sqrt(3) / 4) = 4 / sqrt(3).
    root = np.sqrt(3.0)
    assert scores - scores[1] == pytest.approx([root + 5 / root, 0, 0, 0], rel=1e-6)
