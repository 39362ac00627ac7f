"""Explanations are relative to the mean of what was shown."""

from typing import Final

import numpy as np
import pytest

from models.features.schema import FeatureSchema
from models.ranker.explanation import relative_to
from tests.builders import ranker
from training.ranker.training_rows import TrainingRows
from training.ranker.usual_contributions import usual_contributions

SCHEMA: Final = FeatureSchema(())


def test_the_base_of_explanations_is_the_mean_log_odds_of_what_was_shown(
    rng: np.random.Generator,
) -> None:
    """At position 1; rows of weight 3 count as three, those of weight 0 not at all."""
    made = ranker(SCHEMA, seed=1)
    matrix = rng.normal(1.0, 1.0, size=(300, len(SCHEMA.names))).astype(np.float32)
    position = SCHEMA.names.index("position")
    matrix[:, position] = rng.integers(1, 5, size=300)
    matrix[rng.random(matrix.shape) < 0.1] = np.nan
    before, weights = matrix.copy(), rng.integers(0, 4, size=300).astype(np.float64)

    usual = usual_contributions(made, TrainingRows(matrix, np.zeros(300), weights), schema=SCHEMA)

    assert np.array_equal(matrix, before, equal_nan=True)
    matrix[:, position] = 1
    chances = made.probabilities(matrix)
    log_odds = np.log(chances / (1 - chances))
    explained = relative_to(usual, made.contributions(matrix))
    assert explained[:, -1] == pytest.approx(np.full(300, log_odds @ weights / weights.sum()))
    np.testing.assert_allclose(explained.sum(axis=1), log_odds, atol=1e-9)
