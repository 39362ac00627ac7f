"""Fits the drift baseline: scores the last visits of training as the service would."""

from collections.abc import Iterable
from dataclasses import replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from models.ranker.drift_baseline import DriftBaseline, bin_counts, missing_counts
from models.scoring.scorer import Scorer
from training.examples.point_in_time import PointInTime
from training.examples.slates import Slates

_N_VISITS: Final = 100  # chosen: 10,000 scores or more, a thousand in a decile (decision 0022)
_N_CANDIDATES: Final = 200  # so that a visit of thousands of open sales takes no longer
_LATE_SHARE: Final = 0.25  # the slates that stopped the trees; earlier sales are closed
_N_BINS: Final = 10  # of equal shares as far as ties allow: deciles, usual for PSI


def fit_drift_baseline(scorer: Scorer, past: PointInTime, *, slates: Slates) -> DriftBaseline:
    """Summarise the scores and features that a service would have seen at the end of training.

    Visits are spread evenly over the last quarter of the slates. As in the service, the
    candidates are sales that were eligible at the time, not only those that were shown; of more
    than 200 as many, spread evenly over the order of their keys.

    Args:
        scorer: The model.
        past: What was known when.
        slates: Ordered by time, at least one.
    """
    late = np.arange(int(len(slates) * (1 - _LATE_SHARE)), len(slates))
    chosen = _spread(late, _N_VISITS)
    scores = (
        scorer.score(
            replace(
                query,
                rows=_spread(
                    query.catalogue.eligible(query.context.market, query.context.now_us),
                    _N_CANDIDATES,
                ),
                positions=None,
                caller_list=None,
            )
        )
        for query in past.queries(slates.select(chosen))
    )
    return summarise((one.probabilities, one.features) for one in scores)


def _spread(rows: NDArray[np.int64], n: int) -> NDArray[np.int64]:
    """Return at most ``n`` of the rows, the first and the last among them."""
    return rows[np.linspace(0, len(rows) - 1, min(n, len(rows))).astype(np.intp)]


def summarise(
    scored: Iterable[tuple[NDArray[np.float64], NDArray[np.float32]]],
) -> DriftBaseline:
    """Summarise scored visits.

    Args:
        scored: For each visit the candidates' purchase probabilities, shape ``(n_sales,)``, and
            features, shape ``(n_sales, n_features)``, NaN where unknown. At least one visit,
            which may have no candidates.
    """
    probabilities: list[NDArray[np.float64]] = []
    missing: list[NDArray[np.int64]] = []
    for scores, features in scored:
        probabilities.append(scores)
        missing.append(missing_counts(features))
    joined = np.concatenate(probabilities)
    if not len(joined):
        return DriftBaseline(np.empty(0), np.empty(0), np.zeros(len(missing[0])))
    shares = np.arange(1, _N_BINS) / _N_BINS
    edges = np.unique(np.quantile(joined, shares, method="inverted_cdf"))
    edges = edges[edges < joined.max()]  # an empty last bin would have a PSI of infinity
    counts = bin_counts(edges, joined)
    return DriftBaseline(edges, counts / len(joined), np.sum(missing, axis=0) / len(joined))
