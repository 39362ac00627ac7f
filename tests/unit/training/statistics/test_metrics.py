"""Metrics against hand-computed values and a trusted library."""

# scikit-learn ships no types.
# pyright: reportUnknownVariableType=false, reportUnknownArgumentType=false
# pyright: reportUnknownMemberType=false

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss as trusted_log_loss
from sklearn.metrics import ndcg_score, roc_auc_score

from training.statistics.metrics import (
    auc,
    calibration_errors,
    calibration_line,
    dcg_at_k,
    diversity,
    expected_calibration_error,
    hit_rate_at_k,
    list_auc,
    log_loss,
    ndcg_at_k,
    novelty,
    recall_at_k,
    reciprocal_rank,
)

GAINS = st.lists(st.sampled_from([0.0, 0.1, 0.5, 3.0]), min_size=2, max_size=12)


def test_the_first_entry_counts_in_full_and_the_third_half() -> None:
    """log2(1 + 1) = 1 and log2(3 + 1) = 2."""
    assert dcg_at_k(np.array([5.0, 0.0, 4.0, 9.0]), 3) == 7.0


def test_ndcg_divides_by_the_best_order() -> None:
    """DCG 0 + 3 / log2(3), best 3 + 1 / log2(3) for the gains 3, 1."""
    assert ndcg_at_k(np.array([0.0, 3.0, 1.0]), 2) == pytest.approx(
        (3 / math.log2(3)) / (3 + 1 / math.log2(3))
    )


def test_ndcg_is_unknown_where_there_is_nothing_to_gain() -> None:
    assert math.isnan(ndcg_at_k(np.zeros(3), 10))


@given(GAINS, st.integers(1, 12))
def test_ndcg_of_the_best_order_is_1_and_of_any_order_that_of_a_trusted_library(
    gains: list[float], k: int
) -> None:
    ranked = np.array(gains)
    if not ranked.any():
        return
    order = -np.arange(len(ranked), dtype=np.float64)

    assert ndcg_at_k(np.sort(ranked)[::-1], k) == pytest.approx(1.0)
    assert ndcg_at_k(ranked, k) == pytest.approx(ndcg_score([ranked], [order], k=k))


@pytest.mark.parametrize(
    ("relevant", "expected"),
    [([True, False], 1.0), ([False, False, True, True], 1 / 3), ([False], 0.0), ([], 0.0)],
)
def test_reciprocal_rank_looks_at_the_first_relevant_entry(
    relevant: list[bool], expected: float
) -> None:
    assert reciprocal_rank(np.array(relevant, dtype=np.bool_)) == expected


def test_recall_is_the_share_of_relevant_entries_near_the_top() -> None:
    relevant = np.array([False, True, False, True, True])

    assert [recall_at_k(relevant, k) for k in (1, 2, 4, 5, 9)] == [0, 1 / 3, 2 / 3, 1, 1]
    assert math.isnan(recall_at_k(np.zeros(2, dtype=np.bool_), 1))


def scored(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Coarse scores, so that many tie; labels that follow them; uneven weights."""
    scores = rng.integers(1, 20, size=500) / 20
    labels = (rng.random(500) < scores).astype(np.float64)
    return scores, labels, rng.uniform(0.1, 3.0, size=500)


def test_auc_and_log_loss_are_those_of_a_trusted_library(rng: np.random.Generator) -> None:
    scores, labels, weights = scored(rng)

    assert auc(scores, labels, weights=weights) == pytest.approx(
        roc_auc_score(labels, scores, sample_weight=weights)
    )
    assert log_loss(scores, labels, weights=weights) == pytest.approx(
        trusted_log_loss(labels, scores, sample_weight=weights)
    )


def test_auc_counts_ties_half_and_is_unknown_with_one_class_only() -> None:
    ones = np.ones(4)

    assert auc(ones, np.array([0.0, 1.0, 0.0, 1.0]), weights=ones) == 0.5
    assert math.isnan(auc(np.arange(4.0), ones, weights=ones))


def test_auc_of_a_list_is_that_of_scores_that_fall_with_the_rank(rng: np.random.Generator) -> None:
    relevant = rng.random(20) < 0.3

    by_library = roc_auc_score(relevant, -np.arange(20))

    assert list_auc(relevant) == pytest.approx(by_library)
    assert list_auc(np.array([True, False, True, False, False])) == pytest.approx(5 / 6)
    assert math.isnan(list_auc(np.array([True, True])))
    assert math.isnan(list_auc(np.array([False])))


def test_log_loss_of_a_certain_error_is_large_but_finite() -> None:
    assert log_loss(np.array([0.0]), np.ones(1), weights=np.ones(1)) == pytest.approx(
        12 * math.log(10)
    )


def test_calibration_error_weighs_the_gap_of_every_bin() -> None:
    """Two bins: predicted 0.1 against 0.5 observed, and 0.9 against 0.5; weights 1 and 3."""
    probabilities = np.array([0.9, 0.1, 0.9, 0.1])
    labels = np.array([0.0, 0.0, 1.0, 1.0])
    weights = np.array([3.0, 1.0, 3.0, 1.0])

    error = expected_calibration_error(probabilities, labels, weights=weights, n_bins=2)

    assert error == pytest.approx((2 * 0.4 + 6 * 0.4) / 8)


def test_gaps_of_opposite_sign_cancel_only_inside_a_bin() -> None:
    probabilities, labels = np.array([0.2, 0.8]), np.array([1.0, 0.0])

    whole, halves = (
        expected_calibration_error(probabilities, labels, weights=np.ones(2), n_bins=n)
        for n in (1, 2)
    )

    assert (whole, halves) == (pytest.approx(0.0), pytest.approx(0.8))


def test_true_probabilities_have_a_small_calibration_error(rng: np.random.Generator) -> None:
    """Ten bins of n rows each gap by about sqrt(2 / pi) standard errors of a rate."""
    truth = rng.uniform(0.05, 0.4, size=50_000)
    labels = (rng.random(50_000) < truth).astype(np.float64)
    typical = math.sqrt(2 / math.pi * 0.225 * 0.775 / 5_000)

    error = expected_calibration_error(truth, labels, weights=np.ones(50_000))

    assert error < 2 * typical


def test_a_hit_is_any_relevant_entry_near_the_top() -> None:
    relevant = np.array([False, True, True])

    assert [hit_rate_at_k(relevant, k) for k in (1, 2, 3)] == [0, 1, 1]
    assert math.isnan(hit_rate_at_k(np.zeros(2, dtype=np.bool_), 1))


def test_novelty_is_the_information_of_a_choice_in_bits() -> None:
    """Shares 4/8, 2/8, 1/8, 1/8 after one is added to each: 1, 2, 3 and 3 bits."""
    counts = np.array([3.0, 1.0, 0.0, 0.0])

    assert novelty(counts, np.array([0])) == 1.0
    assert novelty(counts, np.array([1, 2, 3])) == pytest.approx(8 / 3)
    assert math.isnan(novelty(counts, np.array([], dtype=np.int64)))


def test_diversity_is_the_mean_distance_of_all_pairs() -> None:
    """Two alike and one across: of three pairs two are 1 apart and one is 0."""
    vectors = np.array([[2.0, 0.0], [5.0, 0.0], [0.0, 1.0], [0.0, 0.0]])

    assert diversity(vectors) == pytest.approx(2 / 3)
    assert diversity(vectors[:2]) == pytest.approx(0.0)
    assert math.isnan(diversity(vectors[2:]))


def test_the_calibration_line_is_that_of_a_trusted_library(rng: np.random.Generator) -> None:
    probabilities = rng.beta(2, 8, size=3_000)
    labels = (rng.random(3_000) < probabilities**1.5).astype(np.float64)
    weights = rng.uniform(0.1, 3.0, size=3_000)
    log_odds = np.log(probabilities / (1 - probabilities))

    slope, intercept = calibration_line(probabilities, labels, weights=weights)

    trusted = LogisticRegression(C=1e9, tol=1e-9).fit(log_odds[:, None], labels, weights)
    assert slope == pytest.approx(trusted.coef_.item(), rel=1e-4)
    assert intercept == pytest.approx(trusted.intercept_.item(), abs=1e-4)


@pytest.mark.parametrize(
    ("probabilities", "labels"), [([0.1, 0.1], [0.0, 1.0]), ([0.1, 0.2], [0.0, 0.0])]
)
def test_a_line_through_one_point_is_none(probabilities: list[float], labels: list[float]) -> None:
    line = calibration_line(np.array(probabilities), np.array(labels), weights=np.ones(2))

    assert all(math.isnan(number) for number in line)


def test_errors_of_calibration_know_that_rows_of_a_cluster_go_together(
    rng: np.random.Generator,
) -> None:
    """100 clusters of 20 equal rows, drawn 200 times: the errors are the spreads over draws."""
    truth = np.repeat(rng.uniform(0.05, 0.5, size=100), 20)
    clusters = np.repeat(np.arange(100), 20)
    lines, ratios, errors = [], [], []
    for _ in range(200):
        labels = np.repeat((rng.random(100) < truth[::20]).astype(np.float64), 20)
        lines.append(calibration_line(truth, labels, weights=np.ones(2_000))[0])
        ratios.append(np.log(truth.sum() / labels.sum()))
        errors.append(calibration_errors(truth, labels, clusters=clusters))

    of_slope, of_ratio = np.mean(errors, axis=0)
    assert of_slope == pytest.approx(np.std(lines), rel=0.15)
    assert of_ratio == pytest.approx(np.std(ratios), rel=0.15)
