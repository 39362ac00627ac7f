"""Metrics of rankings and of probabilities, each checked against a closed form."""

from typing import Final

import numpy as np
from numpy.typing import NDArray

_TINY: Final = 1e-12


def dcg_at_k(gains: NDArray[np.float64], k: int) -> float:
    """Return the discounted cumulative gain of the first ``k`` entries.

    ``sum gain_i / log2(rank_i + 1)``.

    Args:
        gains: Gain of each entry in ranked order, shape ``(n,)``.
        k: Entries that count.

    Source:
        Järvelin and Kekäläinen, Cumulated gain-based evaluation of IR techniques, 2002.
    """
    top = gains[:k]
    return float((top / np.log2(np.arange(2, len(top) + 2))).sum())


def ndcg_at_k(gains: NDArray[np.float64], k: int) -> float:
    """Return the DCG of a ranking as a share of the best one's; NaN without any gain."""
    best = dcg_at_k(np.sort(gains)[::-1], k)
    return dcg_at_k(gains, k) / best if best > 0 else float("nan")


def reciprocal_rank(relevant: NDArray[np.bool_]) -> float:
    """Return 1 / rank of the first relevant entry in ranked order; 0 without one."""
    found = np.flatnonzero(relevant)
    return 1.0 / (int(found[0]) + 1) if len(found) else 0.0


def recall_at_k(relevant: NDArray[np.bool_], k: int) -> float:
    """Return the share of relevant entries among the first ``k``; NaN without any."""
    total = int(relevant.sum())
    return float(relevant[:k].sum()) / total if total else float("nan")


def auc(
    scores: NDArray[np.float64], labels: NDArray[np.float64], *, weights: NDArray[np.float64]
) -> float:
    """Return the chance that a positive scores above a negative, ties counting half.

    Args:
        scores: Shape ``(n,)``.
        labels: 0 or 1, shape ``(n,)``.
        weights: Weight of each row, shape ``(n,)``.

    Returns:
        In ``[0, 1]``; NaN unless both classes are present.
    """
    _, group = np.unique(scores, return_inverse=True)
    positive = np.bincount(group, weights=weights * labels)
    negative = np.bincount(group, weights=weights * (1 - labels))
    pairs = positive.sum() * negative.sum()
    if pairs == 0:
        return float("nan")
    below = np.cumsum(negative) - negative
    return float((positive * (below + negative / 2)).sum() / pairs)


def log_loss(
    probabilities: NDArray[np.float64],
    labels: NDArray[np.float64],
    *,
    weights: NDArray[np.float64],
) -> float:
    """Return the weighted mean of ``-log P(label)``; arguments as for `auc`."""
    p = np.clip(probabilities, _TINY, 1 - _TINY)
    losses = -(labels * np.log(p) + (1 - labels) * np.log1p(-p))
    return float(np.average(losses, weights=weights))


def expected_calibration_error(
    probabilities: NDArray[np.float64],
    labels: NDArray[np.float64],
    *,
    weights: NDArray[np.float64],
    n_bins: int = 10,
) -> float:
    """Return the mean distance between predicted and observed rates over quantile bins.

    Rows are sorted by probability and cut into ``n_bins`` bins of nearly equal size; each
    bin counts by its weight.

    Args:
        probabilities: Shape ``(n,)``.
        labels: 0 or 1, shape ``(n,)``.
        weights: Weight of each row, shape ``(n,)``.
        n_bins: Number of bins.

    Source:
        Naeini et al., Obtaining Well Calibrated Probabilities Using Bayesian Binning, 2015,
        with bins of equal size as in Nguyen and O'Connor, 2015.
    """
    order = np.argsort(probabilities, kind="stable")
    total = 0.0
    for rows in np.array_split(order, n_bins):
        gap = np.dot(weights[rows], probabilities[rows] - labels[rows])
        total += abs(float(gap))
    return total / float(weights.sum())
