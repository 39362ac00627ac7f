"""Policy value: off-policy estimates of a target policy with intervals, or a refusal."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final

import numpy as np
from numpy.typing import NDArray

from training.off_policy.estimator import ESTIMATORS, Terms, clipped, logged_value
from training.off_policy.rounds import Rounds
from training.off_policy.support import RefusedError, Support, require_support
from training.statistics.bootstrap import (
    Interval,
    expanded_quantiles,
    percentile_interval,
    resample,
)
from training.statistics.effective_size import MIN_REWARDED

# Chosen: what a phone shows without scrolling.
FIRST_PLACES: Final = 3


@dataclass(frozen=True, slots=True)
class Valuation:
    """Values of the logging and the target policy per slate.

    Attributes:
        logged: The logging policy's value.
        target: The target policy's, by estimator.
        difference: Target minus logged, by estimator, paired in every resample.
        support: Support of the log for the target policy.
    """

    logged: Interval
    target: dict[str, Interval]
    difference: dict[str, Interval]
    support: Support


def value_policy(
    rounds: Rounds,
    *,
    seed: int,
    clip: float | None = None,
    min_rewarded: float = MIN_REWARDED,
    advice: Sequence[str] = (),
) -> Valuation:
    """Estimate what the target policy of a log would have brought.

    Args:
        rounds: The log.
        seed: Seed of the resamples.
        clip: Where weights are cut; the square root of the number of rounds if None.
        min_rewarded: Rewarded rounds that the log must be worth.
        advice: See `require_support`.

    Raises:
        RefusedError: If the log says too little about the target policy.
    """
    limit = math.sqrt(len(rounds)) if clip is None else clip
    weights = clipped(rounds.weights, limit)
    support = require_support(rounds, weights, clip=limit, min_rewarded=min_rewarded, advice=advice)
    terms = {name: estimate(rounds, weights) for name, estimate in ESTIMATORS.items()}
    logged, target, difference = intervals(
        logged_value(rounds), terms, units=rounds.units, effective=support.effective[-1], seed=seed
    )
    return Valuation(logged, target, difference, support)


def value_difference(first: Rounds, second: Rounds, *, seed: int) -> dict[str, Interval]:
    """Estimate what one target policy brings minus another, by estimator.

    Args:
        first: The log under the one policy.
        second: The same log under the other.
        seed: Seed of the resamples, in which both are paired.

    Raises:
        RefusedError: If the log says too little about either.
    """
    limit = math.sqrt(len(first))
    both = [(one, clipped(one.weights, limit)) for one in (first, second)]
    effective = min(
        require_support(one, weights, clip=limit, min_rewarded=MIN_REWARDED).effective[-1]
        for one, weights in both
    )
    found: dict[str, Interval] = {}
    for name, estimate in ESTIMATORS.items():
        minuend, subtrahend = (estimate(one, weights) for one, weights in both)
        found |= intervals(
            subtrahend, {name: minuend}, units=first.units, effective=effective, seed=seed
        )[2]
    return found


@dataclass(frozen=True, slots=True)
class PlaceValues:
    """Values of whole slates and of their first places; a refusal where the log says too little.

    Attributes:
        whole: Of all places.
        first: Of the first `FIRST_PLACES`; None where slates have no more.
    """

    whole: Valuation | RefusedError
    first: Valuation | RefusedError | None


def value_places(
    rounds: Rounds,
    *,
    seed: int,
    clip: float | None,
    min_rewarded: float,
    advice: Sequence[str] = (),
) -> PlaceValues:
    """Estimate the value of whole slates and of their first places; see `value_policy`.

    Weights of whole slates multiply over all places, those of the first places over few: the
    same log often says enough of these, where customers look most.

    Raises:
        RefusedError: If the log says too little of either.
    """

    def estimate(judged: Rounds) -> Valuation | RefusedError:
        try:
            return value_policy(
                judged, seed=seed, clip=clip, min_rewarded=min_rewarded, advice=advice
            )
        except RefusedError as exc:
            return exc

    whole = estimate(rounds)
    has_more = rounds.rewards.shape[1] > FIRST_PLACES
    first = estimate(rounds.top(FIRST_PLACES)) if has_more else None
    if isinstance(whole, RefusedError) and not isinstance(first, Valuation):
        raise whole
    return PlaceValues(whole, first)


def intervals(
    logged: Terms,
    terms: Mapping[str, Terms],
    *,
    units: NDArray[np.int64],
    effective: float,
    seed: int,
) -> tuple[Interval, dict[str, Interval], dict[str, Interval]]:
    """Give estimates 95% intervals: percentiles of one bootstrap over units.

    The percentiles are expanded by the rounds that the weighted ones are worth.

    Args:
        logged: The value of the logging policy, or another to compare with.
        terms: Estimates by name.
        units: Unit of each round, shape ``(n_rounds,)``.
        effective: Rounds of the target policy that the log is worth, see `Support`.
        seed: Seed of the resamples.

    Returns:
        The logged value, the estimates, and the estimates minus the logged value.

    Source:
        Efron and Tibshirani, An Introduction to the Bootstrap, 1993; see `resample` and
        `expanded_quantiles`.
    """
    every = [logged, *terms.values()]
    # One bootstrap of all: differences are paired in every resample.
    drawn = resample(
        np.hstack([one.numerators for one in every]),
        units,
        seed=seed,
        per=np.hstack([one.denominators for one in every]),
    ).resamples
    ends = np.cumsum([one.numerators.shape[1] for one in every])
    # An estimate is the sum of its terms' ratios.
    sums = [part.sum(axis=1) for part in np.split(drawn, ends[:-1], axis=1)]
    interval = partial(percentile_interval, n=len(units), quantiles=expanded_quantiles(effective))
    found = [interval(one.value, values) for one, values in zip(every, sums, strict=True)]
    differences = [
        interval(one.value - logged.value, values - sums[0])
        for one, values in zip(every, sums, strict=True)
    ]
    names = list(terms)
    return (
        found[0],
        dict(zip(names, found[1:], strict=True)),
        dict(zip(names, differences[1:], strict=True)),
    )
