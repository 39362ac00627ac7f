"""Seventeen plain features of a list, for the plain LambdaRank."""

import math
from collections import Counter
from typing import Final

import numpy as np
from numpy.typing import NDArray

from models.domain.event import IMPRESSION, PURCHASE
from models.query.query import Query

NAMES: Final = (
    "position",
    "n_sales",
    "price",
    "price_rank",
    "price_to_mean",
    "impressions",
    "purchases",
    "purchase_rate",
    "rate_rank",
    "touches",
    "touched_age_s",
    "touched_last",
    "touched",
    "steps_from_last",
    "n_touched",
    "n_events",
    "last_event_age_s",
)


def plain_features(
    query: Query, positions: NDArray[np.int64], prices: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Compute the features, shape ``(n_sales, 17)``, NaN where unknown.

    Args:
        query: What was known.
        positions: Place of each candidate, from 1, shape ``(n_sales,)``.
        prices: Price shown with each, NaN where unknown, shape ``(n_sales,)``.
    """
    totals = query.catalogue.counts.totals[query.rows]
    shown, bought = totals[:, IMPRESSION], totals[:, PURCHASE]
    rate = (bought + 1) / (shown + 10)
    history, candidates = query.history, query.rows.tolist()
    touches: list[int] = history.rows.tolist()  # the oldest first
    newest, n_touches = dict(zip(touches, history.age_s.tolist(), strict=True)), Counter(touches)
    age_s = np.array([newest.get(row, math.nan) for row in candidates])
    last = np.zeros(len(age_s), dtype=np.bool_)
    steps = np.full(len(age_s), np.nan)
    if not np.isnan(age_s).all():
        last[np.nanargmin(age_s)] = True
        steps = positions - positions[last]
    n, touched = len(query.rows), ~np.isnan(age_s)
    events_age_s = history.age_s
    latest = float(events_age_s.min()) if len(events_age_s) else float("nan")
    mean = np.nanmean(prices) if not np.isnan(prices).all() else np.nan
    columns = (
        positions,
        np.full(n, n),
        prices,
        np.argsort(np.argsort(prices)),
        prices / mean,
        shown,
        bought,
        rate,
        np.argsort(np.argsort(-rate)),
        np.array([n_touches[row] for row in candidates]),
        age_s,
        last,
        touched,
        steps,
        np.full(n, touched.sum()),
        np.full(n, len(events_age_s)),
        np.full(n, latest),
    )
    return np.stack([np.asarray(column, dtype=np.float64) for column in columns], axis=1)
