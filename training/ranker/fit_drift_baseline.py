"""Scores a finished model on the last visits of its training, as if they came now."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from models.ranker.drift_baseline import DriftBaseline
from models.scoring.scorer import Scorer
from training.examples.point_in_time import PointInTime
from training.examples.slates import Slates

N_VISITS: Final = 100
LATE_SHARE: Final = 0.25


def reference_of(scorer: Scorer, past: PointInTime, *, slates: Slates) -> DriftBaseline:
    """Describe what a service with this model would have seen at the end of training.

    Visits are spread evenly over the last quarter of the slates; each is asked about all that
    was open then, as the service asks, and not only about what was shown.

    Args:
        scorer: The model.
        past: What was known when.
        slates: Ordered by time, at least one.
    """
    first = int(len(slates) * (1 - LATE_SHARE))
    n_visits = min(N_VISITS, len(slates) - first)
    chosen = np.linspace(first, len(slates) - 1, n_visits).astype(np.intp)
    return DriftBaseline.of(_scored(scorer, past, slates=slates.select(chosen)))


def _scored(
    scorer: Scorer, past: PointInTime, *, slates: Slates
) -> Iterator[tuple[NDArray[np.float64], NDArray[np.float32]]]:
    for query in past.queries(slates):
        rows = query.catalogue.eligible(query.context.market, query.context.now_us)
        scores = scorer.score(replace(query, rows=rows, positions=None, listing=None))
        yield scores.probabilities, scores.features
