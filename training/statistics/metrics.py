"""Metrics of rankings and of probabilities, each checked against a closed form."""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from training.statistics.newton import newton

_TINY: Final = 1e-12  # bounds a log loss at 28
_CLOSE: Final = 1e-9  # at which a fit has converged: far below any figure that is printed


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


def hit_rate_at_k(relevant: NDArray[np.bool_], k: int) -> float:
    """Return 1 if any of the first ``k`` entries is relevant, else 0; NaN without any."""
    return float(relevant[:k].any()) if relevant.any() else float("nan")


def list_auc(relevant: NDArray[np.bool_]) -> float:
    """Return the share of pairs of a relevant and another entry that are in the right order.

    The area under the ROC curve of one ranking. Ties have to be broken at random before.

    Args:
        relevant: In ranked order, shape ``(n,)``.

    Returns:
        In ``[0, 1]``; NaN unless there are entries of both kinds.
    """
    n_others_below = np.cumsum(~relevant[::-1])[::-1][relevant]
    n_pairs = len(n_others_below) * int((~relevant).sum())
    return float(n_others_below.sum()) / n_pairs if n_pairs else float("nan")


def novelty(counts: NDArray[np.float64], chosen: NDArray[np.int64]) -> float:
    """Return the mean self-information of chosen sales, in bits.

    ``mean -log2((n_i + 1) / (N + n_sales))``, with ``n_i`` events of sale i of ``N``: low for
    popular sales, highest for those without events.

    Args:
        counts: Events of each sale, shape ``(n_sales,)``.
        chosen: Rows of the chosen sales, shape ``(n,)``.

    Returns:
        NaN if nothing is chosen.

    Source:
        Zhou et al., Solving the apparent diversity-accuracy dilemma, 2010, smoothed by Laplace.
    """
    if not len(chosen):
        return float("nan")
    shares = (counts[chosen] + 1) / (counts.sum() + len(counts))
    return float(-np.log2(shares).mean())


def diversity(vectors: NDArray[np.float64]) -> float:
    """Return the mean distance of all pairs, 1 - cosine; rows of zeros are left out.

    Args:
        vectors: One a sale, no negative entries, shape ``(n, n_dimensions)``.

    Returns:
        0 for look-alikes, 1 if no two share anything; NaN of fewer than two.

    Source:
        Ziegler et al., Improving Recommendation Lists Through Topic Diversification, 2005.
    """
    lengths = np.linalg.norm(vectors, axis=1)
    units = vectors[lengths > 0] / lengths[lengths > 0, None]
    n = len(units)
    if n <= 1:
        return float("nan")
    return 1 - (float(np.square(units.sum(axis=0)).sum()) - n) / (n * (n - 1))


def auc(
    scores: NDArray[np.float64], labels: NDArray[np.float64], *, weights: NDArray[np.float64]
) -> float:
    """Return the chance that a positive scores above a negative, ties counting half.

    Labels may be probabilities, as the truth of a simulated dataset is: scikit-learn's
    ``roc_auc_score`` and ``log_loss`` take classes only.

    Args:
        scores: Shape ``(n,)``.
        labels: In ``[0, 1]``, shape ``(n,)``.
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
    # Scores are grouped in ascending order: what lies below, and half of what ties.
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


def calibration_line(
    probabilities: NDArray[np.float64],
    labels: NDArray[np.float64],
    *,
    weights: NDArray[np.float64],
) -> tuple[float, float]:
    """Fit ``log-odds = slope * log-odds(predicted) + intercept`` by maximum likelihood.

    Slope 1 and intercept 0 are calibrated; a slope below 1 says that predictions are too
    extreme, an intercept below 0 that they are too high. Arguments as for `auc`.

    Returns:
        Slope and intercept; NaN where predictions or labels are all the same.

    Source:
        Cox, Two further applications of a model for binary regression, 1958.
    """
    clipped = np.clip(probabilities, _TINY, 1 - _TINY)
    log_odds = np.log(clipped) - np.log1p(-clipped)
    rate = np.average(labels, weights=weights)
    if not 0 < rate < 1 or np.ptp(log_odds) == 0:
        return float("nan"), float("nan")
    centre = float(np.average(log_odds, weights=weights))
    # Centred, so that slope and intercept do not trade against each other.
    design = np.stack([log_odds - centre, np.ones_like(log_odds)])

    def loss(line: NDArray[np.float64]) -> float:
        fitted = line @ design
        return float(weights @ (np.logaddexp(0.0, fitted) - labels * fitted))

    def step(line: NDArray[np.float64]) -> NDArray[np.float64]:
        fitted = 1 / (1 + np.exp(-np.clip(line @ design, -500.0, 500.0)))
        curvature = (design * (weights * fitted * (1 - fitted))) @ design.T + _CLOSE * np.eye(2)
        gradient = design @ (weights * (fitted - labels))
        return np.asarray(np.linalg.solve(curvature, gradient), dtype=np.float64)

    start = np.array([1.0, centre])
    slope, intercept = newton(start, step, loss=loss, longest=1.0, tolerance=_CLOSE).tolist()
    return slope, intercept - slope * centre


def calibration_errors(
    probabilities: NDArray[np.float64], labels: NDArray[np.float64], *, clusters: NDArray[np.int64]
) -> tuple[float, float]:
    """Return standard errors of the slope of `calibration_line`, and of expected over observed.

    Rows of a cluster may depend on each other in any way; clusters are independent. Of expected
    over observed it is the error of the logarithm.

    Args:
        probabilities: Predicted, in ``(0, 1)``, shape ``(n,)``.
        labels: In ``[0, 1]``, same shape.
        clusters: Cluster of each row, same shape.

    Source:
        Liang and Zeger, Longitudinal Data Analysis Using Generalized Linear Models, 1986.
    """
    weights = np.ones(len(labels))
    slope, intercept = calibration_line(probabilities, labels, weights=weights)
    log_odds = np.log(probabilities / (1 - probabilities))
    fitted = 1 / (1 + np.exp(-slope * log_odds - intercept))
    design = np.stack([log_odds, weights], axis=1)
    curvature = (design * (fitted * (1 - fitted))[:, None]).T @ design
    numbers = np.unique(clusters, return_inverse=True)[1]
    scores = np.stack([np.bincount(numbers, one * (labels - fitted)) for one in design.T])
    inverse = np.linalg.inv(curvature)
    covariance = inverse @ (scores @ scores.T) @ inverse
    apart = probabilities / probabilities.sum() - labels / labels.sum()
    of_ratio = np.sqrt((np.bincount(numbers, apart) ** 2).sum())
    return float(np.sqrt(covariance[0, 0])), float(of_ratio)
