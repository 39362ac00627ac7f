"""Paired test of a ranker against its parts, on slates that it was not fitted on."""

from collections.abc import Mapping
from typing import Final

import numpy as np
from numpy.typing import NDArray

from models.experiments.analysis.estimate import LEVEL
from models.experiments.analysis.multiple_tests import holm
from models.features.caller_list import LIST_RANK
from models.features.schema import FeatureSchema
from training.examples.slates import Slates
from training.statistics.bootstrap import resample
from training.statistics.metrics import reciprocal_rank

_MAX_SLATES: Final = 2_000  # takes a second; chosen
# Chosen: of 16 slates one of eleven parts seemed better than the ranker by chance.
_MIN_SLATES: Final = 50


def parts_of(schema: FeatureSchema) -> Mapping[str, float]:
    """Return the features that are an order of their own, 1 where more is better, else -1.

    They are the first column of each recommender, and the rank in a list that a caller ordered.
    """
    return {next(iter(one.columns)): 1.0 for one in schema.recommenders} | {LIST_RANK: -1.0}


def judged_slates(slates: Slates, among: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Return at most 2,000 of some slates that have an outcome, evenly over them.

    Args:
        slates: All slates.
        among: Mask of those to choose from, shape ``(n_slates,)``.

    Returns:
        A mask of the same shape.
    """
    before = np.concatenate([[0], np.cumsum(slates.bought)])[slates.starts]
    known = np.flatnonzero(among & (np.diff(before) > 0))
    chosen = np.zeros(len(slates), dtype=np.bool_)
    spread = np.linspace(0, len(known) - 1, min(_MAX_SLATES, len(known)))
    chosen[known[spread.astype(np.intp)]] = True
    return chosen


def better_part(
    slates: Slates,
    own: NDArray[np.float64],
    *,
    parts: Mapping[str, NDArray[np.float64]],
    seed: int,
) -> str | None:
    """Return the part that orders slates better than the ranker beyond chance, None if none does.

    By the reciprocal rank of outcomes, paired by slate, with a bootstrap over customers: the
    p-value is below 5% after Holm's adjustment for the number of parts. Of several parts the best
    one; None with fewer than 50 slates.

    Args:
        slates: Later slates, each with an outcome.
        own: Log-odds of the ranker, shape ``(n_entries,)``.
        parts: Order values by part, higher first, NaN last, same shape each.
        seed: Of ties and resamples.
    """
    if len(slates) < _MIN_SLATES or not parts:
        return None
    ranks = _reciprocal_ranks(slates, own, seed=seed)
    names = list(parts)
    gaps = [_reciprocal_ranks(slates, parts[name], seed=seed) - ranks for name in names]
    resampled = resample(np.column_stack(gaps), slates.customers, seed=seed)
    adjusted, means = holm(resampled.p_values()), np.mean(gaps, axis=1)
    above = [i for i in range(len(names)) if adjusted[i] < LEVEL and means[i] > 0]
    return names[max(above, key=lambda i: means[i])] if above else None


def is_below(
    slates: Slates, order: NDArray[np.float64], *, than: NDArray[np.float64], seed: int
) -> bool:
    """Return whether the mean reciprocal rank of an order is lower than that of another.

    Args:
        slates: Slates with an outcome each.
        order: Order values, higher first, NaN last, shape ``(n_entries,)``.
        than: The same of the other order.
        seed: Of ties.
    """
    own, its = (_reciprocal_ranks(slates, one, seed=seed) for one in (order, than))
    return bool(own.mean() < its.mean())


def _reciprocal_ranks(
    slates: Slates, order: NDArray[np.float64], *, seed: int
) -> NDArray[np.float64]:
    # One seed for every order: equal values are shuffled alike.
    rng = np.random.default_rng(seed)
    found = np.empty(len(slates))
    for slate in range(len(slates)):
        entries = slates.entries(slate)
        shuffled = rng.permutation(entries.stop - entries.start) + entries.start
        ranked = shuffled[np.argsort(-order[shuffled], kind="stable")]
        found[slate] = reciprocal_rank(slates.bought[ranked])
    return found
