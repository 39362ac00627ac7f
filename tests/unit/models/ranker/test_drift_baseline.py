"""The bytes of a drift baseline."""

import numpy as np
import pytest

from models.ranker.drift_baseline import DriftBaseline

BASELINE = DriftBaseline(
    edges=np.array([0.1]), shares=np.array([0.5, 0.5]), missing=np.array([0.0, 0.5])
)


def test_a_baseline_comes_back_as_it_was_written() -> None:
    again = DriftBaseline.from_bytes(BASELINE.to_bytes(), n_features=2)

    assert again.edges.tolist() == [0.1]
    assert again.shares.tolist() == [0.5, 0.5]
    assert again.missing.tolist() == [0.0, 0.5]


def test_a_baseline_of_other_features_is_refused() -> None:
    with pytest.raises(ValueError, match="2 features, 1 edges and 2 bins does not fit 3"):
        DriftBaseline.from_bytes(BASELINE.to_bytes(), n_features=3)
