import numpy as np
import pytest

from models.ranker.drift_baseline import DriftBaseline, n_in_bands, n_missing

NAN = np.nan


def of(scores: list[float], *, features: list[list[float]]) -> DriftBaseline:
    return DriftBaseline.of([(np.array(scores), np.array(features, dtype=np.float32))])


def test_bands_hold_tenths_of_training() -> None:
    scores = (np.arange(100) + 0.5) / 100

    reference = DriftBaseline.of([(scores, np.zeros((100, 1), dtype=np.float32))])

    assert reference.shares.tolist() == [0.1] * 10
    assert np.all(np.diff(reference.edges) > 0)


def test_equal_scores_share_a_band() -> None:
    """Trees say few different things: a band that cannot be parted is larger, and says so."""
    reference = of([0.1] * 6 + [0.2] * 4, features=[[1.0]] * 10)

    assert reference.shares.tolist() == [0.6, 0.4]
    assert n_in_bands(reference.edges, np.array([0.05, 0.1, 0.2, 0.3])).tolist() == [2, 2]


def test_missing_shares_are_over_all_candidates_of_all_visits() -> None:
    first = np.array([0.1, 0.2, 0.3]), np.array([[NAN, 1], [2, 1], [NAN, 1]], dtype=np.float32)
    second = np.array([0.4]), np.array([[5, NAN]], dtype=np.float32)

    reference = DriftBaseline.of([first, second])

    assert reference.missing.tolist() == [0.5, 0.25]
    assert n_missing(first[1]).tolist() == [2, 0]


def test_visits_without_candidates_leave_no_bands() -> None:
    reference = DriftBaseline.of([(np.empty(0), np.empty((0, 2), dtype=np.float32))])

    assert (len(reference.edges), len(reference.shares), len(reference.missing)) == (0, 0, 2)


def test_a_reference_comes_back_as_it_was_written() -> None:
    reference = of([0.1, 0.2], features=[[1, NAN], [1, 2]])

    again = DriftBaseline.from_bytes(reference.to_bytes(), n_features=2)

    assert again.edges.tolist() == reference.edges.tolist()
    assert again.shares.tolist() == reference.shares.tolist()
    assert again.missing.tolist() == [0.0, 0.5]


def test_a_reference_of_other_features_is_refused() -> None:
    content = of([0.1], features=[[1, 2]]).to_bytes()

    with pytest.raises(ValueError, match="2 features, 0 edges and 1 bands does not fit 3"):
        DriftBaseline.from_bytes(content, n_features=3)
