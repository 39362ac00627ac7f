"""Summarising scored visits: bins of scores, and shares of missing values."""

import numpy as np

from models.ranker.drift_baseline import bin_counts, missing_counts
from training.ranker.fit_drift_baseline import summarise

NAN = np.nan


def test_bins_hold_tenths_of_training() -> None:
    scores = (np.arange(100) + 0.5) / 100

    baseline = summarise([(scores, np.zeros((100, 1), dtype=np.float32))])

    assert baseline.shares.tolist() == [0.1] * 10
    assert np.all(np.diff(baseline.edges) > 0)


def test_equal_scores_share_a_bin() -> None:
    """Trees have few distinct scores: a bin of equal scores is not split."""
    baseline = summarise([(np.repeat([0.1, 0.2], [6, 4]), np.ones((10, 1), np.float32))])

    assert baseline.shares.tolist() == [0.6, 0.4]
    assert bin_counts(baseline.edges, np.array([0.05, 0.1, 0.2, 0.3])).tolist() == [2, 2]


def test_missing_shares_are_over_all_candidates_of_all_visits() -> None:
    first = np.array([0.1, 0.2, 0.3]), np.array([[NAN, 1], [2, 1], [NAN, 1]], dtype=np.float32)
    second = np.array([0.4]), np.array([[5, NAN]], dtype=np.float32)

    baseline = summarise([first, second])

    assert baseline.missing.tolist() == [0.5, 0.25]
    assert missing_counts(first[1]).tolist() == [2, 0]


def test_visits_without_candidates_leave_no_bins() -> None:
    baseline = summarise([(np.empty(0), np.empty((0, 2), dtype=np.float32))])

    assert (len(baseline.edges), len(baseline.shares), len(baseline.missing)) == (0, 0, 2)
