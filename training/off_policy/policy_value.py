"""Policy value: off-policy estimates of a target policy with intervals, or a refusal."""

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from training.off_policy.estimator import ESTIMATORS, Terms, clipped, logged_value
from training.off_policy.rounds import Rounds
from training.off_policy.support import MIN_EFFECTIVE, Support, require_support
from training.statistics.bootstrap import Interval, percentile_interval, resample


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
    min_effective: float = MIN_EFFECTIVE,
) -> Valuation:
    """Estimate what the target policy of a log would have brought.

    Args:
        rounds: The log.
        seed: Seed of the resamples.
        clip: Where weights are cut; the square root of the number of rounds if None.
        min_effective: Rounds that the log must be worth.

    Raises:
        RefusedError: If the log says too little about the target policy.
    """
    limit = math.sqrt(len(rounds)) if clip is None else clip
    weights = clipped(rounds.weights, limit)
    support = require_support(rounds, weights, clip=limit, min_effective=min_effective)
    terms = {name: estimate(rounds, weights) for name, estimate in ESTIMATORS.items()}
    logged, target, difference = intervals(
        logged_value(rounds), terms, units=rounds.units, seed=seed
    )
    return Valuation(logged, target, difference, support)


def intervals(
    logged: Terms, terms: Mapping[str, Terms], *, units: NDArray[np.int64], seed: int
) -> tuple[Interval, dict[str, Interval], dict[str, Interval]]:
    """Give estimates 95% intervals: percentiles of one bootstrap over units.

    Args:
        logged: The logging policy's value.
        terms: Estimates by name.
        units: Unit of each round, shape ``(n_rounds,)``.
        seed: Seed of the resamples.

    Returns:
        The logged value, the estimates, and the estimates minus the logged value.

    Source:
        Efron and Tibshirani, An Introduction to the Bootstrap, 1993; see `resample`.
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
    found = [
        percentile_interval(one.value, values, n=len(units))
        for one, values in zip(every, sums, strict=True)
    ]
    differences = [
        percentile_interval(one.value - logged.value, values - sums[0], n=len(units))
        for one, values in zip(every, sums, strict=True)
    ]
    names = list(terms)
    return (
        found[0],
        dict(zip(names, found[1:], strict=True)),
        dict(zip(names, differences[1:], strict=True)),
    )
